"""A stand-in for the engine, for tests of what surrounds it."""

from collections import deque

import numpy as np

from engine import Person, SyncedFrame

LOUD = 4000


class DelayingStream:
    """Gives each frame back two ticks later, with a white square where its sound was loud."""

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []
        self.waiting: deque[SyncedFrame] = deque()
        self.frames = 0
        self.closed = False

    def push_audio(self, pcm: np.ndarray) -> None:
        assert pcm.dtype == np.int16
        assert pcm.shape == (640,)
        self.heard.append(pcm)

    def push_frame(self, rgb: np.ndarray) -> list[SyncedFrame]:
        mask = np.zeros(rgb.shape[:2], np.float32)
        if np.abs(self.heard[self.frames].astype(int)).max() > LOUD:
            mask[8:24, 8:24] = 1
        painted = np.where(mask[..., None] > 0, np.uint8(255), rgb)
        self.waiting.append(SyncedFrame(self.frames, painted, mask, True))
        self.frames += 1
        return [self.waiting.popleft()] if len(self.waiting) > 2 else []

    def flush(self) -> list[SyncedFrame]:
        rest = list(self.waiting)
        self.waiting.clear()
        return rest

    def close(self) -> None:
        self.closed = True


class DelayingEngine:
    def __init__(self) -> None:
        self.streams: list[DelayingStream] = []
        self.asked: list[tuple[float, tuple[int, int, int, int] | None]] = []

    def open_stream(
        self,
        strength: float = 1.0,
        face_box: tuple[int, int, int, int] | None = None,
        *,
        person: Person | None = None,
        patient: bool = False,
    ) -> DelayingStream:
        assert patient  # what is offline has time to search
        self.asked.append((strength, face_box))
        self.streams.append(DelayingStream())
        return self.streams[-1]
