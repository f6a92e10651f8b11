"""Opening a media file for reading, with errors that a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

FPS = 25


class MediaError(Exception):
    """A file that cannot be read or written; the message is one clear line that names it."""


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open `path` for reading. Whatever fails to decode inside the block is a MediaError too."""
    try:
        # A file object, not a name: FFmpeg would take "%d" in a name for a numbered sequence.
        with path.open("rb") as file, av.open(file, "r") as container:
            # FFmpeg films any plain text as a terminal would show it.
            if container.format.name == "tty":
                raise MediaError(f"{path}: is a text file")
            yield container
    except av.FFmpegError as error:
        raise MediaError(f"{path}: cannot be decoded ({error.strerror})") from error
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error
