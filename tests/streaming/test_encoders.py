"""What the encoders leave of a re-synced picture: outside the mask it is the source, coded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc.mediastreams import VIDEO_TIME_BASE

from engine import LipSyncEngine, SyncedFrame
from streaming import encoders
from streaming.encoders import FPS, FastH264Encoder, SteadyVp8Encoder
from streaming.settings import Settings

DEMO = Path(__file__).parents[2] / "web_client" / "demo"
FRAMES = 50
FIRST_JUDGED = 10  # the rate control is settling before
LEAST_DB = 36.0


def demo_frames() -> Iterator[np.ndarray]:
    with av.open(str(DEMO / "face.mp4")) as container:
        for _, frame in zip(range(FRAMES), container.decode(video=0), strict=False):
            yield frame.to_ndarray(format="rgb24")


@pytest.fixture(scope="module")
def synced() -> list[tuple[np.ndarray, SyncedFrame]]:
    """Source and re-synced frames of the demo face, driven by its own voice."""
    resampler = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(DEMO / "voice.mp3")) as container:
        parts = [
            p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)
        ]
    pcm = np.concatenate(parts)
    stream = LipSyncEngine.load(runtime="onnxruntime").open_stream()
    sources, out = [], []
    for t, rgb in enumerate(demo_frames()):
        stream.push_audio(pcm[640 * t : 640 * (t + 1)])
        sources.append(rgb)
        out += stream.push_frame(rgb)
    out += stream.flush()
    return list(zip(sources, out, strict=True))


def vp8_frames(frames: list[av.VideoFrame], kbps: int) -> Iterator[av.VideoFrame]:
    encoder = SteadyVp8Encoder(kbps)
    decoder = av.CodecContext.create("vp8", "r")
    for k, frame in enumerate(frames):
        payloads, _ = encoder.encode(frame, force_keyframe=k == 0)
        # RFC 7741: the descriptor's X bit is set, its extension holds a 15-bit picture id.
        yield from decoder.decode(av.Packet(b"".join(p[4:] for p in payloads)))


def h264_frames(frames: list[av.VideoFrame], kbps: int) -> Iterator[av.VideoFrame]:
    encoder = FastH264Encoder(kbps)
    decoder = av.CodecContext.create("h264", "r")
    for k, frame in enumerate(frames):
        units = encoder._encode_frame(frame, k == 0)
        yield from decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + bytes(u) for u in units)))
    yield from decoder.decode(None)


@pytest.mark.parametrize("coded", [vp8_frames, h264_frames])
def test_outside_the_mask_the_source_survives_the_codec(
    synced: list[tuple[np.ndarray, SyncedFrame]],
    coded: Callable[[list[av.VideoFrame], int], Iterator[av.VideoFrame]],
) -> None:
    pictures = []
    for k, (_, frame) in enumerate(synced):
        picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = k * 90_000 // FPS, VIDEO_TIME_BASE
        pictures.append(picture)
    decoded = [f.to_ndarray(format="rgb24") for f in coded(pictures, Settings().video_kbps)]
    assert len(decoded) == len(synced)
    errors = []
    for (source, frame), shown in list(zip(synced, decoded, strict=True))[FIRST_JUDGED:]:
        assert frame.mask is not None
        outside = frame.mask == 0
        assert np.array_equal(frame.rgb[outside], source[outside])
        errors.append(np.mean((shown[outside].astype(float) - source[outside]) ** 2))
    psnr = 10 * np.log10(255**2 / np.mean(errors))
    print(f"{coded.__name__}: {psnr:.1f} dB")
    assert psnr >= LEAST_DB, f"{psnr:.1f} dB"


def test_keyframe_of_a_low_rate_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for reopened_above in (encoders.REOPENED_ABOVE, 1000):
        monkeypatch.setattr(encoders, "REOPENED_ABOVE", reopened_above)
        encoder, coded = SteadyVp8Encoder(Settings().video_kbps), []
        for k, rgb in enumerate(demo_frames()):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts, picture.time_base = k * 90_000 // FPS, VIDEO_TIME_BASE
            if k == 25:
                encoder.target_bitrate = 200_000
            payloads, _ = encoder.encode(picture, force_keyframe=k == 30)
            coded.append(sum(map(len, payloads)))
        sizes.append(sum(coded[30:36]))  # with those after it, which mend what it left coarse
    assert sizes[0] < 0.8 * sizes[1]
