"""What is sent: a face from one file, below a band for stamps, and a voice from another.

The band's layout is that of pages/stamp.js.
"""

import os
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.media import FPS, MediaError, Picture, Voice

from .errors import BenchError
from .figures import STAMP_BITS
from .processes import ROOT

WIDTH, HEIGHT = 640, 480
BAND = 40  # px above the picture; the stamp takes 32 of them
BLOCK = 16
LEAST_CONTRAST = 50  # grey levels between a bit and its inverse
RATE_HZ = 48_000
PICTURES = 3 * FPS  # of the clip; they are shown forwards and backwards
MAX_VOICE_S = 60
JPEG_QUALITY = 92
NAMES = ("grid_s1_bbaf2n.mpg", "grid_s1_bbal7s.mpg")  # whose face, whose voice
BUNDLED = ("face.mp4", "voice.mp3")

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Material:
    """pictures: uint8 (480, 640, 3); voice: int16 (S,) mono 48 kHz; names: for the report."""

    pictures: list[Rgb]
    voice: NDArray[np.int16]
    names: tuple[str, str]

    @property
    def there_and_back(self) -> list[Rgb]:
        """The pictures forwards and backwards: a loop without a jump."""
        return [*self.pictures, *self.pictures[-2:0:-1]]

    def jpeg(self, index: int) -> bytes:
        bgr = cv2.cvtColor(self.pictures[index], cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return data.tobytes()

    def write_wav(self, path: Path) -> None:
        with wave.open(str(path), "wb") as sink:
            sink.setnchannels(1)
            sink.setsampwidth(2)
            sink.setframerate(RATE_HZ)
            sink.writeframes(self.voice.tobytes())

    def write_camera(self, path: Path) -> None:
        """YUV4MPEG2 at 25 fps: of a motion JPEG Chromium assumes 30. Stamps count the frames."""
        with path.open("wb") as sink:
            sink.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
            for number, picture in enumerate(self.there_and_back):
                rgb = picture.copy()
                draw_stamp(rgb, number)
                sink.write(b"FRAME\n" + cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).tobytes())
            sink.flush()
            os.fsync(sink.fileno())  # or the system writes 70 MB to the disk during the call


def load_material(picture: Path | None, voice: Path | None) -> Material:
    """Of the given files; else of the data folder's clips; else of the bundled demo.

    Raises BenchError if a file cannot be used.
    """
    default_picture, default_voice = _defaults()
    picture, voice = picture or default_picture, voice or default_voice
    try:
        pictures = [_framed(rgb) for rgb in islice(Picture(picture).frames(), PICTURES)]
        sound = np.concatenate(list(_samples(Voice(voice))))
    except MediaError as error:
        raise BenchError(str(error)) from error
    return Material(pictures, sound, (picture.name, voice.name))


def _defaults() -> tuple[Path, Path]:
    clips = Path(os.environ.get("OMNISYNC_DATA") or ROOT.parent / "shared" / "data") / "clips"
    wanted = clips / NAMES[0], clips / NAMES[1]
    if all(path.is_file() for path in wanted):
        return wanted
    demo = ROOT / "web_client" / "demo"
    return demo / BUNDLED[0], demo / BUNDLED[1]


def _samples(voice: Voice) -> Iterator[NDArray[np.int16]]:
    for tick in islice(voice.ticks(), MAX_VOICE_S * FPS):
        yield tick.sound.mean(axis=0).astype(np.int16)


def _framed(rgb: Rgb) -> Rgb:
    """Scaled to fit below the band, on black."""
    height, width = rgb.shape[:2]
    scale = min(WIDTH / width, (HEIGHT - BAND) / height)
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    framed = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left = (WIDTH - size[0]) // 2
    framed[BAND : BAND + size[1], left : left + size[0]] = cv2.resize(rgb, size, interpolation=how)
    return framed


def draw_stamp(rgb: Rgb, value: int) -> None:
    """Writes 24 bits as blocks into the top rows, in place: the bits, and their inverse below."""
    for bit in range(STAMP_BITS):
        on = value >> bit & 1
        columns = slice(bit * BLOCK, (bit + 1) * BLOCK)
        rgb[:BLOCK, columns] = 255 * on
        rgb[BLOCK : 2 * BLOCK, columns] = 255 * (1 - on)


def read_stamp(luma: NDArray[np.uint8]) -> int | None:
    """The 24 bits in the top rows of (H, W); None where they cannot be told."""
    middles = np.arange(STAMP_BITS) * BLOCK + BLOCK // 2
    if luma.shape[0] < 2 * BLOCK or luma.shape[1] <= middles[-1]:
        return None
    upper = luma[BLOCK // 2, middles].astype(int)
    lower = luma[BLOCK + BLOCK // 2, middles].astype(int)
    if np.abs(upper - lower).min() < LEAST_CONTRAST:
        return None
    return int(((upper > lower).astype(int) << np.arange(STAMP_BITS)).sum())
