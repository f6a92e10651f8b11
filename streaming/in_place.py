"""Sound is coded on the event loop instead of in threads.

Encoding or decoding 20 ms takes 0.2 ms. aiortc sends each packet through a thread and back, which
waits for a core and twice for the interpreter's lock: 4 ms p50, 10 ms p95 on two busy cores. The
receiver takes that jitter for the network's, holds sound back for it, and pictures for the sound.
"""

import asyncio
import logging
import queue
from collections.abc import Callable
from typing import Any

import aiortc.rtcrtpreceiver
import av
from aiortc import RTCRtpReceiver, RTCRtpSender

logger = logging.getLogger(__name__)

_receiver: Any = aiortc.rtcrtpreceiver


class _InPlace:
    """Stands for an event loop whose executor is the caller itself."""

    def run_in_executor(
        self, executor: None, call: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(call(*args))
        return future


def encode_in_place(rtp_sender: RTCRtpSender) -> None:
    """Remove when aiortc lets an encoder say where it runs."""
    sender: Any = rtp_sender
    sender._RTCRtpSender__loop = _InPlace()


class _DecodingQueue(queue.Queue[Any]):
    """Takes the place of the queue to the decoder's thread, which then only waits for the end."""

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        super().__init__()
        self._deliver = deliver
        self._codec: str | None = None
        self._decoder: Any = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            super().put(None, block, timeout)
            return
        codec, encoded = item
        if codec.name != self._codec:
            self._codec, self._decoder = codec.name, _receiver.get_decoder(codec)
        try:
            frames = self._decoder.decode(encoded)
        except av.FFmpegError as error:
            logger.debug("a packet of sound cannot be decoded: %s", error)
            return
        for frame in frames:
            self._deliver(frame)


def decode_in_place(rtp_receiver: RTCRtpReceiver) -> None:
    """To be called before media flow. Remove when aiortc decodes sound without a thread."""
    receiver: Any = rtp_receiver

    def deliver(frame: Any) -> None:
        if receiver._track is not None:
            receiver._track._queue.put_nowait(frame)

    receiver._RTCRtpReceiver__decoder_queue = _DecodingQueue(deliver)
