"""The real pycuda on a libcuda made of host memory, and graphs that ONNX Runtime runs there as if
they were kernels: everything of the TensorRT runtime but TensorRT.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike

from engine.runtime.device import DRIVER
from engine.runtime.plans import Shape

SOURCE = Path(__file__).with_name("host_cuda.c")


def hindrance() -> str:
    """Why it cannot be used here; empty if it can."""
    if find_spec("pycuda") is None:
        return "pycuda is not installed"
    if shutil.which("gcc") is None:
        return "no gcc"
    try:
        if not hasattr(ctypes.CDLL(DRIVER), "hostcuda"):
            return "this machine has an NVIDIA driver: tests marked gpu run instead"
    except OSError:
        pass
    return ""


def compile_driver(folder: Path) -> Path:
    path = folder / DRIVER
    flags = ["-O1", "-shared", "-fPIC", f"-Wl,-soname,{DRIVER}", "-lpthread"]
    subprocess.run(["gcc", str(SOURCE), "-o", str(path), *flags], check=True)
    return path


@contextmanager
def lazily_bound() -> Iterator[None]:
    """Functions that nobody calls need not be there."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


def load_driver(path: Path) -> ctypes.CDLL:
    """From now on the process's libcuda, by its soname."""
    driver = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL | os.RTLD_LAZY)
    with lazily_bound():
        import pycuda.driver  # noqa: F401
    return driver


class OrtNetwork:
    """A graph in ONNX Runtime, run as a call on a stream."""

    def __init__(self, driver: ctypes.CDLL, onnx: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.driver = driver
        self.ran = 0
        self.session = onnxruntime.InferenceSession(
            onnx, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.dtypes = {
            t.name: np.uint8 if t.type == "tensor(uint8)" else np.float32
            for t in [*self.session.get_inputs(), *self.session.get_outputs()]
        }
        self.enqueued = 0

    def context(self, shapes: Mapping[str, Shape]) -> OrtContext:
        return OrtContext(self, dict(shapes))


class OrtContext:
    def __init__(self, network: OrtNetwork, shapes: dict[str, Shape]) -> None:
        self._network, self._shapes = network, shapes
        zeros = {n: np.zeros(s, network.dtypes[n]) for n, s in shapes.items()}
        self.outputs = {
            name: value.shape
            for name, value in zip(
                network.outputs, network.session.run(network.outputs, zeros), strict=True
            )
        }
        self._calls: list[Callable[..., None]] = []  # alive as long as a stream may call them

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        self._network.enqueued += 1

        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def call(_: object) -> None:
            dtypes = self._network.dtypes
            feed = {n: at(addresses[n], s, dtypes[n]) for n, s in self._shapes.items()}
            found = self._network.session.run(self._network.outputs, feed)
            self._network.ran += 1
            for name, value in zip(self._network.outputs, found, strict=True):
                at(addresses[name], value.shape, dtypes[name])[...] = value

        self._calls.append(call)
        assert not self._network.driver.cuLaunchHostFunc(ctypes.c_void_p(stream), call, None)


def at(address: int, shape: Shape, dtype: DTypeLike) -> np.ndarray:
    """An array at an address of host memory."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_byte * size).from_address(address), dtype).reshape(shape)
