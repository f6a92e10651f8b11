"""What can keep a benchmark from running."""


class BenchError(Exception):
    """The message is one clear line: what is wrong and what to do."""
