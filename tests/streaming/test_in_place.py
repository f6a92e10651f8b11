import asyncio
import inspect
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.codecs import get_capabilities
from aiortc.codecs.opus import OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpsender import RTCRtpSender
from av import AudioFrame

from streaming import rtc_compat
from streaming.in_place import decode_in_place, encode_in_place
from streaming.looplag import LoopLag

OPUS = next(c for c in get_capabilities("audio").codecs if c.name == "opus")


@pytest.fixture(autouse=True)
def cured() -> None:
    rtc_compat.apply(
        video_kbps=1000, loopback=True, observe=lambda stage, seconds: None, lag=LoopLag()
    )


def packets(count: int) -> list[bytes]:
    encoder, out = OpusEncoder(), []
    tone = (8000 * np.sin(np.arange(960) * 2 * np.pi / 96)).astype(np.int16)
    for index in range(count):
        frame = AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 960 * index
        out += encoder.encode(frame)[0]
    return out


def test_upstream_still_sends_sound_through_threads() -> None:
    assert "self.__loop.run_in_executor" in inspect.getsource(RTCRtpSender._next_encoded_frame)
    assert "self.__decoder_queue.put((codec, encoded_frame))" in inspect.getsource(RTCRtpReceiver)


async def test_encoding_runs_where_it_is_asked_for() -> None:
    sender = SimpleNamespace(_RTCRtpSender__loop=asyncio.get_running_loop())
    encode_in_place(sender)
    ran_in = await sender._RTCRtpSender__loop.run_in_executor(None, threading.get_ident)
    assert ran_in == threading.get_ident()


def test_decoding_delivers_mono_at_once_and_outlives_a_broken_packet() -> None:
    arrived: list[AudioFrame] = []
    track = SimpleNamespace(_queue=SimpleNamespace(put_nowait=arrived.append))
    receiver = SimpleNamespace(_track=track)
    decode_in_place(receiver)
    queue = receiver._RTCRtpReceiver__decoder_queue
    first, second, third = packets(3)
    queue.put((OPUS, JitterFrame(first, 0)))
    queue.put((OPUS, JitterFrame(b"\xff" * 40, 960)))
    queue.put((OPUS, JitterFrame(second, 1920)))
    queue.put((OPUS, JitterFrame(third, 2880)))
    good = [frame for frame in arrived if np.abs(frame.to_ndarray()).max() > 4000]
    assert sum(frame.samples for frame in good) >= 2 * 900
    assert {frame.layout.name for frame in arrived} == {"mono"}
    queue.put(None)
    assert queue.get(timeout=1) is None, "the decoder's thread is told of the end"
