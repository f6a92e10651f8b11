"""A person's own denoiser: what `omnisync personalize` writes, and what a stream may run on instead
of the shipped one. The other graphs stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from engine.errors import PersonError
from engine.runtime.protocol import REFERENCE, Manifest, Runtime, Session

CARD = "person.json"
FORMAT = 1
TENSORRT = "tensorrt"  # the runtime, and the file that is made for it
NAME = re.compile(r"[a-z0-9-]{1,40}")


def base_of(manifest: Manifest) -> str:
    """Hash of the denoiser that an adapter is made for: the full-precision one."""
    return manifest.hashes[manifest.files[REFERENCE]["denoiser"]]


@dataclass(frozen=True, slots=True)
class Person:
    """A folder that `omnisync personalize` wrote."""

    name: str
    folder: Path
    base: str  # hash of the denoiser that it was made for
    files: Mapping[str, str]  # variant -> file
    hashes: Mapping[str, str]  # file -> sha256

    @classmethod
    def read(cls, folder: Path) -> Person:
        """Read and check a person's folder; whether it fits an engine, `open_stream` says.

        Raises:
            PersonError: no person, an unknown format, or a file that is missing or damaged.
        """
        card = folder / CARD
        try:
            stored: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
            if stored["format"] != FORMAT:
                raise PersonError(f"{card}: format {stored['format']} is not {FORMAT}")
            person = cls(stored["name"], folder, stored["base"], stored["files"], stored["hashes"])
            if not NAME.fullmatch(person.name) or not person.files:
                raise ValueError(person.name)
            for file in person.files.values():
                person._check(file)
        except OSError as error:
            name = Path(error.filename or card).name
            raise PersonError(f"no person in {folder}: {name}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PersonError(f"{card}: is damaged: personalize again") from error
        return person

    def _check(self, file: str) -> None:
        if Path(file).name != file:
            raise ValueError(file)
        found = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
        if found != self.hashes[file]:
            raise PersonError(f"{self.folder / file}: is damaged: personalize again")

    def path(self, runtime: str, variant: str) -> Path:
        """The graph that a runtime takes: TensorRT a file of its own, the others that of `variant`,
        or the first there is.

        Raises:
            PersonError: there is none.
        """
        usual = {kind: file for kind, file in self.files.items() if kind != TENSORRT}
        if runtime == TENSORRT:
            file = self.files.get(TENSORRT)
        else:
            file = usual.get(variant) or next(iter(usual.values()), None)
        if file is None:
            raise PersonError(f"person '{self.name}' has no file for {runtime}: personalize again")
        return self.folder / file


class OwnDenoiser:
    """What some streams run on instead of the denoiser for all."""

    def __init__(self, session: Session) -> None:
        self.session = session


class PersonalDenoiser(OwnDenoiser):
    """One person's, shared by that person's streams."""

    def __init__(self, person: Person, session: Session) -> None:
        super().__init__(session)
        self.person = person


class PersonalDenoisers:
    """The personal denoisers in use; one that no stream holds any more is freed. Thread-safe."""

    def __init__(self, manifest: Manifest, runtime: Runtime) -> None:
        self._base = base_of(manifest)
        self._runtime = runtime
        self._used: WeakValueDictionary[Path, PersonalDenoiser] = WeakValueDictionary()
        self._lock = Lock()
        self._loading: dict[Path, Lock] = {}

    def fits(self, person: Person) -> bool:
        """Whether the person was made for these weights and this runtime."""
        try:
            self._path(person)
        except PersonError:
            return False
        return True

    def get(self, person: Person) -> PersonalDenoiser:
        """Load it, or share the one that another stream uses. Who asks for another person need not
        wait meanwhile: on a GPU it may take a minute.

        Raises:
            PersonError: it was made for other weights than these, or not for this runtime.
            EngineError: the runtime refuses it.
        """
        path = self._path(person)
        with self._lock:
            loading = self._loading.setdefault(path, Lock())
        with loading:
            denoiser = self._used.get(path)
            # A folder that was written anew holds another denoiser under the same name.
            if denoiser is None or denoiser.person != person:
                denoiser = PersonalDenoiser(person, self._runtime.load(path))
                self._used[path] = denoiser
        return denoiser

    def _path(self, person: Person) -> Path:
        if person.base != self._base:
            raise PersonError(
                f"person '{person.name}' was made for other weights: personalize again"
            )
        return person.path(self._runtime.name, self._runtime.variant)
