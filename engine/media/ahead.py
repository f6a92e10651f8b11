"""One stage of a pipeline in a thread of its own."""

import threading
from collections.abc import Generator
from queue import Empty, Queue
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.05


class _End:
    """Last in the queue: the source is used up, or failed with `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(source: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """Yield what `source` yields while a thread keeps up to `depth` items ready.

    An error of the source is raised here, in its place. Closing this generator stops the thread
    and closes the source.
    """
    ready: Queue[T | _End] = Queue(depth)
    stopped = threading.Event()

    def work() -> None:
        end = _End()
        try:
            for item in source:
                ready.put(item)
                if stopped.is_set():
                    break
        except BaseException as error:  # whatever it is, it belongs to the consumer
            end = _End(error)
        finally:
            source.close()
            ready.put(end)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                ready.get(timeout=_POLL_S)
            except Empty:
                continue
