"""The echo: what it keeps, and the whole measurement of it through a real Chromium."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from benchmarks.browser import call, chromium
from benchmarks.calls import Side, measure_call
from benchmarks.echo_server import HELD, EchoTrack
from benchmarks.material import Material, load_material
from benchmarks.processes import Running, echo
from benchmarks.sync import sync_figures

HOLD_MS = 300
LONGEST_MS = 10_000  # a busy machine is no failure
DEMO = Path(__file__).parents[2] / "web_client" / "demo"


class Numbered(MediaStreamTrack):
    """Gives its frames at once, then ends."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__()
        self.kind = kind
        self._left = iter(range(count))
        self.exhausted = asyncio.Event()

    async def recv(self) -> av.VideoFrame:
        number = next(self._left, None)
        if number is None:
            self.exhausted.set()
            await asyncio.Event().wait()
        frame = av.VideoFrame(16, 16)
        frame.pts = number
        return frame


@pytest.mark.parametrize(("kind", "kept"), [("video", [9]), ("audio", list(range(10)))])
async def test_echo_keeps_the_newest_picture_and_all_sound(kind: str, kept: list[int]) -> None:
    source = Numbered(kind, 10)
    track = EchoTrack(source, 0.0)
    await asyncio.wait_for(source.exhausted.wait(), 5)
    assert [(await track.recv()).pts for _ in kept] == kept
    track.stop()
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(track.recv(), 5)


async def test_echo_holds_no_more_than_its_bound() -> None:
    source = Numbered("audio", HELD["audio"] + 7)
    track = EchoTrack(source, 0.0)
    await asyncio.wait_for(source.exhausted.wait(), 5)
    assert (await track.recv()).pts == 7
    track.stop()


@pytest.fixture(scope="module")
def material() -> Material:
    whole = load_material(DEMO / "face.mp4", DEMO / "voice.mp3")
    return Material(whole.pictures[:8], whole.voice, whole.names)


@pytest.fixture
def held_echo(tmp_path: Path) -> Iterator[Running]:
    with echo(tmp_path / "echo.log", picture_delay_ms=HOLD_MS, sound_delay_ms=HOLD_MS) as running:
        yield running


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("devices", [False, True], ids=["canvas", "fake-camera"])
def test_call_through_a_held_echo(held_echo: Running, material: Material, devices: bool) -> None:
    side = Side("server", held_echo, counts=False)
    figures = measure_call(side, material, warm_up_s=2, seconds=3, devices=devices)
    assert figures.connect_ms is not None and 0 < figures.connect_ms < LONGEST_MS
    assert figures.first_ms is not None and HOLD_MS <= figures.first_ms < LONGEST_MS
    assert 0 < figures.new_fps <= figures.shown_fps + 1
    assert figures.unreadable <= len(figures.period.shown) // 4
    assert figures.server is None and figures.new_synced_fps is None
    assert figures.server_cpu is None or figures.server_cpu > 0
    assert figures.client_cpu is None or figures.client_cpu > 0
    if not devices:
        assert HOLD_MS <= min(figures.ages_ms) <= max(figures.ages_ms) < LONGEST_MS


@pytest.mark.browser
@pytest.mark.slow
def test_loop_in_the_browser_pairs_flashes_and_beeps(
    held_echo: Running, material: Material
) -> None:
    with chromium(material) as browser, call(browser, held_echo.url, material) as page:
        assert page.start(way="loop", flashes=True) is None
        page.wait(2)
        page.begin()
        page.wait(4)
        figures = sync_figures("loop", page.take())
    assert figures.flashes >= 2
    assert len(figures.skews_ms) >= 2
    assert figures.picture_ms is not None and figures.picture_ms.p50 > 0
    assert figures.sound_ms is not None and figures.sound_ms.p50 > 0
