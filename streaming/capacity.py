"""How many calls this machine can carry, from what one costs when the server starts."""

import asyncio
import fractions
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import process_time

import av
import numpy as np
from aiortc.codecs import get_decoder
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from engine.batch import MOST
from engine.costs import CallCosts
from engine.errors import EngineError

from .control import Controls
from .encoders import SteadyVp8Encoder
from .ladder import Effort
from .mediaclock import FPS, Slot
from .settings import Batching
from .worker import Engine, EngineWorker

TICK_BUDGET_MS = 1000 / FPS
USABLE = 0.85  # of all cores; the rest keeps the tails short
# Beside decoding and encoding, the event loop takes 3.8 ms for RTP, SRTP, Opus and its timers
# where the codec takes 2.85 (640x480 at 2 Mbit/s; measured on two cores of an AMD EPYC).
LOOP_PER_CODEC = 1.35
CROWDED = 1.3  # in calls everything takes longer than alone: a tick 15 ms instead of 11.4
PROBE_TICKS = 20
WARM_FRAMES, FRAMES = 6, 15
DEMO = Path(__file__).parent.parent / "web_client" / "demo" / "face.mp4"
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
KBPS = 2000


@dataclass(frozen=True, slots=True)
class CallCost:
    """CPU milliseconds, on all cores together, that one call takes every 40 ms while nothing else
    runs. engine: face, model, paste and conversion of pixels. codec: VP8 decoded and encoded.
    """

    engine_ms: float
    codec_ms: float

    @property
    def loop_ms(self) -> float:
        """Of the event loop, which is one thread."""
        return LOOP_PER_CODEC * self.codec_ms


@dataclass(frozen=True, slots=True)
class Capacity:
    """tick_ms: wall-clock time of a warm tick of the model. seats: calls at a time. sharing:
    windows of one denoiser call; 1 where calls share none.
    """

    tick_ms: float
    seats: int
    sharing: int = 1


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def seats(cost: CallCost, cores: int, shared: CallCosts | None = None) -> int:
    """Calls at a time: what the cores, the event loop and, where calls share them, the denoiser's
    calls leave room for; at least one.
    """
    budget_ms = USABLE * TICK_BUDGET_MS
    of_cores = cores * budget_ms / (CROWDED * (cost.engine_ms + cost.codec_ms + cost.loop_ms))
    of_loop = budget_ms / (CROWDED * cost.loop_ms)
    of_calls = shared.windows_within(budget_ms) if shared else of_loop
    return max(1, int(min(of_cores, of_loop, of_calls)))


async def measure_capacity(engine: Engine, asked: int = 0, batching: Batching = "auto") -> Capacity:
    """Takes about a second of an idle server.

    asked: seats that the operator wants; 0: what is measured. batching: whether calls share
    denoiser calls; auto: where it is measured to pay.
    Raises:
        EngineError: the demo clip, which is measured with, cannot be read.
    """
    tick_ms = await asyncio.to_thread(engine.measure_tick_ms, PROBE_TICKS)
    sharing, costs = (MOST if batching == "on" else 1), None
    if batching == "auto" and asked != 1:
        costs = await asyncio.to_thread(engine.measure_calls)
        sharing = costs.most
    if asked:
        return Capacity(tick_ms, asked, sharing)
    cost = await measure_cost(engine)
    return Capacity(tick_ms, seats(cost, usable_cores(), costs if sharing > 1 else None), sharing)


async def measure_cost(engine: Engine) -> CallCost:
    """Runs the demo clip through a stream of its own and through the codec."""
    encoder, decoder = SteadyVp8Encoder(KBPS), get_decoder(VP8)
    worker = EngineWorker(engine, Controls())
    effort = Effort(engine.facts.slots)
    engine_s = codec_s = 0.0
    try:
        for index, picture in enumerate(_demo_frames()):
            if index == WARM_FRAMES:
                engine_s = codec_s = 0.0
            slot = Slot(index, np.zeros(0, np.int16), picture, False, 0.0, 0.0)
            begin = process_time()
            await worker.step(slot, np.zeros(640, np.int16), Controls(), effort)
            ticked = process_time()
            payloads, timestamp = encoder.encode(picture)
            data = b"".join(VpxPayloadDescriptor.parse(payload)[1] for payload in payloads)
            decoder.decode(JitterFrame(data=data, timestamp=timestamp))
            engine_s += ticked - begin
            codec_s += process_time() - ticked
    finally:
        worker.close()
    return CallCost(1000 * engine_s / FRAMES, 1000 * codec_s / FRAMES)


def _demo_frames() -> Iterator[av.VideoFrame]:
    """640x480 in I420, as a camera's frames are decoded."""
    try:
        with av.open(str(DEMO)) as container:
            frames = islice(container.decode(video=0), WARM_FRAMES + FRAMES)
            for index, frame in enumerate(frames):
                picture = frame.reformat(format="yuv420p")
                picture.pts, picture.time_base = 3600 * index, fractions.Fraction(1, 90_000)
                yield picture
    except av.FFmpegError as error:
        raise EngineError(f"{DEMO.name} of the page cannot be read: {error.strerror}") from error
