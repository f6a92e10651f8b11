"""The GPU of host memory, for tests of what runs on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runtime.device import Device
from tests.engine.cuda import host_memory


@pytest.fixture(scope="session")
def driver_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libcuda of host memory; tests skip where pycuda or gcc is missing, or a real GPU is there."""
    if reason := host_memory.hindrance():
        pytest.skip(reason)
    return host_memory.compile_driver(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(scope="session")
def driver(driver_path: Path) -> object:
    return host_memory.load_driver(driver_path)


@pytest.fixture(scope="session")
def gpu(driver: object) -> Device:
    return Device()
