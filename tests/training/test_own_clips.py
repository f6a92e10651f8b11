"""`omnisync evaluate --clips FOLDER`: what a user lays into a folder, judged without any data of
ours. FaceLandmarker's part is played by a face whose points are known.
"""

from __future__ import annotations

import json
import stat
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("numba")

from tests.engine.clips import (
    number_of,
    numbered_frames,
    write_clip,
    write_sound,
    write_voice,
)
from training import evaluate
from training.drives import Drive
from training.evaluation.clip import Clip, Group, Judge
from training.evaluation.own_clips import OwnClip, read_folder
from training.evaluation.own_voice import heard, voice_drive
from training.evaluation.sets.folder import clips, drawn_mouth, notes, unseen
from training.evaluation.stock import Plan, Stock

SECONDS = 2.0


def write_speech(path: Path, seconds: float = SECONDS, seed: int = 0) -> Path:
    """Noise in four syllables a second."""
    rng, count = np.random.default_rng(seed), round(seconds * 16_000)
    swell = np.clip(np.sin(2 * np.pi * 4 * np.arange(count) / 16_000), 0, 1)
    sound = (6000 * swell * rng.normal(size=count)).clip(-32768, 32767)
    return write_sound(path, sound.astype(np.int16))


def write_picture(path: Path, height: int = 64, width: int = 64) -> Path:
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(90, 150, (height, width, 3), dtype=np.uint8))
    return path


class KnownFace:
    """Finds a face, always the same, in the first frames of a file."""

    def __init__(self, share: float) -> None:
        self.share = share

    def submit(self, source: Path, target: Path, window: object = None) -> Future[Path]:
        self.window = window
        count = len(np.load(source, mmap_mode="r"))
        points = np.full((count, 478, 2), np.nan, np.float32)
        points[: round(self.share * count)] = 30
        np.savez(target, points=points)
        done: Future[Path] = Future()
        done.set_result(target)
        return done


def made(tmp_path: Path, own: tuple[OwnClip, ...], found: float = 1.0) -> list[Clip]:
    """Clips of the set; where they have no voice, of a drive without sound."""
    silent = Drive("none", np.zeros(640, np.int16), np.zeros(1))
    own = tuple(replace(clip, drive=clip.drive or silent) for clip in own)
    stock = Stock(tmp_path / f"cache {found}", KnownFace(found))  # type: ignore[arg-type]
    return clips(stock, Plan(SECONDS, own=own))


def numbers(clip: Clip) -> list[int]:
    return [number_of(rgb) for rgb in clip.source.picture.frames]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.mark.parametrize("rate", [60, 50, 30, 10])
def test_a_clip_of_any_rate_keeps_its_speed(tmp_path: Path, folder: Path, rate: int) -> None:
    write_clip(folder / "clip.mp4", numbered_frames(40), rate=rate)
    (clip,) = made(tmp_path, read_folder(folder, None, SECONDS))
    shown_s, wanted_s = np.array(numbers(clip)) / rate, np.arange(len(numbers(clip))) / 25
    assert np.abs(shown_s - wanted_s).max() <= max(0.5 / 25, 1 / rate)
    assert len(shown_s) == pytest.approx(40 / rate * 25, abs=1)


def test_of_a_long_clip_the_first_ten_seconds_are_taken(tmp_path: Path, folder: Path) -> None:
    write_clip(folder / "clip.mkv", numbered_frames(12), rate=1)
    (clip,) = made(tmp_path, read_folder(folder, None, SECONDS))
    assert len(numbers(clip)) == 250
    assert numbers(clip)[-1] == 9


def test_folders_name_groups_and_a_picture_is_a_clip_of_one_frame(
    tmp_path: Path, folder: Path
) -> None:
    write_picture(folder / "top.jpg")
    write_picture(folder / "stylised" / "toon.png")
    write_picture(folder / "atypical" / "statue.JPEG")
    write_picture(folder / "realistic" / "top.jpg")
    write_picture(folder / ".hidden" / "not.jpg")
    (folder / "notes.txt").write_text("whose clips these are")
    found = made(tmp_path, read_folder(folder, None, SECONDS))
    assert {clip.name: clip.group for clip in found} == {
        "top.jpg": Group.REALISTIC,
        "realistic/top.jpg": Group.REALISTIC,
        "stylised/toon.png": Group.STYLISED,
        "atypical/statue.JPEG": Group.ATYPICAL,
    }
    assert all(clip.source.picture.frames.shape == (1, 64, 64, 3) for clip in found)


@pytest.mark.parametrize("words", ["400,200,300,320", " 400, 200 300 320\n"])
def test_a_box_shrinks_with_its_picture(tmp_path: Path, folder: Path, words: str) -> None:
    write_picture(folder / "wide.png", 960, 1920)
    (folder / "wide.box").write_text(words)
    (own,) = read_folder(folder, None, SECONDS)
    assert own.face_box == (400, 200, 300, 320)
    (clip,) = made(tmp_path, (own,))
    assert clip.source.picture.frames.shape == (1, 480, 960, 3)
    assert clip.source.picture.face_box == (200, 100, 150, 160)


def test_a_box_that_was_moved_is_not_taken_from_the_cache(tmp_path: Path, folder: Path) -> None:
    write_picture(folder / "face.png")
    for x in (8, 9):
        (folder / "face.box").write_text(f"{x},8,40,40")
        (clip,) = made(tmp_path, read_folder(folder, None, SECONDS))
        assert clip.source.picture.face_box == (x, 8, 40, 40)


def test_what_has_a_box_but_no_landmarks_is_judged_as_a_drawing(
    tmp_path: Path, folder: Path
) -> None:
    for name in ("boxed", "bare"):
        write_picture(folder / f"{name}.png")
    (folder / "boxed.box").write_text("10,5,40,50")
    own = read_folder(folder, None, SECONDS)
    bare, boxed = made(tmp_path, own, found=0.0)
    assert (bare.judge, boxed.judge) == (Judge.LANDMARKS, Judge.DRAWN)
    x, y, width, height = boxed.source.picture.mouth or (0, 0, 0, 0)
    assert x + width / 2 == pytest.approx(30)
    assert y > 5 + 50 / 2 and y + height < 5 + 1.05 * 50
    assert unseen([bare, boxed]) == ["bare.png"]
    assert {"bare.png", "boxed.png"} == set(notes([bare, boxed]).values())
    for clip in made(tmp_path, own, found=1.0):
        assert (clip.judge, clip.source.picture.mouth) == (Judge.LANDMARKS, None)


@pytest.mark.data
def test_where_a_box_puts_a_drawings_mouth_its_opening_can_be_read() -> None:
    from training.evaluation.measure.drawn import drawn_opening
    from training.evaluation.sets.cartoon import POSES, boxes, face_with, read_sprite

    sprites = [read_sprite(str(k)) for k in (*range(1, 12), 9)]
    known = [(sprite[..., 3] > 127).sum() for sprite in sprites]
    for emotion, number in POSES:
        face, _ = boxes(emotion, number)
        frames = np.stack([face_with(sprite, emotion, number) for sprite in sprites])
        assert np.corrcoef(drawn_opening(frames, drawn_mouth(face)), known)[0, 1] > 0.98


def test_a_voice_beside_a_clip_comes_before_the_common_one(tmp_path: Path, folder: Path) -> None:
    for name in ("with", "without"):
        write_picture(folder / f"{name}.png")
    own = write_speech(folder / "with.wav", 2.6, seed=1)
    common = write_speech(tmp_path / "common.wav", 5.0, seed=2)
    with_own, without = read_folder(folder, common, 3.0)
    assert with_own.drive is not None and without.drive is not None
    np.testing.assert_array_equal(with_own.drive.pcm, voice_drive(own, 3.0).pcm)
    assert len(with_own.drive.opening) == 65  # all that there is
    np.testing.assert_array_equal(without.drive.pcm, voice_drive(common, 3.0).pcm)
    assert len(without.drive.pcm) == 48_000
    assert read_folder(folder, None, 3.0)[1].drive is None


def test_endings_may_be_large_and_the_common_voice_may_lie_in_the_folder(folder: Path) -> None:
    write_picture(folder / "face.PNG")
    own = write_speech(folder / "face.WAV", seed=1)
    common = write_speech(folder / "all.wav", seed=2)
    (clip,) = read_folder(folder, common, SECONDS)
    assert clip.drive is not None
    np.testing.assert_array_equal(clip.drive.pcm, voice_drive(own, SECONDS).pcm)


def test_beside_another_face_the_judge_looks_round_the_box(tmp_path: Path, folder: Path) -> None:
    write_picture(folder / "two.png", 200, 400)
    (folder / "two.box").write_text("260,40,80,100")
    judge = KnownFace(1.0)
    plan = Plan(SECONDS, own=read_folder(folder, write_speech(tmp_path / "v.wav"), SECONDS))
    clips(Stock(tmp_path / "cache", judge), plan)  # type: ignore[arg-type]
    assert judge.window == (220, 0, 380, 190)


class LoudIsOpen:
    """Hears a pose that follows the loudness of the frame in the middle of each window."""

    def lip_pose(self, mel: np.ndarray, known: np.ndarray) -> np.ndarray:
        assert known.all() and len(known) == len(mel)
        pose = np.zeros((len(mel), 10), np.float32)
        pose[:, 0] = mel[:, :, -17].mean(1)
        return pose


def test_what_is_heard_stands_for_the_mouth_but_in_pauses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = (4000 * rng.normal(size=48_000)).astype(np.int16)
    sound[16_000:32_000] = 0
    told = voice_drive(write_sound(tmp_path / "voice.wav", sound), 3.0)
    drive = heard(LoudIsOpen(), told)  # type: ignore[arg-type]
    unknown = np.flatnonzero(np.isnan(drive.opening))
    assert unknown.tolist() == list(range(29, 50))  # from the fifth silent frame on
    assert np.nanstd(drive.opening) > 0
    assert drive.heard and not told.heard


def lay(folder: Path, case: str) -> list[str]:
    """Something wrong in the folder; the options that go with it."""
    options = ["--voice", str(write_speech(folder.parent / "voice.wav"))]
    if case == "absent":
        folder.rmdir()
        return options
    if case == "empty":
        return options
    clip = write_clip(folder / "clip.mp4", numbered_frames(5))
    if case == "group":
        (folder / "cartoons").mkdir()
    elif case == "nested":
        (folder / "stylised" / "more").mkdir(parents=True)
    elif case == "few seconds":
        options += ["--seconds", "0.5"]
    elif case == "text":
        (folder / "text.mp4").write_text("no picture, no sound\n" * 50)
    elif case == "only sound":
        write_speech(folder / "sound.wav").rename(folder / "sound.mp4")
    elif case == "broken off":
        rng = np.random.default_rng(5)
        noisy = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(25)]
        whole = write_clip(folder / "whole.mp4", noisy, options={"movflags": "+faststart"})
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    elif case == "sizes":
        parts = [write_clip(folder / f"{s}.h264", numbered_frames(5, s)) for s in (64, 96)]
        (folder / "sizes.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    elif case == "silent":
        write_voice(folder / "clip.wav", SECONDS)
    elif case == "short":
        write_speech(folder / "clip.wav", 0.5)
    elif case == "no sound":
        return ["--voice", str(clip)]
    elif case == "no such voice":
        return ["--voice", str(folder / "gone.wav")]
    elif case == "no voice":
        return []
    elif case == "no voice for one":
        write_speech(folder / "clip.wav")
        write_picture(folder / "stylised" / "mute.png")
        return []
    elif case == "voice of nobody":
        write_speech(folder / "clpi.wav")
    elif case == "box of nobody":
        (folder / "other.box").write_text("0,0,32,32")
    else:
        (folder / "clip.box").write_text(case)
    return options


REFUSED = {
    "absent": "no such folder",
    "empty": "no clips in it",
    "group": "cartoons: is not a group; folders may be realistic, stylised, atypical",
    "nested": "more: a group holds clips",
    "text": "text.mp4",
    "only sound": "sound.mp4: holds no picture",
    "broken off": "whole.mp4",
    "sizes": "sizes.mpg: its frames change from 64x64 to 96x96",
    "silent": "clip.wav: is silent",
    "short": "clip.wav: 0.5 s",
    "no sound": "clip.mp4: holds no sound",
    "no such voice": "gone.wav",
    "no voice": "clip.wav beside it",
    "no voice for one": "mute.wav beside it",
    "voice of nobody": "clpi.wav: no clip",
    "box of nobody": "other.box: no clip",
    "few seconds": "--seconds 0.5 are too few",
    "1,2,3": "clip.box: is not four",
    "1,2,3,x": "clip.box: is not four",
    "": "clip.box: is not four",
    "0.5,0,32,32": "clip.box: is not four",
    "40,0,32,32": "clip.box: X,Y,W,H are to be a box inside the 64x64",
    "-1,0,32,32": "clip.box: X,Y,W,H are to be a box inside",
    "0,0,4,32": "clip.box: X,Y,W,H are to be a box inside",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_judged_is_told_in_one_line_and_nothing_is_written(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNISYNC_DATA", str(folder.parent / "no data"))
    options = lay(folder, case)
    before = set(folder.parent.rglob("*"))
    places = ["--output", str(folder.parent / "out"), "--cache", str(folder.parent / "cache")]
    assert evaluate.main(["--clips", str(folder), *places, *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("omnisync evaluate: ")
    assert REFUSED[case] in told.err
    assert set(folder.parent.rglob("*")) == before


def test_without_a_judge_it_is_told_where_to_get_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNISYNC_DATA", str(folder.parent / "no data"))
    write_picture(folder / "face.png")
    options = ["--clips", str(folder), "--voice", str(write_speech(folder.parent / "voice.wav"))]
    (folder.parent / "page.task").write_text("<html>")
    for named, words in (
        ("", "point OMNISYNC_LANDMARKER at"),
        ("gone.task", "gone.task: no such file"),
        ("page.task", "page.task: is no bundle"),
    ):
        monkeypatch.setenv("OMNISYNC_LANDMARKER", named and str(folder.parent / named))
        assert evaluate.main(options) == 2
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--voice", "a.wav"], ["--sets", "clips"], ["--sets", "speaker", "--clips", "a"]]
)
def test_options_that_mean_nothing_together_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate.main(options)
    assert ended.value.code == 2
    assert "--clips" in capsys.readouterr().err


@pytest.mark.data
def test_the_bundle_has_the_mesh_of_the_data_folder(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.landmarker import bundled_mesh, canonical_mesh, landmarker_bundle

    def faces(mesh: np.ndarray) -> set[frozenset[int]]:
        return {frozenset(face) for face in mesh.tolist()}

    known, bundled = canonical_mesh(), bundled_mesh()
    assert len(known) == len(bundled) == 840
    assert faces(known) == faces(bundled)
    monkeypatch.setenv("OMNISYNC_LANDMARKER", str(landmarker_bundle()))
    monkeypatch.setenv("OMNISYNC_DATA", "no data")
    np.testing.assert_array_equal(canonical_mesh(), bundled)


LABELS_PYTHON = """#!{python}
import sys
import numpy as np
print("ready", flush=True)
for line in sys.stdin:
    source, target, window = line.rstrip("\\n").split("\\t")
    assert window == "0 0 200 200"
    count = len(np.load(source, mmap_mode="r"))
    np.savez(target, points=np.tile(np.load({points!r}), (count, 1, 1)))
    print(target, flush=True)
"""


@pytest.mark.data
def test_a_folder_is_judged_without_the_data_folder(
    tmp_path: Path, folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.landmarker import landmarker_bundle

    rows = (data_dir / "heads" / "mediapipe_canonical_face_model.obj").read_text().splitlines()
    corners = [line.split()[1:3] for line in rows if line.startswith("v ")]
    face = np.array(corners, np.float32) * [6, -6] + [100, 90]
    np.save(tmp_path / "face.npy", np.concatenate([face, face[:10]]).astype(np.float32))
    python = tmp_path / "python"
    words = LABELS_PYTHON.format(python=sys.executable, points=str(tmp_path / "face.npy"))
    python.write_text(words)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("OMNISYNC_LANDMARKER", str(landmarker_bundle()))
    monkeypatch.setenv("OMNISYNC_DATA", str(tmp_path / "no data"))
    write_picture(folder / "stylised" / "toon.png", 200, 200)
    (folder / "stylised" / "toon.box").write_text("50,40,100,120")
    options = ["--voice", str(write_speech(tmp_path / "voice.wav")), "--labels-python", str(python)]
    places = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    assert evaluate.main(["--clips", str(folder), *places, *options]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (clip,) = report["sets"]["clips"]["clips"]
    assert (clip["name"], clip["group"]) == ("stylised/toon.png", "stylised")
    assert report["success"] == {"stylised": {"successes": 0, "clips": 1}}
    assert "not in sync" in clip["failures"]  # this judge sees a mouth that never moves
    figures = report["sets"]["clips"]["figures"]
    assert figures["ceiling_r"] > 0.8
    assert figures["outside"] == figures["engine_lost"] == 0
    assert figures["texture_distance"] > 0
    assert figures["learned_confidence"] is None
    assert any("no true mouth" in key for key in report["conditions"])
    assert "no true mouth" in (tmp_path / "out" / "report.md").read_text()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"report.json", "report.md", "clips.jpg"}
