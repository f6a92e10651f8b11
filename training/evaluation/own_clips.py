"""What a folder of your own clips holds: each clip's group, its face box and its voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.media import Picture
from engine.media.look import Look
from engine.media.source import open_source
from training.drives import Drive
from training.evaluation.clip import Box, Group
from training.evaluation.own_voice import voice_drive

STILLS = {".png", ".jpg", ".jpeg"}
ENDINGS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", *STILLS}
LONGEST_S = 10
SMALLEST_PX = 8  # side of a face box, as live


class FolderError(ValueError):
    """The folder of clips cannot be used; one line says why."""


@dataclass(frozen=True)
class OwnClip:
    """name: its path in the folder; face_box in pixels of the upright picture; drive: its voice, or
    None where it is to hear GRID's.
    """

    name: str
    path: Path
    group: Group
    face_box: Box | None = None
    drive: Drive | None = None


def read_folder(folder: Path, voice: Path | None, seconds: float) -> tuple[OwnClip, ...]:
    """All clips of the folder, each looked through. NAME.wav beside a clip is its voice, `voice`
    that of those without; of both the first `seconds`.

    Raises:
        FolderError: it holds no clips, or other folders than those of the groups; a box is
            malformed; the frames of a clip change size.
        MediaError: a clip or a voice cannot be read.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder}: no such folder; --clips names one with clips")
    common = None if voice is None else voice_drive(voice, seconds)
    files = _files(folder)
    beside = {(p.with_suffix(""), p.suffix.lower()): p for p, _ in files}
    clips = []
    for path, group in files:
        if path.suffix.lower() in ENDINGS:
            look = _looked_through(path)
            box, own = (beside.get((path.with_suffix(""), end)) for end in (".box", ".wav"))
            clips.append(
                OwnClip(
                    path.relative_to(folder).as_posix(),
                    path,
                    group,
                    _read_box(box, look) if box else None,
                    voice_drive(own, seconds) if own else common,
                )
            )
    if not clips:
        raise FolderError(f"{folder}: no clips in it ({', '.join(sorted(ENDINGS))})")
    named = {clip.path.with_suffix("") for clip in clips}
    for (name, ending), path in beside.items():
        spare = ending in (".box", ".wav") and name not in named
        if spare and not (voice and path.samefile(voice)):
            raise FolderError(f"{path}: no clip of that name beside it")
    return tuple(clips)


def _files(folder: Path) -> list[tuple[Path, Group]]:
    """The folder's files and those of its groups' folders, each with its group."""
    found = []
    for path in _shown(folder):
        if not path.is_dir():
            found.append((path, Group.REALISTIC))
        elif path.name not in list(Group):
            raise FolderError(f"{path}: is not a group; folders may be {', '.join(Group)}")
        else:
            found += [(inner, Group(path.name)) for inner in _shown(path)]
    for path, _ in found:
        if path.is_dir():
            raise FolderError(f"{path}: a group holds clips, not folders")
    return found


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _looked_through(path: Path) -> Look:
    """Size and colour of a clip whose first LONGEST_S can be read and keep their size."""
    look = Picture(path).look
    with open_source(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        size, start_s = None, 0.0
        for frame in container.decode(stream):
            now = (frame.width, frame.height)
            if size is None:
                size, start_s = now, frame.time or 0.0
            if now != size:
                old, new = (f"{width}x{height}" for width, height in (size, now))
                raise FolderError(
                    f"{path}: its frames change from {old} to {new} pixels; cut it there"
                )
            if frame.time is not None and frame.time - start_s > LONGEST_S:
                break
    return look


def _read_box(path: Path, look: Look) -> Box:
    """X,Y,W,H as `omnisync dub --face-box` takes them; blanks part them too."""
    text = path.read_text(errors="replace").replace(",", " ")
    try:
        x, y, width, height = (int(part) for part in text.split())
    except ValueError as error:
        raise FolderError(f"{path}: is not four whole numbers X,Y,W,H, in pixels") from error
    inside = min(x, y) >= 0 and x + width <= look.width and y + height <= look.height
    if not inside or min(width, height) < SMALLEST_PX:
        raise FolderError(
            f"{path}: X,Y,W,H are to be a box inside the {look.width}x{look.height} pixels of the"
            f" clip, {SMALLEST_PX} or more each way"
        )
    return x, y, width, height
