"""Clips, stills and voices as the engine wants them."""

import threading
from collections.abc import Generator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from engine.media import MediaError, Movie, Picture, Voice, read_ahead
from tests.engine.clips import number_of, numbered_frames, write_clip, write_voice


def played(path: Path, count: int) -> list[int]:
    return [number_of(rgb) for rgb in islice(Picture(path).frames(), count)]


def test_a_short_clip_goes_back_and_forth(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered_frames(6))
    assert played(clip, 14) == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "h264"])
def test_going_back_in_blocks_meets_every_frame(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(
        tmp_path / f"clip.{suffix}", numbered_frames(40), options={"g": "12", "bf": "2"}
    )
    picture = Picture(clip)
    picture._block = 7
    there_and_back = [number_of(rgb) for rgb in islice(picture.frames(), 80)]
    assert there_and_back == [*range(40), *range(38, -1, -1), 1]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(50, [0, 2, 4, 6, 8, 10]), (30, [0, 1, 2, 4, 5, 6, 7, 8, 10]), (10, [0, 0, 0, 1, 1, 2, 2, 2])],
)
def test_other_rates_become_25_by_nearest_frame(
    tmp_path: Path, rate: int, expected: list[int]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered_frames(40), rate=rate)
    assert played(clip, len(expected)) == expected


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", numbered_frames(4), pts=[0, 200, 240, 400])
    assert played(clip, 10) == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]


def test_a_still_picture_lasts_and_loses_an_odd_row(tmp_path: Path) -> None:
    seeded = np.random.default_rng(1).integers(0, 255, (65, 51, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "still.png"), seeded)
    picture = Picture(tmp_path / "still.png")
    frames = list(islice(picture.frames(), 60))
    assert (picture.look.width, picture.look.height) == (50, 64)
    assert all(np.array_equal(rgb, seeded[:64, :50, ::-1]) for rgb in frames)


def test_a_percent_sign_in_a_name_is_just_a_sign(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "50%d.png"), np.zeros((32, 32, 3), np.uint8))
    assert Picture(tmp_path / "50%d.png").look.width == 32


def test_a_camera_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:, 32:] = 250
    stored = np.rot90(upright)
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    # EXIF: one entry, orientation (0x0112) 6, that is "turn clockwise by 90 degrees to see it".
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    exif = b"Exif\0\0MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "sideways.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    rgb = next(Picture(tmp_path / "sideways.jpg").frames())
    assert rgb.shape == (32, 64, 3)
    assert rgb[:, :28].mean() < 10
    assert rgb[:, 36:].mean() > 240


def test_a_voice_comes_in_ticks_and_ends_exactly(tmp_path: Path) -> None:
    voice = Voice(write_voice(tmp_path / "v.wav", 1.01, clicks_s=[0.52], hz=44_100))
    ticks = list(voice.ticks())
    assert len(ticks) == 26 == voice.length_ticks + 1
    assert all(tick.pcm.shape == (640,) for tick in ticks)
    sound = np.concatenate([tick.sound for tick in ticks], axis=1)
    assert sound.shape == (1, round(1.01 * 48_000))
    pcm = np.concatenate([tick.pcm for tick in ticks])
    for signal, hz in ((pcm, 16_000), (sound[0], 48_000)):
        assert np.argmax(np.abs(signal) > 3000) / hz == pytest.approx(0.52, abs=0.002)


@pytest.mark.parametrize("kind", [Picture, Voice])
def test_what_holds_nothing_is_refused_in_one_line(
    tmp_path: Path, kind: type[Picture] | type[Voice]
) -> None:
    (tmp_path / "text.txt").write_text("no picture, no sound\n" * 50)
    (tmp_path / "empty.mp4").touch()
    write_voice(tmp_path / "only_sound.wav", 0.2)
    write_clip(tmp_path / "only_picture.mp4", numbered_frames(3))
    wrong = {Picture: "only_sound.wav", Voice: "only_picture.mp4"}[kind]
    for name in ("text.txt", "empty.mp4", "absent.mp4", wrong):
        with pytest.raises(MediaError, match=name) as caught:
            kind(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_read_ahead_hands_an_error_over_in_its_place() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise MediaError("broken")

    ahead = read_ahead(source(), 4)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(MediaError, match="broken"):
        next(ahead)


def test_closing_read_ahead_closes_its_source_and_ends_its_thread() -> None:
    closed = threading.Event()

    def source() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    ahead = read_ahead(source(), 2)
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert threading.active_count() == before


def tone(path: Path, seconds: float, channels: int = 1, hz: int = 16_000) -> Path:
    """A tone as FFmpeg writes it by the ending of `path`."""
    wave = (8000 * np.sin(np.arange(round(seconds * hz)) * 0.2)).astype(np.int16)
    with av.open(str(path), "w") as container:
        layout = "stereo" if channels == 2 else "mono"
        stream = container.add_stream(
            "libmp3lame" if path.suffix == ".mp3" else "aac", rate=hz, layout=layout
        )
        packed = np.tile(wave, (channels, 1)).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "s16", layout)
        frame.sample_rate = hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def length_s(path: Path) -> float:
    return sum(len(tick.sound[0]) for tick in Voice(path).ticks()) / 48_000


def test_a_broken_packet_is_left_out_and_the_rest_is_heard(tmp_path: Path) -> None:
    path = tone(tmp_path / "voice.mp3", 3.0)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    path.write_bytes(content)
    assert length_s(path) == pytest.approx(3.0, abs=0.3)


def test_a_recording_may_change_its_channels_on_the_way(tmp_path: Path) -> None:
    one, two = tone(tmp_path / "one.aac", 1.0), tone(tmp_path / "two.aac", 1.0, channels=2)
    joined = tmp_path / "joined.aac"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    assert length_s(joined) == pytest.approx(2.0, abs=0.3)


def test_it_is_told_how_much_later_than_its_picture_a_voice_begins(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=25)
        film.width = film.height = 64
        film.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for k, rgb in enumerate(numbered_frames(20)):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(film.encode(frame))
        container.mux(film.encode())
        heard = av.AudioFrame.from_ndarray(np.ones((1, 16_000), np.int16), "s16", "mono")
        heard.sample_rate, heard.pts, heard.time_base = 16_000, 12_000, Fraction(1, 16_000)
        container.mux(sound.encode(heard))
        container.mux(sound.encode())
    assert Voice(path).late_s == pytest.approx(0.75, abs=0.02)
    assert Voice(tone(tmp_path / "voice.mp3", 1.0)).late_s == pytest.approx(0.0, abs=0.1)


def test_a_colon_in_a_name_is_just_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film = Picture(write_clip(tmp_path / "in.mp4", numbered_frames(3)))
    with Movie(Path("12:30.mp4"), film.look, 1) as movie:
        for rgb in film.once():
            movie.write_frame(rgb)
    assert (tmp_path / "12:30.mp4").stat().st_size > 0
