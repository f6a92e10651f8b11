"""Real aiortc callers against the real application on 127.0.0.1.

The shipped engine takes part where it loads; where it does not, a stand-in with its delay does.
The machine may be busy: numbers here say that it works, not how fast it is.
"""

import asyncio
import contextlib
import gc
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web
from aiortc.rtcdtlstransport import RTCDtlsTransport

from engine import EngineError, LipSyncEngine
from streaming.app import Server
from streaming.capacity import Capacity
from streaming.settings import Settings
from tests.streaming.caller import Caller, Camera
from tests.streaming.double import MARK, DoubleEngine

pytestmark = pytest.mark.rtc
ROOT = Path(__file__).parent.parent.parent

SERVE = """
import sys
sys.path.insert(0, sys.argv[1])
from streaming.app import serve
from streaming.settings import Settings
from tests.streaming.double import DoubleEngine
try:
    from uvloop import run
except ImportError:
    from asyncio import run
run(serve(Settings(port=0, max_sessions=2), DoubleEngine()))
"""


def engine_under_test() -> Any:
    try:
        return LipSyncEngine.load(runtime="onnxruntime")
    except EngineError:
        return DoubleEngine()


class House:
    """A running server and its address."""

    def __init__(self, engine: Any, **settings: Any) -> None:
        self.settings = Settings(**{"max_sessions": 4, "offers_per_minute": 6000, **settings})
        self.server = Server(self.settings, engine, Capacity(20.0, self.settings.max_sessions))
        self.engine = engine
        self.url = ""


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[ClientSession]:
    runner = web.AppRunner(house.server.application(), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    house.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as http:
            yield http
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def call(house: House, http: ClientSession, **wishes: Any) -> AsyncIterator[Caller]:
    caller = Caller(house.url, http, camera=wishes.pop("camera", None) or Camera())
    try:
        await caller.connect(**wishes)
        yield caller
    finally:
        await caller.close()


async def until(true: Callable[[], bool], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 (the server tells nobody when a call is gone)
            await asyncio.sleep(0.02)


def distinct(pictures: list[tuple[float, np.ndarray]]) -> int:
    """Different positions of the moving bar in the lowest rows."""
    columns = [int(picture[-24:-8].mean((0, 2)).argmax()) // 4 for _, picture in pictures]
    return len(set(columns))


def is_marked(picture: np.ndarray) -> bool:
    return bool(picture[2 : MARK - 2, 2 : MARK - 2].mean() > 200)


def test_pictures_are_new_and_sound_is_unbroken() -> None:
    asyncio.run(_pictures_and_sound(engine_under_test()))


async def _pictures_and_sound(engine: Any) -> None:
    house = House(engine)
    async with running(house) as http, call(house, http) as caller:
        await caller.until(lambda: len(caller.pictures) >= 75 and len(caller.sound) >= 150, 20)
        assert distinct(caller.pictures[:75]) > 30
        media = [t for t, _ in caller.sound]
        np.testing.assert_allclose(np.diff(media), 0.02, atol=1e-6)
        steps = np.diff([t for t, _ in caller.pictures])
        assert (steps > 0).all()
        np.testing.assert_allclose(steps * 25, np.round(steps * 25), atol=1e-3)
        loud = [np.abs(chunk).max() > 2000 for _, chunk in caller.sound[25:]]
        assert np.mean(loud) > 0.8


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_call_survives_bursty_loss(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = lose_packets(monkeypatch, seed=11)
    asyncio.run(_survives_loss(codec))
    assert lost["count"] > 10


def lose_packets(monkeypatch: pytest.MonkeyPatch, seed: int) -> dict[str, int]:
    """Gilbert-Elliott loss on everything that either side sends: about 3 %, in bursts."""
    rng = random.Random(seed)
    state = {"bad": 0, "count": 0}
    send = RTCDtlsTransport._send_rtp

    async def send_or_lose(self: RTCDtlsTransport, data: bytes) -> None:
        if rng.random() < (0.3 if state["bad"] else 0.02):
            state["bad"] ^= 1
        if state["bad"] and rng.random() < 0.5:
            state["count"] += 1
            return
        await send(self, data)

    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", send_or_lose)
    return state


async def _survives_loss(codec: str) -> None:
    house = House(DoubleEngine())
    async with running(house) as http, call(house, http, codec=codec) as caller:
        await caller.until(lambda: len(caller.pictures) >= 100, 30)
        first = len(caller.pictures)
        await caller.until(lambda: len(caller.pictures) >= first + 25, 30)
        assert distinct(caller.pictures[first:]) > 5, "new pictures still come at the end"
        media = np.array([t for t, _ in caller.sound])
        assert len(media) > 0.7 * (media.max() - media.min()) / 0.02


def test_bypass_passes_pictures_through_and_stats_tell() -> None:
    asyncio.run(_bypass())


async def _bypass() -> None:
    house = House(DoubleEngine())
    async with running(house) as http, call(house, http, strength=1.5) as caller:
        await caller.until(lambda: len(caller.of_type("stats")) >= 2 and len(caller.pictures) > 30)
        assert is_marked(caller.pictures[-1][1])
        assert house.engine.streams[0].strength == 1.5
        caller.channel.send('{"type": "set", "bypass": true, "face_box": [10, 20, 100, 110]}')
        caller.channel.send('{"type": "ping", "t": 42}')
        caller.channel.send("nonsense")
        await caller.until(lambda: not is_marked(caller.pictures[-1][1]))
        assert house.engine.streams[0].face_box == (10, 20, 100, 110)
        told = len(caller.of_type("stats"))
        await caller.until(lambda: len(caller.of_type("stats")) >= told + 2)
        assert {"type": "pong", "t": 42} in caller.messages
        assert any(m["event"] == "error" for m in caller.of_type("event"))
        assert any(m["event"] == "face_found" for m in caller.of_type("event"))
        await caller.until(lambda: caller.of_type("stats")[-1]["passed_through"] > 0, 30)
        stats = caller.of_type("stats")[-1]
        assert stats["passed_through"] > 0
        assert stats["fps_in"] > 5 and stats["look_ahead_ms"] == 80
        assert isinstance(stats["playout_delay_ms"], float)
        assert set(stats["stage_ms"]) == {"face", "denoise", "convert"}


def test_an_engine_that_is_too_slow_costs_pictures_and_never_the_sound() -> None:
    asyncio.run(_too_slow())


async def _too_slow() -> None:
    engine = DoubleEngine()
    house = House(engine)
    async with running(house) as http, call(house, http) as caller:
        await caller.until(lambda: len(caller.pictures) >= 25)
        (stream,) = engine.streams
        stream.tick_s = 0.3
        await caller.until(lambda: told(caller) == 4, 30)
        pictures, sound = len(caller.pictures), len(caller.sound)
        await caller.until(lambda: len(caller.pictures) >= pictures + 50)
        shown = caller.pictures[pictures + 10 :]
        assert not any(is_marked(picture) for _, picture in shown), "the camera's own"
        assert distinct(shown) > 10
        stream.tick_s = 0.0
        await caller.until(lambda: told(caller) == 0, 30)
        await caller.until(lambda: is_marked(caller.pictures[-1][1]))
        async with http.get(f"{house.url}/metrics") as response:
            text = await response.text()
        assert 'omnisync_ladder_changes_total{step="pass_through"}' in text
        assert "omnisync_ladder_step 0.0" in text
        media = np.array([t for t, _ in caller.sound])
        np.testing.assert_allclose(np.diff(media), 0.02, atol=1e-6)
        loud = [np.abs(chunk).max() > 2000 for _, chunk in caller.sound[sound - 25 :]]
        assert np.mean(loud) > 0.9


def told(caller: Caller) -> int:
    stats = caller.of_type("stats")
    return int(stats[-1]["ladder"]) if stats else 0


def test_full_server_says_when_to_come_back() -> None:
    asyncio.run(_full())


async def _full() -> None:
    house = House(DoubleEngine(), max_sessions=1)
    async with running(house) as http, call(house, http) as caller:
        second = Caller(house.url, http)
        body = {"sdp": await second.offer(), "type": "offer"}
        async with http.post(f"{house.url}/api/offer", json=body) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert "full" in (await response.json(content_type=None))["detail"]
        async with http.get(f"{house.url}/readyz") as response:
            assert response.status == 503
        async with http.delete(f"{house.url}/api/sessions/{caller.pc_id}") as response:
            assert response.status == 204
        assert house.server.calls.active == 0
        async with http.post(f"{house.url}/api/offer", json=body) as response:
            assert response.status == 200
        await second.close()


def test_offers_that_cannot_be_served() -> None:
    asyncio.run(_unservable())


async def _unservable() -> None:
    house = House(DoubleEngine())
    async with running(house) as http:
        caller = Caller(house.url, http)
        sdp = await caller.offer()
        for broken, status in (
            ("v=0\r\nhello", 400),
            (sdp.replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"), 400),
            (sdp.replace("VP8/90000", "XX/90000").replace("H264/90000", "YY/90000"), 422),
            (sdp.replace("a=sendrecv", "a=recvonly"), 422),
            (sdp.replace("UDP/TLS/RTP/SAVPF 96", "UDP/TLS/RTP/SAVPF x"), 400),
        ):
            body = {"sdp": broken, "type": "offer"}
            async with http.post(f"{house.url}/api/offer", json=body) as response:
                assert response.status == status, broken[:200]
        await until(lambda: house.server.calls.active == 0)
        await caller.close()


def test_camera_that_stops_keeps_sound_and_picture_going() -> None:
    asyncio.run(_camera_stops())


async def _camera_stops() -> None:
    house = House(DoubleEngine())
    camera = Camera()
    async with running(house) as http, call(house, http, camera=camera) as caller:
        await caller.until(lambda: len(caller.pictures) >= 25)
        camera.paused.set()
        await caller.until(
            lambda: any(m["event"] == "camera_stalled" for m in caller.of_type("event"))
        )
        pictures, sound = len(caller.pictures), len(caller.sound)
        await caller.until(lambda: len(caller.pictures) >= pictures + 25)
        await caller.until(lambda: len(caller.sound) >= sound + 50)


def test_silent_and_unconnected_peers_are_ended() -> None:
    asyncio.run(_ended())


async def _ended() -> None:
    house = House(DoubleEngine(), connect_timeout_s=0.5, stall_timeout_s=1.5)
    async with running(house) as http:
        nobody = Caller(house.url, http)
        body = {"sdp": await nobody.offer(), "type": "offer"}
        async with http.post(f"{house.url}/api/offer", json=body) as response:
            assert response.status == 200
        assert house.server.calls.active == 1
        await until(lambda: house.server.calls.active == 0)
        await nobody.close()

    house = House(DoubleEngine(), stall_timeout_s=1.5)
    async with running(house) as http, call(house, http) as caller:
        await caller.until(lambda: len(caller.pictures) >= 5)
        caller.camera.paused.set()
        caller.microphone.paused.set()
        await caller.until(
            lambda: any(m.get("reason") == "stalled" for m in caller.of_type("event"))
        )
        await until(lambda: house.server.calls.active == 0)


def test_late_candidates_are_taken() -> None:
    asyncio.run(_trickle())


async def _trickle() -> None:
    house = House(DoubleEngine())
    async with running(house) as http, call(house, http) as caller:
        url = f"{house.url}/api/offer"
        line = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"
        good = [{"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}, None]
        for candidates, status in ((good, 204), ([{"candidate": "x"}], 400), ([{}] * 40, 400)):
            body = {"pc_id": caller.pc_id, "candidates": candidates}
            async with http.patch(url, json=body) as response:
                assert response.status == status


def test_calls_leave_no_thread_and_no_task_behind() -> None:
    asyncio.run(_cycles())


async def _cycles() -> None:
    house = House(DoubleEngine())
    async with running(house) as http:
        await _one_call(house, http)
        await asyncio.sleep(0.2)
        threads, tasks = own_threads(), len(asyncio.all_tasks())
        for _ in range(4):
            await _one_call(house, http)
        await until(lambda: house.server.calls.active == 0)
        gc.collect()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: own_threads() <= threads)
        assert all(stream.closed for stream in house.engine.streams)


def own_threads() -> int:
    """Threads but those of the loop's executor, which it starts as it needs and keeps."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


async def _one_call(house: House, http: ClientSession) -> None:
    async with call(house, http) as caller:
        await caller.until(lambda: len(caller.pictures) >= 3)
    await until(lambda: house.server.calls.active == 0)


def test_sigterm_with_a_live_call_ends_soon() -> None:
    asyncio.run(_sigterm())


async def _sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(ROOT), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().strip()
        assert url.startswith("http://127.0.0.1:")
        async with ClientSession() as http:
            caller = Caller(url, http)
            await caller.connect()
            await caller.until(lambda: len(caller.pictures) >= 3, 15)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                assert await process.wait() == 0
            assert time.monotonic() - start < 5
            assert any(m.get("reason") == "server is stopping" for m in caller.of_type("event"))
            await caller.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
