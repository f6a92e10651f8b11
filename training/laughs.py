"""Recorded laughter: bouts by people who are in no other data, out of sounds that Debian's free
packages hold. Nothing of it is kept in the project; this fetches the packages with apt.

Writes laughs.npz: `train/NAME` and `held/NAME` int16 (S,) at 16 kHz, loudest sample .5 of full
scale; what is held teaches nothing, `voice_report` judges by it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.grid import read_pcm
from training.loop import refuse

PLAYERS = "usr/share/games/openarena/baseoa/pak2-players.pk3"
VOICES = "usr/share/games/hedgewars/Data/Sounds/voices"
HUMAN = "usr/share/scratch/Media/Sounds/Human"
DOLLS = "usr/share/ktuberling/sounds"
# Package -> its sounds; a path after "!" lies in a zip of the package. Licences: scratch and
# wordwarvi-sound CC BY-SA 3.0, hedgewars-data GFDL 1.3, all others GPL 2 or later.
TRAIN = {
    "scratch": [f"{HUMAN}/{n}" for n in (
        "Laugh-male1.wav", "Laugh-male3.mp3", "Cough-female.wav", "Cough-male.wav",
        "Sneeze-female.wav", "Sneeze-male.wav")],
    "hedgewars-data": [f"{VOICES}/{n}" for n in (
        "Pirate/Laugh.ogg", "Surfer/Laugh.ogg", "Default/Laugh.ogg", "British/Laugh.ogg",
        "Default_pl/Laugh.ogg", "Default_es/Laugh.ogg", "Default_uk/Laugh.ogg",
        "Default_ru/Laugh.ogg", "Singer/Laugh.ogg", "Mobster/Laugh.ogg",
        "Default/PoisonCough.ogg", "Default_es/PoisonCough.ogg", "HillBilly/PoisonCough.ogg")],
    "ktuberling-data": [f"{DOLLS}/{n}" for n in (
        "nn/tux-laugh.opus", "da/tux-laugh.ogg", "ca/say-laugh.ogg")],
    "tuxpaint-data": ["usr/share/tuxpaint/sounds/giggle.wav"],
    "trackballs-data": ["usr/share/games/trackballs/sfx/crazylaugh.wav"],
    "crossfire-client": ["usr/share/games/crossfire-client/sounds/Evil_Laugh.wav"],
    "wordwarvi-sound": ["usr/share/wordwarvi/sounds/hohoho.ogg"],
    "wesnoth-1.16-data": [
        "usr/share/games/wesnoth/1.16/data/core/sounds/dwarf-laugh.wav",
        "usr/share/games/wesnoth/1.16/data/campaigns/World_Conquest/sounds/witches-laugh.wav"],
    "openarena-081-players": [
        f"{PLAYERS}!sound/player/{n}/taunt.wav" for n in ("angelyss", "ayumi")],
}  # fmt: skip
HELD = {
    "scratch": [f"{HUMAN}/Laugh-female.wav", f"{HUMAN}/Laugh-male2.wav"],
    "hedgewars-data": [f"{VOICES}/HillBilly/Laugh.ogg", f"{VOICES}/Russian/Laugh.ogg"],
    "trackballs-data": ["usr/share/games/trackballs/sfx/evillaugh.wav"],
    "openarena-081-players": [f"{PLAYERS}!sound/player/merman/taunt.wav"],
}
LOUDEST, QUIET = 0.5, 0.02  # of full scale; of the loudest, which the ends are cut at


class AbsentError(OSError):
    """A package or a sound in it that is not to be had; the message says which."""


def download(package: str, folder: Path) -> Path:
    """The package's .deb in `folder`, not installed.

    Raises:
        AbsentError: no apt here, or it has no such package.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise AbsentError("laughs needs apt-get and dpkg-deb: run it on Debian")
    told = subprocess.run(
        ["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False
    )
    found = sorted(folder.glob(f"{package}_*.deb"))
    if told.returncode or not found:
        last = (told.stderr.strip().splitlines() or ["no word why"])[-1]
        raise AbsentError(f"apt-get download {package}: {last}")
    return found[0]


def unpack(deb: Path, folder: Path, wanted: list[str]) -> list[Path]:
    """The `wanted` sounds of a package, as files in `folder`, in their order.

    Raises:
        AbsentError: one is not there.
    """
    files = {path.partition("!")[0] for path in wanted}
    folder.mkdir(parents=True, exist_ok=True)
    packed_files = folder / "package.tar"
    with packed_files.open("wb") as out:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=out, check=True)
    with tarfile.open(packed_files) as members:
        for name in files:
            try:
                sound = members.extractfile(f"./{name}")
            except KeyError:
                continue
            if sound is not None:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(sound.read())
    found = []
    for path in wanted:
        name, _, inner = path.partition("!")
        target = folder / name
        if inner and target.exists():
            with zipfile.ZipFile(target) as packed:
                if inner in packed.namelist():
                    packed.extract(inner, folder)
            target = folder / inner
        if not target.exists():
            raise AbsentError(f"{deb.name} has no {path}")
        found.append(target)
    return found


def trimmed(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """int16 (S,) -> int16, without silence at its ends, its loudest sample at `LOUDEST`."""
    sound = pcm.astype(np.float64)
    loudest = np.abs(sound).max()
    heard = np.flatnonzero(np.abs(sound) > QUIET * loudest)
    cut = sound[heard[0] : heard[-1] + 1]
    return np.round(cut * LOUDEST * 32767 / loudest).astype(np.int16)


def sounds(kept: dict[str, list[str]], debs: dict[str, Path]) -> Iterator[tuple[str, NDArray]]:
    """Name and int16 (S,) at 16 kHz, trimmed, of each sound that is `kept` of `debs`.

    Raises:
        AbsentError: one is not there.
    """
    for package, paths in kept.items():
        with tempfile.TemporaryDirectory() as folder:
            files = unpack(debs[package], Path(folder), paths)
            for path, file in zip(paths, files, strict=True):
                name = "-".join(Path(path.rpartition("!")[2]).with_suffix("").parts[-2:])
                yield f"{package}-{name}", trimmed(read_pcm(file))


def read(path: Path, part: str) -> dict[str, NDArray[np.int16]]:
    """int16 (S,) at 16 kHz by name: `part` "train" or "held" of laughs.npz.

    Raises:
        OSError: no such file.
    """
    with np.load(path) as stored:
        return {n.partition("/")[2]: stored[n] for n in stored.files if n.startswith(f"{part}/")}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="laughs.npz")
    args = parser.parse_args(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    table: dict[str, NDArray] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            debs = {p: download(p, Path(folder)) for p in sorted({*TRAIN, *HELD})}
            for part, kept in (("train", TRAIN), ("held", HELD)):
                table |= {f"{part}/{name}": pcm for name, pcm in sounds(kept, debs)}
    except AbsentError as error:
        refuse(parser, error)
    partial = args.output.with_suffix(".part.npz")
    np.savez(partial, **table)  # type: ignore[arg-type]
    partial.rename(args.output)
    print(f"{len(table)} sounds, {sum(map(len, table.values())) / 16_000:.0f} s in {args.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
