"""Small media files made on the spot, and a look into those that were written."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    rate: int = 25,
    pts: Sequence[int] | None = None,
    matrix: int = 2,
    options: dict[str, str] | None = None,
) -> Path:
    """A silent H.264 clip of uint8 RGB frames; `pts` in milliseconds replaces a constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8"} | (options or {}))
        base = Fraction(1, 1000) if pts else Fraction(1, rate)
        context = stream.codec_context
        context.height, context.width = frames[0].shape[:2]
        context.pix_fmt, context.time_base, context.colorspace = "yuv420p", base, matrix
        for order, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
                format="yuv420p", dst_colorspace="itu709" if matrix == 1 else "itu601"
            )
            frame.pts, frame.time_base = pts[order] if pts else order, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered_frames(count: int, size: int = 64) -> list[np.ndarray]:
    """Plain frames; `number_of` reads each one's place back from its brightness."""
    return [np.full((size, size, 3), 20 + 5 * number, np.uint8) for number in range(count)]


def number_of(rgb: np.ndarray) -> int:
    return round((float(rgb.mean()) - 20) / 5)


def write_voice(
    path: Path, seconds: float, clicks_s: Sequence[float] = (), hz: int = 16_000
) -> Path:
    """Silence with 20 ms bursts of a tone, mono."""
    sound = np.zeros(round(seconds * hz), np.int16)
    burst = (12_000 * np.sin(2 * np.pi * 1000 * np.arange(hz // 50) / hz)).astype(np.int16)
    for click_s in clicks_s:
        start = round(click_s * hz)
        sound[start : start + len(burst)] = burst
    return write_sound(path, sound, hz)


def write_sound(path: Path, sound: np.ndarray, hz: int = 16_000) -> Path:
    """int16 (samples,) as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(hz)
        file.writeframes(sound.tobytes())
    return path


def read_frames(path: Path) -> np.ndarray:
    """uint8 RGB (T, H, W, 3)."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """float32 (samples,) of the first channel from the time 0 on, and its rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    assert frames[0].time == 0
    return np.concatenate([f.to_ndarray()[0] for f in frames]), frames[0].sample_rate
