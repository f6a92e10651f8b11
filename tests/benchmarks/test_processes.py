"""Servers as processes, and reading what they use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.errors import BenchError

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


def test_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = ("-c", "import sys; sys.exit('no weights here')")
    with (
        pytest.raises(BenchError, match="no weights here"),
        processes._serving(command, tmp_path / "server.log"),
    ):
        pytest.fail("it did not listen")


def test_server_is_stopped_at_the_end(tmp_path: Path) -> None:
    code = "import time; print('http://127.0.0.1:5', flush=True); time.sleep(600)"
    with processes._serving(("-c", code), tmp_path / "server.log") as running:
        assert running.url == "http://127.0.0.1:5"
        os.kill(running.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


@needs_proc
def test_cpu_time_and_memory_of_a_process() -> None:
    code = "x = bytearray(64 << 20)\nprint('full', flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.readline()
            begin = processes.cpu_s(child.pid)
            end_s = time.monotonic() + 30
            while (now := processes.cpu_s(child.pid)) == begin and time.monotonic() < end_s:
                time.sleep(0.02)
            assert begin is not None and now is not None and now > begin
            resident = processes.resident_bytes(child.pid)
            assert resident is not None and 64 << 20 < resident < 128 << 20
            assert processes.threads(child.pid) == 1
        finally:
            child.kill()
    assert processes.cpu_s(child.pid) is None


@needs_proc
def test_only_browsers_below_this_process_count() -> None:
    assert processes.browser_cpu_s() == 0


@needs_proc
def test_machine_is_at_least_as_busy_as_one_of_its_processes() -> None:
    machine, own = processes.machine_busy_s(), processes.cpu_s(os.getpid())
    assert machine is not None and own is not None and machine > own > 0
