"""The engine's own errors: one clear line each, with what to do."""


class EngineError(Exception):
    """The engine cannot start or go on."""


class WeightsError(EngineError):
    """The shipped graphs are missing, damaged, or of another version."""


class PersonError(EngineError):
    """A person's folder cannot be used."""


class RuntimeUnavailableError(EngineError):
    """The asked-for runtime is not usable on this machine."""
