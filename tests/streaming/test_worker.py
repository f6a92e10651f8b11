"""One call's stream on its thread."""

from dataclasses import replace

import av
import numpy as np

from streaming.control import Controls
from streaming.ladder import Effort
from streaming.mediaclock import Slot
from streaming.worker import EngineWorker
from tests.streaming.double import DoubleEngine


async def test_a_box_drawn_on_a_large_picture_is_scaled_to_what_the_engine_sees() -> None:
    engine = DoubleEngine()
    controls = Controls(face_box=(960.0, 540.0, 480.0, 480.0))
    worker = EngineWorker(engine, controls)
    large = av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), format="rgb24")
    slot = Slot(0, np.zeros(1920, np.int16), large.reformat(format="yuv420p"), False, 0.0, 0.0)
    await worker.step(slot, np.zeros(640, np.int16), controls, Effort(3))
    assert engine.streams[0].face_box == (640, 360, 320, 320)
    worker.close()


async def test_a_frame_that_was_bypassed_says_nothing_of_a_face() -> None:
    worker = EngineWorker(DoubleEngine(), Controls())
    picture = av.VideoFrame(16, 16, "yuv420p")
    slot = Slot(0, np.zeros(1920, np.int16), picture, False, 0.0, 0.0)
    found = []
    for index, bypass in enumerate([False] * 3 + [True] * 3 + [False] * 4):
        voice = np.zeros(640, np.int16)
        want = Controls(bypass=bypass)
        done = await worker.step(replace(slot, index=index), voice, want, Effort(3))
        found += [picture.face_found for picture in done]
    assert found == [True] * 3 + [None] * 3 + [True] * 2
    worker.close()
