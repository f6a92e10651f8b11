"""A real aiortc client of the server: counts what comes back."""

import asyncio
import fractions
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from aiohttp import ClientSession
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240


class Camera(MediaStreamTrack):
    """A bright bar that moves with every frame, at `fps`; a face is nowhere in it."""

    kind = "video"

    def __init__(self, fps: float = 25, picture: NDArray[np.uint8] | None = None) -> None:
        super().__init__()
        self._fps = fps
        self._picture = picture
        self._index = 0
        self._start: float | None = None
        self.paused = asyncio.Event()

    async def recv(self) -> av.VideoFrame:
        now = asyncio.get_running_loop().time
        if self.paused.is_set():
            await asyncio.Event().wait()
        if self._start is None:
            self._start = now()
        await asyncio.sleep(self._start + self._index / self._fps - now())
        picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        if self._picture is not None:
            picture = self._picture.copy()
        column = 32 + self._index * 4 % (WIDTH - 64)
        picture[-32:, column : column + 16] = 230
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = (
            round(self._index * 90_000 / self._fps),
            fractions.Fraction(1, 90_000),
        )
        self._index += 1
        return frame


class Microphone(MediaStreamTrack):
    """A tone in 20 ms frames; never silent, so gaps can be told from pauses."""

    kind = "audio"

    def __init__(self, hertz: float = 440.0) -> None:
        super().__init__()
        self._hertz = hertz
        self._index = 0
        self._start: float | None = None
        self.paused = asyncio.Event()

    async def recv(self) -> av.AudioFrame:
        now = asyncio.get_running_loop().time
        if self.paused.is_set():
            await asyncio.Event().wait()
        if self._start is None:
            self._start = now()
        await asyncio.sleep(self._start + self._index * 0.02 - now())
        n = np.arange(self._index * 960, (self._index + 1) * 960)
        tone = (8000 * np.sin(2 * np.pi * self._hertz * n / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        frame.pts, frame.time_base = self._index * 960, fractions.Fraction(1, 48_000)
        self._index += 1
        return frame


@dataclass
class Caller:
    """One call. `pictures` holds (media seconds, rgb), `sound` (media seconds, samples)."""

    url: str
    http: ClientSession
    camera: Camera = field(default_factory=Camera)
    microphone: Microphone = field(default_factory=Microphone)
    pictures: list[tuple[float, NDArray[np.uint8]]] = field(default_factory=list)
    sound: list[tuple[float, NDArray[np.int16]]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    pc_id: str = ""

    def __post_init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.pc.createDataChannel("control")
        self.channel.on("message", lambda text: self._hear(text))
        self.news = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.pc.on("track", self._receive)

    async def offer(self) -> str:
        self.pc.addTrack(self.microphone)
        self.pc.addTrack(self.camera)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def connect(self, **wishes: Any) -> None:
        body = {"sdp": await self.offer(), "type": "offer", **wishes}
        async with self.http.post(f"{self.url}/api/offer", json=body) as response:
            answer = await response.json(content_type=None)
            assert response.status == 200, answer
        self.pc_id = answer["pc_id"]
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))

    def _receive(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, av.VideoFrame):
                self.pictures.append((frame.time, frame.to_ndarray(format="rgb24")))
            else:
                self.sound.append((frame.time, frame.to_ndarray().reshape(-1, 2)[:, 0]))
            await self._tell()

    def _hear(self, text: str) -> None:
        self.messages.append(json.loads(text))
        self._tasks.append(asyncio.create_task(self._tell()))

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, true: Callable[[], bool], timeout_s: float = 20) -> None:
        """Waits for something received to make `true()` true."""
        async with asyncio.timeout(timeout_s), self.news:
            await self.news.wait_for(true)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
