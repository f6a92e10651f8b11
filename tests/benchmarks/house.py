"""Servers in the test's own process: the product with a stand-in for its engine, and the echo."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.echo_server import EchoServer
from benchmarks.material import Material, load_material
from benchmarks.processes import Running
from benchmarks.recording import Recording, record
from streaming.app import Server
from streaming.capacity import Capacity
from streaming.settings import Settings
from tests.streaming.double import DoubleEngine

DEMO = Path(__file__).parents[2] / "web_client" / "demo"


def short_material(pictures: int = 12) -> Material:
    """As wide as a stamp, and no larger: the tests' machine may be busy."""
    material = load_material(DEMO / "face.mp4", DEMO / "voice.mp3")
    small = [picture[:240, :400] for picture in material.pictures[:pictures]]
    return replace(material, pictures=small)


def short_recording() -> Recording:
    return record(short_material(), 800, sound_s=3.0, raw=True)


@asynccontextmanager
async def product(**settings: Any) -> AsyncIterator[Running]:
    wanted = Settings(**{"max_sessions": 2, "offers_per_minute": 6000, **settings})
    capacity = Capacity(5.0, wanted.max_sessions)
    async with _running(Server(wanted, DoubleEngine(), capacity).application()) as running:
        yield running


@asynccontextmanager
async def echo() -> AsyncIterator[Running]:
    server = EchoServer({"video": 0.0, "audio": 0.0}, 800)
    async with _running(server.application()) as running:
        yield running


@asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[Running]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Running(f"http://127.0.0.1:{runner.addresses[0][1]}", os.getpid())
    finally:
        await runner.cleanup()
