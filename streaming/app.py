"""The aiohttp application: routes, start and stop."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from . import rtc_compat
from .capacity import Capacity, measure_capacity
from .looplag import LoopLag
from .memory import trimmer
from .metrics import Metrics
from .pipeline import Shared
from .problems import Problem
from .security import Guard, middleware
from .settings import Settings, is_loopback
from .signaling import JSON_OVERHEAD, Calls
from .worker import Engine

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent.parent / "web_client"
TRIM_EVERY_S = 20
SHUTDOWN_LIMIT_S = 1.0


class Server:
    """One application: an engine, its calls, and what is told about them.

    capacity: see `measure_capacity`.
    """

    def __init__(self, settings: Settings, engine: Engine, capacity: Capacity) -> None:
        self._settings = settings
        self._facts = engine.facts
        self._tick_ms = capacity.tick_ms
        self._metrics = Metrics()
        if capacity.sharing > 1:
            engine.share_calls(capacity.sharing, self._metrics.observe_call)
        self._lag = LoopLag()
        self._calls = Calls(
            Shared(settings, engine, self._metrics, capacity.tick_ms / 1000, self._lag),
            capacity.seats,
        )
        self._metrics.sessions_limit.set(self._calls.seats)
        self._metrics.build.labels(build_version(), self._facts.model, self._facts.runtime).set(1)

    @property
    def calls(self) -> Calls:
        return self._calls

    def application(self) -> web.Application:
        """Cures aiortc for this process and builds the routes."""
        rtc_compat.apply(
            video_kbps=self._settings.video_kbps,
            loopback=is_loopback(self._settings.host),
            observe=self._metrics.observe_stage,
            lag=self._lag,
        )
        app = web.Application(
            middlewares=[middleware(Guard(self._settings))],
            client_max_size=2 * self._settings.max_sdp_bytes + JSON_OVERHEAD,
        )
        app.add_routes(self._calls.routes())
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/api/config", self._config)
        app.router.add_get("/{path:.*}", self._page)
        app.on_response_prepare.append(_set_caching)
        app.on_shutdown.append(self._stop)
        app.cleanup_ctx.append(self._housekeeping)
        return app

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._calls.draining:
            raise Problem(503, "server is stopping")
        if self._calls.active >= self._calls.seats:
            raise Problem(503, "server full", retry_after_s=10)
        return web.json_response({"status": "ready", "tick_ms": round(self._tick_ms, 1)})

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _config(self, request: web.Request) -> web.Response:
        settings, facts = self._settings, self._facts
        return web.json_response(
            {
                "version": build_version(),
                "ice_servers": [s.model_dump(exclude_none=True) for s in settings.ice_servers],
                "limits": {
                    "max_sessions": self._calls.seats,
                    "active_sessions": self._calls.active,
                    "max_sdp_bytes": settings.max_sdp_bytes,
                    "connect_timeout_s": settings.connect_timeout_s,
                    "stall_timeout_s": settings.stall_timeout_s,
                },
                "video_kbps": settings.video_kbps,
                "persons": await self._persons(),
                "model_facts": {
                    "model": facts.model,
                    "runtime": facts.runtime,
                    "crop_px": facts.crop_px,
                    "slots": facts.slots,
                    "look_ahead_ms": facts.look_ahead_ms,
                    "fps": facts.fps,
                    "tick_ms": round(self._tick_ms, 1),
                },
            }
        )

    async def _persons(self) -> list[str]:
        """Names of people: told only to those who were let in, or who sit at this machine."""
        if self._settings.token is None and not is_loopback(self._settings.host):
            return []
        return await asyncio.to_thread(self._calls.persons.names)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        try:
            file = (PAGE / (request.match_info["path"] or "index.html")).resolve()
            found = file.is_relative_to(PAGE.resolve()) and file.is_file()
        except (OSError, ValueError):  # a name too long, or with a zero byte
            found = False
        if not found:
            raise Problem(404, "no such page")
        return web.FileResponse(file)

    async def _stop(self, app: web.Application) -> None:
        await self._calls.close()

    async def _housekeeping(self, app: web.Application) -> AsyncIterator[None]:
        jobs = [
            asyncio.create_task(job)
            for job in (self._lag.watch(), self._tell_lag(), self._trim_memory())
        ]
        yield
        for job in jobs:
            job.cancel()

    async def _trim_memory(self) -> None:
        give_back = trimmer()
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            await asyncio.to_thread(give_back)

    async def _tell_lag(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._metrics.loop_lag.set(self._lag.worst_s())


async def _set_caching(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(("/api/", "/metrics", "/healthz", "/readyz")):
        response.headers["Cache-Control"] = "no-store"
    elif request.path.startswith("/demo/"):
        response.headers["Cache-Control"] = "public, max-age=3600"
    else:
        response.headers["Cache-Control"] = "no-cache"  # revalidated by ETag: updates show at once


def build_version() -> str:
    """Version of the installed package, "dev" from a bare checkout."""
    try:
        return version("omnisync-live")
    except PackageNotFoundError:
        return "dev"


async def serve(settings: Settings, engine: Engine) -> None:
    """Serves until SIGINT or SIGTERM; prints the address once ready. Raises OSError."""
    loop = asyncio.get_running_loop()
    capacity = await measure_capacity(engine, settings.max_sessions, settings.batching)
    server = Server(settings, engine, capacity)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=SHUTDOWN_LIMIT_S)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=settings.tls)
        await site.start()
        print(_address(settings, runner), flush=True)
        logger.info(
            "tick %.1f ms, seats %d, windows of a call %d",
            capacity.tick_ms,
            capacity.seats,
            capacity.sharing,
        )
        await stop.wait()
    finally:
        await runner.cleanup()


def _address(settings: Settings, runner: web.AppRunner) -> str:
    scheme = "https" if settings.tls_cert else "http"
    port = runner.addresses[0][1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}"
