"""What the network, the codecs and the browser cost by themselves: an echo of picture and sound.

The same aiortc cures, codec, bit rate and event loop as the server; between decoder and encoder
there is nothing but "the newest picture". It speaks the part of the HTTP contract that the web
client uses.
"""

import argparse
import asyncio
import secrets
import signal
from collections import deque
from pathlib import Path
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av.frame import Frame

from streaming import rtc_compat
from streaming.in_place import decode_in_place, encode_in_place
from streaming.looplag import LoopLag
from streaming.sdp import strip_mdns, tune_answer
from streaming.settings import load_settings

PAGE = Path(__file__).parent.parent / "web_client"
HELD = {"video": 1, "audio": 50}  # frames; beyond them the oldest goes


class EchoTrack(MediaStreamTrack):
    """Gives back what a remote track gives, newest first to go; `delay_s` later if asked to."""

    def __init__(self, source: MediaStreamTrack, delay_s: float) -> None:
        super().__init__()
        self.kind = source.kind
        self._source = source
        self._delay_s = delay_s
        self._held: deque[Frame] = deque(maxlen=HELD[self.kind])
        self._news = asyncio.Event()
        self._pump = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                frame = await self._source.recv()
            except MediaStreamError:
                self.stop()
                return
            assert isinstance(frame, Frame)
            if self._delay_s:
                loop.call_later(self._delay_s, self._hold, frame)
            else:
                self._hold(frame)

    def _hold(self, frame: Frame) -> None:
        self._held.append(frame)
        self._news.set()

    async def recv(self) -> Frame:
        while not self._held:
            if self.readyState != "live":
                raise MediaStreamError
            self._news.clear()
            await self._news.wait()
        return self._held.popleft()

    def stop(self) -> None:
        super().stop()
        self._pump.cancel()
        self._news.set()


class EchoServer:
    """Routes and calls."""

    def __init__(self, delays_s: dict[str, float], video_kbps: int) -> None:
        self._delays_s = delays_s
        self._video_kbps = video_kbps
        self._calls: dict[str, RTCPeerConnection] = {}

    def application(self) -> web.Application:
        rtc_compat.apply(
            video_kbps=self._video_kbps, loopback=True, observe=lambda *_: None, lag=LoopLag()
        )
        app = web.Application()
        app.router.add_post("/api/offer", self._offer)
        app.router.add_delete("/api/sessions/{pc_id}", self._delete)
        app.router.add_static("/", PAGE)
        app.on_shutdown.append(self._close_all)
        return app

    async def _offer(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        pc = RTCPeerConnection(rtc_compat.configuration([]))
        pc_id = secrets.token_urlsafe(8)
        self._calls[pc_id] = pc

        @pc.on("track")
        def answer_with(track: MediaStreamTrack) -> None:
            sender = pc.addTrack(EchoTrack(track, self._delays_s[track.kind]))
            if track.kind == "audio":
                encode_in_place(sender)

        rtc_compat.prefer_codec(pc, "vp8")
        await pc.setRemoteDescription(RTCSessionDescription(strip_mdns(body["sdp"]), "offer"))
        for transceiver in pc.getTransceivers():
            if transceiver.kind == "audio":
                decode_in_place(transceiver.receiver)
        await pc.setLocalDescription(await pc.createAnswer())
        answer = tune_answer(pc.localDescription.sdp, self._video_kbps)
        return web.json_response({"sdp": answer, "type": "answer", "pc_id": pc_id})

    async def _delete(self, request: web.Request) -> web.Response:
        pc = self._calls.pop(request.match_info["pc_id"], None)
        if pc is None:
            raise web.HTTPNotFound
        await pc.close()
        return web.Response(status=204)

    async def _close_all(self, app: web.Application) -> None:
        await asyncio.gather(*(pc.close() for pc in self._calls.values()))


async def serve(server: EchoServer) -> None:
    """Serves on a free port until SIGINT or SIGTERM; prints the address."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture-delay-ms", type=int, default=0)
    parser.add_argument("--sound-delay-ms", type=int, default=0)
    options = parser.parse_args()
    delays_s = {"video": options.picture_delay_ms / 1000, "audio": options.sound_delay_ms / 1000}
    job = serve(EchoServer(delays_s, load_settings([]).video_kbps))
    try:
        import uvloop
    except ImportError:
        asyncio.run(job)
    else:
        uvloop.run(job)


if __name__ == "__main__":
    main()
