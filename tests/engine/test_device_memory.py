"""Buffers, streams, events and captured graphs by the real pycuda, on a libcuda of host memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from engine.errors import EngineError
from engine.runtime.device import Device
from engine.runtime.latents import LatentPool

ROOT = Path(__file__).parents[2]


def test_bytes_go_round_once_somebody_waits(gpu: Device) -> None:
    given = np.arange(6, dtype=np.float32)
    with gpu.current():
        there, stream = gpu.memory(24), gpu.stream()
        out, back = gpu.pinned((6,)), gpu.pinned((6,))
        out[:] = given
        gpu.to_device(int(there), out, stream)
        gpu.to_host(back, int(there), stream)
        assert not back.any()
        stream.synchronize()
    np.testing.assert_array_equal(back, given)


def test_one_stream_runs_after_anothers_event(gpu: Device) -> None:
    with gpu.current():
        there, first, second = gpu.memory(4), gpu.stream(), gpu.stream()
        out, back = gpu.pinned((1,)), gpu.pinned((1,))
        out[:] = 5
        gpu.to_device(int(there), out, first)
        second.wait_for_event(gpu.mark(first))
        gpu.to_host(back, int(there), second)
        second.synchronize()
    assert back[0] == 5


def test_a_part_of_a_latent_is_copied_row_by_row(gpu: Device) -> None:
    latent = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)
    with gpu.current():
        whole, part, stream = gpu.memory(latent.nbytes), gpu.memory(4 * 2 * 3 * 2), gpu.stream()
        out, back = gpu.pinned(latent.shape), gpu.pinned((2, 3, 2))
        out[:] = latent
        gpu.to_device(int(whole), out, stream)
        gpu.copy_part(int(part), int(whole), latent.shape, (1, 2), (3, 2), stream)
        gpu.to_host(back, int(part), stream)
        stream.synchronize()
    np.testing.assert_array_equal(back, latent[:, 1:, 2:4])


def test_a_captured_graph_runs_when_launched_and_not_before(gpu: Device) -> None:
    with gpu.current():
        there, stream, out, back = gpu.memory(4), gpu.stream(), gpu.pinned((1,)), gpu.pinned((1,))

        def queue() -> None:
            gpu.to_device(int(there), out, stream)
            gpu.to_host(back, int(there), stream)

        graph = gpu.capture(stream, queue)
        stream.synchronize()
        assert back[0] == 0
        for value in (3, 4):
            out[:] = value
            graph.launch(stream)
            stream.synchronize()
            assert back[0] == value


def test_waiting_inside_a_capture_is_an_error_in_one_line(gpu: Device) -> None:
    with pytest.raises(EngineError, match="capturing"), gpu.current():
        stream = gpu.stream()
        gpu.capture(stream, stream.synchronize)


def test_each_thread_has_the_context_only_while_it_asks_for_it(gpu: Device) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with pytest.raises(Exception, match="context"):
                gpu.memory(4)
            with gpu.current(), gpu.current():
                gpu.memory(4)
            with pytest.raises(Exception, match="context"):
                gpu.memory(4)
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert not failed


def test_rows_are_in_use_as_long_as_somebody_holds_them(gpu: Device) -> None:
    pool = LatentPool(gpu, (2, 3, 3), rows=4)
    held = pool.take(3)
    np.testing.assert_array_equal(pool.in_use, [True, True, True, False])
    with pytest.raises(EngineError, match="no room"):
        pool.take(2)
    second = held[1]
    del held
    np.testing.assert_array_equal(pool.in_use, [False, True, False, False])
    value = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    kept = pool.put(value)
    np.testing.assert_array_equal(np.asarray(kept), value)
    np.testing.assert_array_equal(kept[:, 1:, :2], value[:, 1:, :2])
    assert kept[:, 1:, :2][:, 1:, :].shape == (2, 1, 2)
    del second, kept
    assert not pool.in_use.any()


def test_a_row_that_is_taken_again_is_written_after_its_last_reader(gpu: Device) -> None:
    pool = LatentPool(gpu, (1, 1, 1), rows=1)
    first = pool.put(np.full((1, 1, 1), 1, np.float32))
    with gpu.current():
        reader, out = gpu.stream(), gpu.pinned((1, 1, 1))
        pool.wait([first.row], reader)
        gpu.to_host(out, first.address, reader)
        pool.used([first.row], reader)
        del first
        second = pool.put(np.full((1, 1, 1), 2, np.float32))
        reader.synchronize()
    assert out.item() == 1
    assert np.asarray(second).item() == 2


def told_by(program: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


TRY = """
from engine.runtime import device
try: device.Device()
except device.RuntimeUnavailableError as error: print(error)
"""


def test_a_driver_without_a_device_is_told_in_one_line(driver_path: Path) -> None:
    load = (
        "from pathlib import Path; from tests.engine.cuda import host_memory\n"
        f"host_memory.load_driver(Path({str(driver_path)!r}))\n"
    )
    told = told_by(load + TRY, HOST_CUDA_DEVICES="0")
    assert told == "no CUDA device: no NVIDIA GPU\n"


def test_a_machine_without_a_driver_is_told_in_one_line(driver_path: Path) -> None:
    assert told_by(TRY) == "no CUDA device: no NVIDIA driver (libcuda.so.1)\n"
