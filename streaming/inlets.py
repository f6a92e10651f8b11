"""The pumps of one call: remote tracks drained at once into bounded places.

aiortc's own queues have no bound: who does not drain them gets growing delay and memory.
"""

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from .colour import Colour
from .mediaclock import MediaClock
from .sound import RATE_HZ, Pcm, SoundTimeline

Now = Callable[[], float]


async def pump_camera(
    track: MediaStreamTrack,
    colour: Colour,
    clock: MediaClock[av.VideoFrame],
    now: Now,
    seen: Callable[[int], None],
) -> None:
    """Offers each frame to the media clock, which keeps the newest. Ends with the track.

    seen: told after each frame how many unused ones it replaced.
    """
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, av.VideoFrame)
        colour.mark(frame)
        before = clock.superseded
        clock.offer(frame, now())
        seen(clock.superseded - before)


async def pump_sound(
    track: MediaStreamTrack, timeline: SoundTimeline, now: Now, heard: Callable[[], None]
) -> None:
    """Sets each packet into the timeline and tells `heard`. Ends with the track."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert (
            isinstance(frame, av.AudioFrame)
            and frame.pts is not None
            and frame.time_base is not None
        )
        timestamp = int(frame.pts * RATE_HZ * frame.time_base)
        timeline.write(timestamp, mono(frame, resampler), now())
        heard()


def mono(frame: av.AudioFrame, resampler: av.AudioResampler) -> Pcm:
    """(samples,) int16 at 48 kHz: an Opus frame as it is, others by resampling."""
    if (frame.sample_rate, frame.format.name, frame.layout.name) == (RATE_HZ, "s16", "mono"):
        samples: Any = frame.to_ndarray().reshape(-1)
        return samples
    parts = [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
