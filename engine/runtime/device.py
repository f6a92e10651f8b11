"""A CUDA device: memory, streams, events and captured graphs. By pycuda, and by the driver itself
for graphs, which pycuda does not know.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.errors import EngineError, RuntimeUnavailableError

DRIVER = "libcuda.so.1"
_OF_THIS_THREAD = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads go on as they like


def hindrance() -> str:
    """Why no CUDA device can be used here; empty if one can. Makes no context."""
    if find_spec("pycuda") is None:
        return "pycuda is not installed: pip install -e '.[gpu]'"
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return f"no NVIDIA driver ({DRIVER})"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "no NVIDIA GPU"
    return ""


class Device:
    """The first GPU. Its primary context is current in a thread inside `current()` only; all other
    methods are called there.

    Raises:
        RuntimeUnavailableError: there is none.
    """

    def __init__(self) -> None:
        if reason := hindrance():
            raise RuntimeUnavailableError(f"no CUDA device: {reason}")
        try:
            import pycuda.driver as cuda
        except ImportError as error:
            raise RuntimeUnavailableError(f"pycuda does not import: {error}") from error
        self._cuda = cuda
        self._driver = ctypes.CDLL(DRIVER)
        try:
            cuda.init()
            device = cuda.Device(0)
            self._context = device.retain_primary_context()
        except cuda.Error as error:
            raise RuntimeUnavailableError(f"the GPU does not start: {error}") from error
        major, minor = device.compute_capability()
        self.name = f"{device.name()} sm{major}{minor}"

    @contextmanager
    def current(self) -> Iterator[None]:
        """May be nested. Raises EngineError for what goes wrong on the device inside."""
        self._context.push()
        try:
            yield
        except self._cuda.Error as error:
            raise EngineError(f"{self.name}: {error}") from error
        finally:
            self._cuda.Context.pop()

    def memory(self, size: int) -> Any:
        """`size` bytes on the device; int() of it is the address. Freed with its last reference."""
        return self._cuda.mem_alloc(size)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Host memory that the device reads and writes by itself."""
        return self._cuda.pagelocked_empty(shape, dtype)

    def stream(self) -> Any:
        return self._cuda.Stream()

    def to_device(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """source: pinned, and left alone until the copy ran."""
        self._cuda.memcpy_htod_async(target, source, stream)

    def to_host(self, target: NDArray[Any], source: int, stream: Any) -> None:
        self._cuda.memcpy_dtoh_async(target, source, stream)

    def copy(self, target: int, source: int, size: int, stream: Any) -> None:
        """Within the device."""
        self._cuda.memcpy_dtod_async(target, source, size, stream)

    def copy_part(
        self,
        target: int,
        source: int,
        shape: tuple[int, int, int],
        corner: tuple[int, int],
        part: tuple[int, int],
        stream: Any,
    ) -> None:
        """Rows and columns from `corner` on, `part` of them, of a float32 (C, h, w) of `shape`."""
        channels, height, width = shape
        box = self._cuda.Memcpy3D()
        box.set_src_device(source)
        box.set_dst_device(target)
        box.src_y, box.src_x_in_bytes = corner[0], 4 * corner[1]
        box.src_pitch, box.src_height = 4 * width, height
        box.dst_pitch, box.dst_height = 4 * part[1], part[0]
        box.width_in_bytes, box.height, box.depth = 4 * part[1], part[0], channels
        box(stream)

    def mark(self, stream: Any) -> Any:
        """An event: what is queued on the stream so far."""
        event = self._cuda.Event(self._cuda.event_flags.DISABLE_TIMING)
        event.record(stream)
        return event

    def capture(self, stream: Any, queue: Callable[[], None]) -> CapturedGraph:
        """What `queue` puts on the stream, to be launched as one; nothing of it runs now."""
        self._call("cuStreamBeginCapture_v2", _handle(stream), _OF_THIS_THREAD)
        graph = ctypes.c_void_p()
        try:
            queue()
        finally:
            self._call("cuStreamEndCapture", _handle(stream), ctypes.byref(graph))
        try:
            executable = ctypes.c_void_p()
            self._call(
                "cuGraphInstantiateWithFlags",
                ctypes.byref(executable),
                graph,
                ctypes.c_ulonglong(0),
            )
        finally:
            self._call("cuGraphDestroy", graph)
        return CapturedGraph(self._call, executable)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status:
            words = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(words))
            told = (words.value or b"").decode() or f"error {status}"
            raise EngineError(f"{self.name}: {name} failed: {told}")


class CapturedGraph:
    """Made by `Device.capture`; lives until `free`."""

    def __init__(self, call: Callable[..., None], executable: ctypes.c_void_p) -> None:
        self._call, self._executable = call, executable

    def launch(self, stream: Any) -> None:
        self._call("cuGraphLaunch", self._executable, _handle(stream))

    def free(self) -> None:
        """No launch may run or follow."""
        self._call("cuGraphExecDestroy", self._executable)


def _handle(stream: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(stream.handle)
