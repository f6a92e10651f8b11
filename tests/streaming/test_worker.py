"""One call's stream on its thread."""

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
