"""A headless Chromium on the call page, and the server that it talks to."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Page, Playwright, Request

from benchmarks.browser import FLAGS
from tests.conftest import ROOT, find_chromium

START_LIMIT_S = 60.0
LIMIT_S = 60.0  # far more than needed, so that a busy machine is not a failure

# Remembers what the page says on the control channel, before the page's own scripts run.
RECORD_CONTROL = """
window.sent = [];
const send = RTCDataChannel.prototype.send;
RTCDataChannel.prototype.send = function (data) {
  const message = JSON.parse(data);
  if (message.type !== "ping") window.sent.push(message);
  return send.call(this, data);
};
"""

# Mean absolute difference of two looks at the returned picture, 0..255, `gap` ms apart.
MOTION = """
async (gap) => {
  const video = document.getElementById("result");
  const canvas = new OffscreenCanvas(80, 60);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    context.drawImage(video, 0, 0, 80, 60);
    return context.getImageData(0, 0, 80, 60).data;
  };
  const before = look();
  await new Promise((done) => setTimeout(done, gap));
  const after = look();
  return after.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / after.length;
}
"""

# Loudest sample of the returned sound, 0..1, within `limit` ms or once it passes `enough`.
LOUDNESS = """
async ([enough, limit]) => {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  const stream = document.getElementById("result").srcObject;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(2048);
  const end = performance.now() + limit;
  let loudest = 0;
  while (loudest < enough && performance.now() < end) {
    await new Promise((done) => setTimeout(done, 30));
    analyser.getFloatTimeDomainData(samples);
    loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), loudest);
  }
  await context.close();
  return loudest;
}
"""


class Server:
    """`python server.py` as its own process. `url` once it listens."""

    def __init__(self, log: Path, **settings: str) -> None:
        settings = {"runtime": "onnxruntime", **settings}
        names = {f"OMNISYNC_{name.upper()}": value for name, value in settings.items()}
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "server.py", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **names},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.url = ""
        self._listening = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self._listening.wait(START_LIMIT_S) or not self.url:
            self.stop()
            raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not self.url and (found := re.search(r"http://[\d.]+:\d+", line)):
                self.url = found.group()
                self._listening.set()
        self._listening.set()

    def active_calls(self) -> int:
        with urlopen(f"{self.url}/api/config") as answer:
            return int(json.load(answer)["limits"]["active_sessions"])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()


class CallPage:
    """The page as a person sees it: buttons, titles, and `window.omnisync`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(1000 * LIMIT_S)
        page.on("request", self._requested)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.add_init_script(RECORD_CONTROL)
        page.goto(url)

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def until(self, condition: str, limit_s: float = LIMIT_S) -> Any:
        """Waits until a JavaScript expression is true; the page's CSP forbids wait_for_function."""
        end = time.monotonic() + limit_s
        while not (value := self.page.evaluate(condition)):
            state = self.page.evaluate("document.body.innerText")
            assert time.monotonic() < end, f"never: {condition}; the page says: {state[:600]}"
            self.page.wait_for_timeout(100)
        return value

    def until_live(self) -> None:
        self.until("['live', 'error'].includes(omnisync.state)")
        assert self.page.evaluate("omnisync.state") == "live", self.cover()
        self.until("document.getElementById('result-cover').dataset.kind === 'none'")

    def demo(self) -> None:
        self.page.click("#demo")
        self.until_live()

    def stats(self) -> dict[str, Any]:
        """Server's and browser's figures once both have come."""
        self.until("omnisync.stats?.server && omnisync.stats?.browser")
        return dict(self.page.evaluate("omnisync.stats"))

    def cover(self, side: str = "result") -> str:
        return self.page.inner_text(f"#{side}-cover")

    def leave(self) -> None:
        """Ends a call that still runs, and waits until the server knows or turns out to be gone."""
        if self.page.is_closed() or not self.page.evaluate("omnisync.pc !== null"):
            return
        with self.page.expect_request("**/api/sessions/*") as told:
            self.page.click("#start")
        told.value.response()

    def overflow_px(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def sent(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate("window.sent"))


OpenPage = Callable[..., CallPage]


@contextmanager
def chromium(driver: Playwright, *flags: str) -> Iterator[OpenPage]:
    """Gives a function that opens the page at a URL in a new profile of one browser."""
    browser = driver.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])
    calls: list[CallPage] = []

    def open_page(url: str, size: tuple[int, int] = (1280, 800), **options: Any) -> CallPage:
        viewport = {"width": size[0], "height": size[1]}
        calls.append(CallPage(browser.new_context(viewport=viewport, **options).new_page(), url))
        return calls[-1]

    try:
        yield open_page
    finally:
        for call in calls:
            call.leave()
        browser.close()
