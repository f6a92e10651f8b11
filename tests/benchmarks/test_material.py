"""What the benchmarks send."""

import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from benchmarks.errors import BenchError
from benchmarks.figures import STAMP_BITS
from benchmarks.material import BAND, BLOCK, Material, load_material

DEMO = Path(__file__).parents[2] / "web_client" / "demo"


@pytest.fixture(scope="module")
def material() -> Material:
    return load_material(DEMO / "face.mp4", DEMO / "voice.mp3")


def stamp_of(rgb: np.ndarray) -> int:
    """The 24 bits as the page reads them: upper row against lower row."""
    middles = np.arange(STAMP_BITS) * BLOCK + BLOCK // 2
    upper, lower = rgb[BLOCK // 2, middles, 1], rgb[BLOCK + BLOCK // 2, middles, 1]
    return sum(int(a > b) << bit for bit, (a, b) in enumerate(zip(upper, lower, strict=True)))


def test_pictures_leave_the_band_to_the_stamp(material: Material) -> None:
    assert material.pictures
    for picture in material.pictures:
        assert picture.shape == (480, 640, 3)
        assert not picture[:BAND].any()
    assert material.pictures[0][BAND:].std() > 10


def test_camera_file_plays_there_and_back_with_counted_stamps(
    material: Material, tmp_path: Path
) -> None:
    few = Material(material.pictures[:4], material.voice, material.names)
    few.write_camera(tmp_path / "camera.y4m")
    with av.open(str(tmp_path / "camera.y4m")) as camera:
        assert camera.streams.video[0].average_rate == 25
        frames = [frame.to_ndarray(format="rgb24") for frame in camera.decode(video=0)]
    assert [stamp_of(rgb) for rgb in frames] == [0, 1, 2, 3, 4, 5]
    below = [rgb[BAND:].astype(float) for rgb in frames]
    assert np.abs(below[1] - below[5]).mean() < np.abs(below[1] - below[4]).mean()
    assert np.array_equal(below[2], below[4])


def test_voice_is_written_as_it_is(material: Material, tmp_path: Path) -> None:
    material.write_wav(tmp_path / "voice.wav")
    with wave.open(str(tmp_path / "voice.wav")) as source:
        assert (source.getframerate(), source.getnchannels()) == (48_000, 1)
        samples = np.frombuffer(source.readframes(source.getnframes()), np.int16)
    assert np.array_equal(samples, material.voice)
    assert np.abs(samples).max() > 3000


def test_pictures_travel_as_jpeg(material: Material) -> None:
    bgr = cv2.imdecode(np.frombuffer(material.jpeg(0), np.uint8), cv2.IMREAD_COLOR)
    assert cv2.PSNR(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), material.pictures[0]) > 30


def test_file_without_a_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture\n" * 100)
    with pytest.raises(BenchError, match=r"notes\.txt"):
        load_material(tmp_path / "notes.txt", None)
