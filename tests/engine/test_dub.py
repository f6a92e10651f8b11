"""`omnisync dub`: whole files in, a whole file out, or none."""

from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from engine import dub as command
from engine.dub import DubJob, dub, main
from engine.media import Voice
from tests.engine.clips import (
    number_of,
    numbered_frames,
    read_frames,
    read_sound,
    write_clip,
    write_sound,
    write_voice,
)
from tests.engine.doubles import DelayingEngine, DelayingStream

DEMO = Path(__file__).parents[2] / "web_client" / "demo"


def textured(height: int, width: int) -> np.ndarray:
    """A colourful picture with detail in its light and, as in a camera's, less in its colour."""
    rng = np.random.default_rng(3)
    light = rng.uniform(50, 200, (height // 4, width // 4, 1)) * np.ones(3)
    colour = rng.uniform(-40, 40, (height // 32, width // 32, 3))
    layers = [cv2.resize(part, (width, height)) for part in (light, colour)]
    return np.clip(np.sum(layers, axis=0), 0, 255).astype(np.uint8)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_the_output_is_as_long_as_the_voice_and_plays_everywhere(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered_frames(10, size=66))
    voice = write_voice(tmp_path / "voice.wav", 1.3, hz=22_050)
    report = dub(DelayingEngine(), DubJob(clip, voice, tmp_path / "out.mp4"))
    assert report.frames == 33
    with av.open(str(tmp_path / "out.mp4")) as out:
        picture, sound = out.streams.video[0], out.streams.audio[0]
        assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert (picture.average_rate, picture.frames) == (25, 33)
        assert (picture.width, picture.height, picture.pix_fmt) == (66, 66, "yuv420p")
        assert float(sound.duration * sound.time_base) == pytest.approx(1.3, abs=0.03)
    back_and_forth = [*range(10), *range(8, -1, -1), *range(1, 10), *range(8, 3, -1)]
    frames = read_frames(tmp_path / "out.mp4")
    assert [number_of(rgb) for rgb in frames] == back_and_forth


def test_picture_and_sound_stay_together(tmp_path: Path) -> None:
    clicks_s = (0.4, 1.2, 1.96)
    clip = write_clip(tmp_path / "clip.mp4", [textured(64, 64)] * 5)
    voice = write_voice(tmp_path / "voice.wav", 2.2, clicks_s=clicks_s)
    dub(DelayingEngine(), DubJob(clip, voice, tmp_path / "out.mp4"))
    lit = read_frames(tmp_path / "out.mp4")[:, 10:22, 10:22].mean(axis=(1, 2, 3)) > 230
    assert np.flatnonzero(lit).tolist() == [round(at * 25) for at in clicks_s]
    sound, hz = read_sound(tmp_path / "out.mp4")
    for at in clicks_s:
        near = sound[round((at - 0.1) * hz) : round((at + 0.1) * hz)]
        onset_s = at - 0.1 + np.argmax(np.abs(near) > 0.1) / hz
        assert onset_s == pytest.approx(at, abs=0.005)


@pytest.mark.parametrize("source", ["bt709.mp4", "untagged.mp4", "full_range.jpg", "rgb.png"])
def test_untouched_pixels_keep_their_colour(tmp_path: Path, source: str) -> None:
    picture = textured(128, 160)
    path = tmp_path / source
    if path.suffix == ".mp4":
        write_clip(path, [picture] * 3, matrix=1 if source == "bt709.mp4" else 2)
    else:
        cv2.imwrite(str(path), picture[:, :, ::-1])
    voice = write_voice(tmp_path / "voice.wav", 0.4)
    dub(DelayingEngine(), DubJob(path, voice, tmp_path / "out.mp4"))
    before, after = read_frames(path)[0], read_frames(tmp_path / "out.mp4")
    assert psnr_db(after[5], before) > 36
    assert np.abs(after[5].mean(axis=(0, 1)) - before.mean(axis=(0, 1))).max() < 1.5


def test_strength_and_box_reach_the_engine_and_the_stream_is_closed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered_frames(2))
    voice = write_voice(tmp_path / "voice.wav", 0.2)
    engine = DelayingEngine()
    job = DubJob(clip, voice, tmp_path / "out.mp4", strength=1.4, face_box=(4, 6, 32, 40))
    dub(engine, job)
    assert engine.asked == [(1.4, (4, 6, 32, 40))]
    assert engine.streams[0].closed


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip and a voice, in which the command runs with the stand-in engine."""
    write_clip(tmp_path / "clip.mp4", numbered_frames(5))
    write_voice(tmp_path / "voice.wav", 1)
    write_voice(tmp_path / "empty.wav", 0)
    (tmp_path / "notes.txt").write_text("not a picture\n" * 99)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.LipSyncEngine, "load", lambda **_: DelayingEngine())
    return tmp_path


def arguments(**changes: str) -> list[str]:
    given = {"video": "clip.mp4", "audio": "voice.wav", "output": "out.mp4"} | changes
    return [
        part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)
    ]


def test_the_command_writes_the_file_and_says_nothing(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(strength="0.5", face_box="0,0,64,64")) == 0
    assert (at_work / "out.mp4").stat().st_size > 1000
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"video": "absent.mp4"},
        {"video": "notes.txt"},
        {"video": "voice.wav"},
        {"audio": "clip.mp4"},
        {"audio": "notes.txt"},
        {"audio": "empty.wav"},
        {"output": "no/such/folder/out.mp4"},
        {"output": "."},
        {"output": "clip.mp4"},
        {"face_box": "40,0,64,64"},
        {"face_box": "1,2,3"},
        {"strength": "3"},
        {"strength": "much"},
    ],
)
def test_bad_input_ends_with_2_one_line_and_no_file(
    at_work: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str]
) -> None:
    before = {path: path.read_bytes() for path in at_work.iterdir()}
    try:
        code = main(arguments(**changes))
    except SystemExit as exit_:  # argparse's way out
        code = exit_.code
    assert code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("omnisync dub: ")
    assert told.err.count("\n") == 1
    assert {path: path.read_bytes() for path in at_work.iterdir()} == before


def test_a_clip_that_breaks_off_leaves_no_file(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    noisy = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(25)]
    whole = write_clip(at_work / "whole.mp4", noisy, options={"movflags": "+faststart"})
    (at_work / "half.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    before = set(at_work.iterdir())
    assert main(arguments(video="half.mp4")) == 2
    assert "half.mp4" in capsys.readouterr().err
    assert set(at_work.iterdir()) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("engine broke")])
def test_what_stops_the_work_half_way_leaves_no_file(
    at_work: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    push = DelayingStream.push_frame

    def push_until_ten(stream: DelayingStream, rgb: np.ndarray) -> object:
        if stream.frames == 10:
            raise error
        return push(stream, rgb)

    monkeypatch.setattr(DelayingStream, "push_frame", push_until_ten)
    before = set(at_work.iterdir())
    if isinstance(error, KeyboardInterrupt):
        assert main(arguments()) == 130
    else:
        with pytest.raises(RuntimeError, match="engine broke"):
            main(arguments())
    assert set(at_work.iterdir()) == before


def test_the_demo_face_speaks_and_everything_round_its_mouth_stays(tmp_path: Path) -> None:
    face, spoken = DEMO / "face.mp4", DEMO / "voice.mp3"
    start = islice(Voice(spoken).ticks(), 50)
    voice = write_sound(tmp_path / "voice.wav", np.concatenate([tick.pcm for tick in start]))
    report = dub(
        command.LipSyncEngine.load(runtime="onnxruntime"), DubJob(face, voice, tmp_path / "out.mp4")
    )
    assert (report.frames, report.without_face) == (50, 0)
    before, after = read_frames(face)[:50], read_frames(tmp_path / "out.mp4")
    mouth, rest = np.s_[:, 260:340, 270:370], np.s_[:, :240]
    assert psnr_db(after[rest], before[rest]) > 36
    assert psnr_db(after[mouth], before[mouth]) < psnr_db(after[rest], before[rest]) - 3
