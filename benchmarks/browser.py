"""A headless Chromium with the benchmark's page in it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BenchError
from .figures import Shown
from .material import Material

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PAGES = Path(__file__).parent / "pages"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
LIMIT_MS = 60_000
END_LIMIT_MS = 3_000
TYPES = {".html": "text/html", ".js": "text/javascript"}


def find_chromium() -> str:
    """Raises BenchError where there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise BenchError("no Chromium on PATH; on Debian: apt-get install chromium")
    return path


def chromium_version() -> str | None:
    try:
        done = subprocess.run(
            [find_chromium(), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (BenchError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@contextmanager
def chromium(material: Material, *, devices: bool = False) -> Iterator["Browser"]:
    """A new browser; `devices` makes its fake camera and microphone from the material."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise BenchError("benchmarks need Playwright: pip install -e '.[test]'") from error
    path = find_chromium()
    with tempfile.TemporaryDirectory(prefix="omnisync-bench-") as folder, sync_playwright() as p:
        flags = [*FLAGS, *(_device_flags(material, Path(folder)) if devices else ())]
        try:
            browser = p.chromium.launch(executable_path=path, args=flags)
        except Error as error:
            raise BenchError(f"{path} does not start: {_first_line(error)}") from error
        try:
            yield browser
        except Error as error:
            raise BenchError(f"in the browser: {_first_line(error)}") from error
        finally:
            with suppress(Error):
                browser.close()


def _device_flags(material: Material, folder: Path) -> list[str]:
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    material.write_camera(camera)
    material.write_wav(microphone)
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream=fps=25",
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Period:
    """What the receiver saw and heard in one period. Times are ms of the page's clock."""

    length_s: float
    connected_ms: float
    opening: list[Shown]  # from the beginning of the call
    shown: list[Shown]
    presented: int  # by the browser, also those that the page was too busy to look at
    flash_starts: list[float]
    beeps: list[float]
    messages: list[dict[str, Any]]  # of the control channel since the beginning, with `at`
    before: Mapping[str, dict[str, Any]]  # getStats: in_video, in_audio, out_video, out_audio
    after: Mapping[str, dict[str, Any]]

    def gained(self, stream: str, name: str) -> float:
        before = self.before.get(stream, {}).get(name, 0)
        return float(self.after.get(stream, {}).get(name, 0) - before)

    def buffer_ms(self, stream: str, of: str = "jitterBufferDelay") -> float | None:
        """Mean time in the browser's jitter buffer; `of` names another of its sums."""
        count = self.gained(stream, "jitterBufferEmittedCount")
        return 1000 * self.gained(stream, of) / count if count else None


class CallPage:
    """One call of one browser; `url` serves the web client and /api/offer."""

    def __init__(self, browser: "Browser", url: str, material: Material) -> None:
        self._material = material
        self._errors: list[str] = []
        self._context = browser.new_context()
        self._page: Page = self._context.new_page()
        self._page.set_default_timeout(LIMIT_MS)
        self._page.on("pageerror", lambda error: self._errors.append(str(error)))
        self._page.on("crash", lambda _: self._errors.append("the page crashed"))
        # The page comes from the server's own origin, but not from the server.
        self._page.route("**/bench/**", self._fulfil)
        self._page.goto(f"{url}/bench/bench.html")
        self._page.wait_for_function("window.bench")

    def _fulfil(self, route: "Route") -> None:
        path = Path(route.request.url.split("/bench/", 1)[1])
        if path.parent.name == "picture":
            route.fulfill(body=self._material.jpeg(int(path.stem)), content_type="image/jpeg")
        elif path.suffix == ".wav":
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                self._material.write_wav(Path(file.name))
                route.fulfill(body=Path(file.name).read_bytes(), content_type="audio/wav")
        else:
            route.fulfill(path=PAGES / path.name, content_type=TYPES[path.suffix])

    def start(
        self, *, way: str = "server", devices: bool = False, flashes: bool = False
    ) -> float | None:
        """Connects; returns the ms from the offer's beginning to connected, None for a loop."""
        options = {
            "way": way,
            "devices": devices,
            "flashes": flashes,
            "pictures": len(self._material.pictures),
        }
        started = self._page.evaluate("(options) => bench.start(options)", options)
        connect_ms: float | None = started["connectMs"]
        return connect_ms

    def wait(self, seconds: float) -> None:
        self._page.wait_for_timeout(1000 * seconds)
        if self._errors:
            raise BenchError(f"in the page: {self._errors[0]}")

    def begin(self) -> None:
        self._page.evaluate("bench.begin()")

    def take(self) -> Period:
        """Everything since `begin`. Raises BenchError if the call was lost meanwhile."""
        taken = self._page.evaluate("bench.take()")
        if taken["failure"]:
            raise BenchError(taken["failure"])
        return Period(
            length_s=taken["periodMs"] / 1000,
            connected_ms=taken["connectedAt"],
            opening=[Shown(*entry) for entry in taken["opening"]],
            shown=[Shown(*entry) for entry in taken["pictures"]],
            presented=taken["presented"],
            flash_starts=taken["beats"],
            beeps=taken["beeps"],
            messages=taken["messages"],
            before=taken["before"],
            after=taken["after"],
        )

    def close(self) -> None:
        """Ends the call, waits a little for the server to know, closes the page."""
        from playwright.sync_api import Error

        self._page.set_default_timeout(END_LIMIT_MS)
        with suppress(Error):
            self._page.evaluate(
                "Promise.race([bench.stop(), new Promise((done) => setTimeout(done, 2000))])"
            )
        with suppress(Error):
            self._context.close()


@contextmanager
def call(browser: "Browser", url: str, material: Material) -> Iterator[CallPage]:
    """The page, not yet connected; at the end its call is over."""
    page = CallPage(browser, url, material)
    try:
        yield page
    finally:
        page.close()
