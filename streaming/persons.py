"""The persons whose own denoiser a call may ask for: the folders below `persons`."""

from pathlib import Path
from typing import Any

from engine.errors import PersonError
from engine.personal import CARD, NAME, Person

from .problems import BadOffer, Problem


class Persons:
    """Looks when it is asked: who is personalized while the server runs can be called at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Blocks for a moment. Empty where there is no folder."""
        if self._folder is None or not self._folder.is_dir():
            return []
        found = (card.parent.name for card in self._folder.glob(f"*/{CARD}"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def find(self, name: Any) -> Person:
        """The person of an offer's `person`. Blocks: reads files.

        Raises:
            Problem: 400 for what is no name, 404 for a person that is not there, 409 for one that
                cannot be used.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadOffer("person: must be 1 to 40 of a-z, 0-9 and -")
        if self._folder is None or name not in self.names():
            raise Problem(404, f"no person '{name}'")
        try:
            return Person.read(self._folder / name)
        except PersonError as error:
            raise Problem(409, f"person '{name}' cannot be used: personalize again") from error
