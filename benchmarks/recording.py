"""A call's media, encoded once: VP8 pictures with stamps and Opus sound, to be sent many times."""

import fractions
from dataclasses import dataclass

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from engine.media import FPS

from .material import RATE_HZ, Material, draw_stamp

PACKET_S = 0.01  # of sound; the server asks for 10 ms
PACKET = RATE_HZ // 100  # samples
KEYFRAME_EVERY = 37  # pictures; where a receiver asks for one, the recording goes on at the next
SOUND_BPS = 48_000


@dataclass(frozen=True, slots=True)
class Recording:
    """Both loop. pictures: VP8 frames, the n-th stamped n; keyframes: which need no other.
    sound: Opus packets of 10 ms; heard: int16 (S,) mono 48 kHz, what a decoder makes of them.
    """

    pictures: list[bytes]
    keyframes: list[int]
    sound: list[bytes]
    heard: NDArray[np.int16]


def record(material: Material, kbps: int, *, sound_s: float = 60.0) -> Recording:
    """Pictures there and back at `kbps`; at most `sound_s` of the voice."""
    pictures = material.there_and_back
    keyframes = list(range(0, len(pictures), KEYFRAME_EVERY))
    count = min(len(material.voice), round(sound_s * RATE_HZ)) // PACKET
    sound = _encode_sound(material.voice[: count * PACKET])
    return Recording(_encode(pictures, keyframes, kbps), keyframes, sound, _decode_sound(sound))


def _encode(pictures: list[NDArray[np.uint8]], keyframes: list[int], kbps: int) -> list[bytes]:
    codec = av.CodecContext.create("libvpx", "w")
    codec.height, codec.width = pictures[0].shape[:2]
    codec.pix_fmt, codec.bit_rate, codec.thread_count = "yuv420p", 1000 * kbps, 1
    codec.framerate, codec.time_base = fractions.Fraction(FPS), fractions.Fraction(1, FPS)
    codec.gop_size, codec.qmin, codec.qmax = 3000, 2, 56
    codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
    encoded = []
    for number, picture in enumerate(pictures):
        rgb = picture.copy()
        draw_stamp(rgb, number)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, codec.time_base
        frame.pict_type = PictureType.I if number in keyframes else PictureType.NONE
        encoded.append(b"".join(bytes(packet) for packet in codec.encode(frame)))
    return encoded


def _encode_sound(samples: NDArray[np.int16]) -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE_HZ, "mono", "s16"
    codec.bit_rate = SOUND_BPS
    codec.options = {"application": "voip", "frame_duration": "10"}
    packets = []
    for start in range(0, len(samples), PACKET):
        frame = av.AudioFrame.from_ndarray(
            samples[None, start : start + PACKET], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = RATE_HZ, start
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def _decode_sound(packets: list[bytes]) -> NDArray[np.int16]:
    codec = av.CodecContext.create("libopus", "r")
    codec.sample_rate, codec.layout = RATE_HZ, "mono"
    decoded = [
        frame.to_ndarray().reshape(-1)
        for packet in packets
        for frame in codec.decode(av.Packet(packet))
    ]
    samples = np.concatenate(decoded)
    if samples.dtype.kind == "f":
        samples = np.clip(np.rint(32768 * samples), -32768, 32767)
    return samples.astype(np.int16)
