"""The call page in a real Chromium against the real server."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Playwright, Route, sync_playwright

from tests.e2e.call_page import LOUDNESS, MOTION, OpenPage, Server, chromium
from tests.engine.test_personal import write_person

pytestmark = pytest.mark.browser

FAKE_DEVICES = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=25"]
SEAT_LIMIT_S = 15.0
PHONES = [(360, 740), (390, 844)]


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    persons = tmp_path_factory.mktemp("persons")
    write_person(persons, "ada", "int8")
    running = Server(log, max_sessions="1", offers_per_minute="600", persons=str(persons))
    yield running
    running.stop()


@pytest.fixture
def server(process: Server) -> Server:
    """The server with its one seat free; pages that left must have given theirs back."""
    end = time.monotonic() + SEAT_LIMIT_S
    while process.active_calls():
        assert time.monotonic() < end, "a page has left and its seat is not free"
        time.sleep(0.1)
    return process


@pytest.fixture
def open_page(driver: Playwright) -> Iterator[OpenPage]:
    """A browser without camera and microphone."""
    with chromium(driver) as opener:
        yield opener


def test_demo_speaks_and_moves(open_page: OpenPage, server: Server) -> None:
    call = open_page(server.url)
    call.demo()
    stats = call.stats()
    assert stats["server"]["model"] and stats["server"]["runtime"]
    assert {"face", "denoise", "paste"} <= stats["server"]["stage_ms"].keys()
    call.until("omnisync.stats.server.fps_out > 15")
    call.until("omnisync.stats.browser.fpsShown > 15")
    call.until("omnisync.stats.server.face_found")
    assert max(call.page.evaluate(MOTION, 300) for _ in range(5)) > 0.2
    assert call.page.evaluate(LOUDNESS, [0.05, 8000]) >= 0.05
    assert all(url.startswith((server.url, "blob:")) for url in call.requests)
    assert call.complaints == []


def test_a_call_runs_on_the_chosen_person_and_the_choice_is_kept(
    open_page: OpenPage, server: Server
) -> None:
    call = open_page(server.url)
    assert call.page.locator("#person option").all_inner_texts() == ["Any face", "ada"]
    call.page.select_option("#person", "ada")
    call.demo()
    assert call.stats()["server"]["person"] == "ada"
    call.page.select_option("#person", "")  # a running call starts anew with another model
    call.until("omnisync.state === 'live' && omnisync.stats?.server?.person === null")
    call.page.select_option("#person", "ada")
    call.page.reload()
    call.until("document.getElementById('person').value === 'ada'")


def test_stop_frees_the_only_seat(open_page: OpenPage, server: Server) -> None:
    call = open_page(server.url)
    for _ in range(2):
        call.demo()
        call.page.click("#start")
        assert call.page.evaluate("omnisync.state") == "idle"
        assert call.page.evaluate("omnisync.pc") is None


def test_full_server_counts_down_and_lets_in_later(open_page: OpenPage, server: Server) -> None:
    first, second = open_page(server.url), open_page(server.url)
    first.demo()
    second.page.click("#demo")
    second.until("omnisync.state === 'error'")
    assert "Server is full" in second.cover()
    retry = second.page.locator("#result-cover [data-action=retry]")
    assert retry.is_disabled()
    assert "in" in retry.inner_text()
    first.page.close()
    second.until("!document.querySelector('#result-cover [data-action=retry]').disabled")
    retry.click()
    second.until_live()


def test_controls_reach_the_server(open_page: OpenPage, server: Server, tmp_path: Path) -> None:
    portrait = tmp_path / "drawing.png"
    cv2.imwrite(str(portrait), np.full((960, 1280, 3), 90, np.uint8))
    call = open_page(server.url)
    call.page.check("input[value=portrait]", force=True)
    call.page.set_input_files("#portrait-file", portrait)
    call.page.check("input[name=voice][value=demo]", force=True)
    call.until("document.getElementById('source').videoWidth")
    call.page.click("#start")
    call.until_live()

    layer = call.page.locator("#box-layer").bounding_box()
    assert layer is not None
    x, y, width, height = layer["x"], layer["y"], layer["width"], layer["height"]
    call.page.mouse.move(x + 0.25 * width, y + 0.25 * height)
    call.page.mouse.down()
    call.page.mouse.move(x + 0.75 * width, y + 0.5 * height, steps=4)
    call.page.mouse.up()
    assert call.sent()[-1]["face_box"] == pytest.approx([160, 120, 320, 120], abs=2)
    call.page.click("#clear-box")
    assert call.sent()[-1] == {"type": "set", "face_box": None}

    call.page.focus("#strength")
    call.page.keyboard.press("ArrowRight")
    call.until("window.sent.at(-1).strength === 1.05")
    call.page.keyboard.down("b")
    assert call.sent()[-1] == {"type": "set", "bypass": True}
    assert call.page.inner_text("#badge") == "Bypass: source shown"
    call.page.keyboard.up("b")
    assert call.sent()[-1] == {"type": "set", "bypass": False}


def test_picture_and_voice_change_without_a_new_call(
    driver: Playwright, server: Server, tmp_path: Path
) -> None:
    with chromium(driver, *FAKE_DEVICES) as opener:
        call = opener(server.url)
        call.demo()
        sent_before = call.page.evaluate("omnisync.pc.getSenders().map((s) => s.track.id)")
        call.page.check("input[value=camera]", force=True)
        call.page.check("input[value=microphone]", force=True)
        call.until("document.getElementById('source-facts').textContent === '640×480'")
        call.until("document.getElementById('monitor').getAttribute('aria-pressed') === 'true'")
        sent_after = call.page.evaluate("omnisync.pc.getSenders().map((s) => s.track.id)")
        assert not set(sent_before) & set(sent_after)
        assert call.page.evaluate("omnisync.state") == "live"
        call.until("document.getElementById('result').videoWidth === 640")


@pytest.mark.data
def test_camera_speaks_with_another_voice(
    driver: Playwright, server: Server, data_dir: Path, tmp_path: Path
) -> None:
    camera, microphone = tmp_path / "camera.mjpeg", tmp_path / "microphone.wav"
    write_camera(data_dir / "clips" / "grid_other_lrwp9a.mpg", camera)
    write_microphone(data_dir / "clips" / "grid_s1_bbaf2n.mpg", microphone)
    files = [
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]
    with chromium(driver, *FAKE_DEVICES, *files) as opener:
        call = opener(server.url)
        call.page.click("#start")
        call.until_live()
        call.until("omnisync.stats?.server?.face_found")
        call.until("omnisync.stats.server.speaking")
        call.until("omnisync.stats.server.fps_in > 20 && omnisync.stats.server.fps_out > 15")
        assert call.stats()["browser"]["sentSize"] == "640×480"
        assert call.page.inner_text("#source-facts") == "640×480"
        assert call.page.evaluate("document.getElementById('result').muted")
        assert max(call.page.evaluate(MOTION, 300) for _ in range(5)) > 0.2


def write_camera(clip: Path, target: Path) -> None:
    """The clip as 640x480 motion JPEG at 25 fps, padded, as Chromium's fake camera reads it."""
    with av.open(str(clip)) as source, av.open(str(target), "w", format="mjpeg") as sink:
        stream = sink.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        stream.options = {"qscale": "3"}
        for frame in source.decode(video=0):
            picture = np.zeros((480, 640, 3), np.uint8)
            scaled = cv2.resize(frame.to_ndarray(format="rgb24"), (600, 480))
            picture[:, 20:620] = scaled
            out = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            sink.mux(stream.encode(out))
        sink.mux(stream.encode())


def write_microphone(clip: Path, target: Path) -> None:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=48000)
    with av.open(str(clip)) as source, wave.open(str(target), "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(48000)
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                sink.writeframes(part.to_ndarray().tobytes())


def test_no_camera_and_no_microphone(open_page: OpenPage, server: Server) -> None:
    call = open_page(server.url)
    call.page.click("#start")
    call.until("omnisync.state === 'error'")
    assert "No camera or microphone found" in call.cover()
    call.page.click("#result-cover [data-action=demo]")
    call.until_live()


def test_permission_denied(driver: Playwright, server: Server) -> None:
    with chromium(driver, "--use-fake-device-for-media-stream") as opener:
        call = opener(server.url)
        call.page.click("#start")
        call.until("omnisync.state === 'error'")
        assert "blocked" in call.cover()
        assert "Allow the" in call.cover()


def test_offer_that_is_refused_shows_the_reason(open_page: OpenPage, server: Server) -> None:
    call = open_page(server.url)
    call.page.route(
        "**/api/offer",
        lambda route: route.fulfill(
            status=422,
            content_type="application/problem+json",
            body='{"detail": "the offer has no video"}',
        ),
    )
    call.page.click("#demo")
    call.until("omnisync.state === 'error'")
    assert "the offer has no video" in call.cover()


def test_unreadable_files_are_named(open_page: OpenPage, server: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    call = open_page(server.url)
    call.page.check("input[value=portrait]", force=True)
    call.page.set_input_files("#portrait-file", broken)
    call.until("document.querySelector('#result-cover').dataset.kind === 'error'")
    assert "broken.png" in call.cover()


def with_an_ice_server(route: Route) -> None:
    """The server's own answer, and in it a server that nobody needs on one machine."""
    answer = route.fetch()
    if answer.status != 200:
        return route.fulfill(response=answer)
    config = answer.json() | {"ice_servers": [{"urls": "stun:127.0.0.1:9"}]}
    route.fulfill(response=answer, json=config)


def test_token_is_asked_for_and_a_stopped_server_named(open_page: OpenPage, tmp_path: Path) -> None:
    token = "a-token-for-this-test"
    server = Server(tmp_path / "log.txt", token=token)
    try:
        call = open_page(server.url)
        call.page.route("**/api/config", with_an_ice_server)
        call.page.click("#demo")
        call.until("document.getElementById('token-dialog').open")
        call.page.fill("#token", "not-the-token")
        call.page.keyboard.press("Enter")
        call.until("document.getElementById('token-dialog').open")
        call.until("document.getElementById('token-text').textContent.includes('did not accept')")
        call.page.fill("#token", token)
        # Until the new try has been let in, the page still tells of the one before.
        with call.page.expect_response(lambda answer: "/api/offer" in answer.url and answer.ok):
            call.page.keyboard.press("Enter")
        call.until_live()
        assert call.page.evaluate("omnisync.pc.getConfiguration().iceServers.length") == 1
    finally:
        server.stop()
    call.until("omnisync.state === 'error'")
    assert "The server ended the call" in call.cover()
    call.page.click("#result-cover [data-action=reconnect]")
    call.until("document.getElementById('result-cover').innerText.includes('does not answer')")


@pytest.mark.parametrize("size", PHONES, ids=lambda size: f"{size[0]}px")
def test_phone_width_fits(
    open_page: OpenPage, server: Server, tmp_path: Path, size: tuple[int, int]
) -> None:
    call = open_page(server.url, size)
    assert call.overflow_px() <= 0
    start = call.page.locator("#start").bounding_box()
    assert start is not None and start["y"] + start["height"] <= size[1]
    call.demo()
    call.stats()
    assert call.overflow_px() <= 0
    result = call.page.locator("#result-screen .frame").bounding_box()
    assert result is not None and result["y"] + result["height"] <= size[1]
    call.page.screenshot(path=tmp_path / "phone.png", full_page=True)
