"""Markers say what a test needs; a test whose need is absent skips and says why."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runtime import tensorrt

ROOT = Path(__file__).parent.parent

MARKERS = {
    "data": "needs the training and test data (OMNISYNC_DATA, or ../shared/data)",
    "browser": "drives a real headless Chromium",
    "rtc": "runs real WebRTC on loopback",
    "torch": "needs torch (the train extra)",
    "openvino": "needs OpenVINO (the openvino extra)",
    "slow": "takes more than ten seconds",
    "gpu": "needs an NVIDIA GPU with TensorRT (the gpu extra)",
    "tensorrt": "builds engines by TensorRT-RTX, without a GPU (the aot extra)",
}


def find_data() -> Path | None:
    """The data folder, or None where this machine has none."""
    folder = Path(os.environ.get("OMNISYNC_DATA") or ROOT.parent / "shared" / "data")
    return folder.resolve() if (folder / "split.json").is_file() else None


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def missing_need(marker: str) -> str | None:
    """What keeps a test of this marker from running here, in words; None if nothing does."""
    if marker == "data" and find_data() is None:
        return "no data: set OMNISYNC_DATA"
    if marker == "browser" and find_chromium() is None:
        return "no Chromium on PATH"
    if marker == "torch" and importlib.util.find_spec("torch") is None:
        return "torch is not installed (pip install -e '.[train]')"
    if marker == "gpu" and (reason := tensorrt.hindrance()):
        return reason
    if marker == "tensorrt" and importlib.util.find_spec("tensorrt_rtx") is None:
        return "TensorRT-RTX is not installed (pip install -e '.[aot]')"
    if marker == "openvino" and importlib.util.find_spec("openvino") is None:
        return "OpenVINO is not installed (pip install -e '.[openvino]')"
    return None


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in MARKERS:
        if item.get_closest_marker(name) and (reason := missing_need(name)):
            pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a start remembers must not decide what a test runs on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the training and test data; tests that use it skip where it is absent."""
    folder = find_data()
    if folder is None:
        pytest.skip("no data: set OMNISYNC_DATA")
    return folder
