"""Windows of several threads in one call: who shares and waits, whose error and result it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from engine.batch import InputRows, SharedCalls
from engine.costs import CallCosts, measure_costs
from engine.stream import WindowInput

PATIENT_S = 20.0  # so long that only company ends a wait


def window(number: float, slots: int = 3, denoiser: object = None) -> WindowInput:
    latents = np.full((slots, 2, 4, 4), number, np.float32)
    tokens = np.full((slots, 5, 6), number, np.float32)
    level = np.linspace(0.5, 0.9, slots, dtype=np.float32)
    return WindowInput(latents, latents, level, tokens, number, (0.5, number), denoiser)  # type: ignore[arg-type]


class Denoiser:
    """Gives back twice each window's x. Waits at `gate` if it is shut; fails for negative ones."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.running = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, windows: Sequence[WindowInput]) -> list[np.ndarray]:
        self.running += 1
        assert self.running == 1, "one call at a time"
        self.sizes.append(len(windows))
        self.entered.release()
        assert self.gate.wait(PATIENT_S)
        self.running -= 1
        if any(w.strength < 0 for w in windows):
            raise RuntimeError("a bad window")
        assert len({len(w.level) for w in windows}) == 1
        return [2 * w.x for w in windows]


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser()


def bring(
    pool: ThreadPoolExecutor,
    shared: SharedCalls,
    numbers: Sequence[float],
    company: int,
    **kind: object,
) -> list[Future[np.ndarray]]:
    return [pool.submit(shared, window(n, **kind), company) for n in numbers]  # type: ignore[arg-type]


def test_windows_that_meet_share_a_call_and_get_their_own_back(denoiser: Denoiser) -> None:
    shared = SharedCalls(denoiser, wait_s=PATIENT_S)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            results = bring(pool, shared, [1, 2, 3, 4], company=4)
            for number, result in zip([1, 2, 3, 4], results, strict=True):
                assert (result.result(PATIENT_S) == 2 * number).all()
    assert denoiser.sizes == [4] * 5


def test_a_lone_window_runs_alone_after_the_deadline_or_at_once(denoiser: Denoiser) -> None:
    assert (SharedCalls(denoiser, wait_s=0.001)(window(1), company=2) == 2).all()
    assert (SharedCalls(denoiser, wait_s=1e6)(window(1), company=1) == 2).all()
    assert denoiser.sizes == [1, 1]


def test_who_comes_during_a_call_gathers_for_the_next_one(denoiser: Denoiser) -> None:
    shared = SharedCalls(denoiser, wait_s=0.001)
    with ThreadPoolExecutor(8) as pool:
        denoiser.gate.clear()
        (first,) = bring(pool, shared, [1], company=1)
        assert denoiser.entered.acquire(timeout=PATIENT_S)
        later = bring(pool, shared, [2, 3, 4], company=3)
        denoiser.gate.set()
        assert (first.result(PATIENT_S) == 2).all()
        assert [result.result(PATIENT_S).max() for result in later] == [4, 6, 8]
    assert denoiser.sizes[0] == 1 and sum(denoiser.sizes) == 4
    assert len(denoiser.sizes) <= 3


def test_no_call_holds_more_than_the_most(denoiser: Denoiser) -> None:
    shared = SharedCalls(denoiser, most=2, wait_s=PATIENT_S)
    with ThreadPoolExecutor(6) as pool:
        results = bring(pool, shared, range(6), company=6)
        assert sorted(r.result(PATIENT_S).max() for r in results) == [0, 2, 4, 6, 8, 10]
    assert denoiser.sizes == [2, 2, 2]


def test_other_sizes_and_other_denoisers_do_not_share(denoiser: Denoiser) -> None:
    shared = SharedCalls(denoiser, wait_s=0.05)
    with ThreadPoolExecutor(3) as pool:
        results = [
            *bring(pool, shared, [1], company=3),
            *bring(pool, shared, [2], company=3, slots=2),
            *bring(pool, shared, [3], company=3, denoiser=object()),
        ]
        assert [r.result(PATIENT_S).shape[0] for r in results] == [3, 2, 3]
    assert denoiser.sizes == [1, 1, 1]


def test_an_error_reaches_the_stream_that_caused_it_and_no_other(denoiser: Denoiser) -> None:
    calls = Denoiser()

    def call(windows: Sequence[WindowInput]) -> list[np.ndarray]:
        with lock:
            return calls(windows)

    lock = threading.Lock()
    shared = SharedCalls(call, wait_s=PATIENT_S)
    with ThreadPoolExecutor(3) as pool:
        good, bad, fine = bring(pool, shared, [1, -1, 3], company=3)
        assert (good.result(PATIENT_S) == 2).all()
        assert (fine.result(PATIENT_S) == 6).all()
        with pytest.raises(RuntimeError, match="a bad window"):
            bad.result(PATIENT_S)
    assert calls.sizes[0] == 3


def test_the_size_of_each_call_is_told(denoiser: Denoiser) -> None:
    told: list[int] = []
    shared = SharedCalls(denoiser, wait_s=PATIENT_S, observe=told.append)
    with ThreadPoolExecutor(2) as pool:
        for result in bring(pool, shared, [1, 2], company=2):
            result.result(PATIENT_S)
    shared(window(1), company=1)
    assert told == [2, 1]


def test_rows_are_filled_anew_and_made_once() -> None:
    rows = InputRows(most=4)
    with rows.stacked([window(1), window(2), window(3)]) as inputs:
        assert inputs["x"].shape == (3, 3, 2, 4, 4)
        assert inputs["strength"].tolist() == [1, 2, 3]
        np.testing.assert_allclose(inputs["mouth"], [[0.5, 1], [0.5, 2], [0.5, 3]])
        memory = inputs["x"].base
        with rows.stacked([window(8), window(9)]) as others:  # another thread, at the same time
            assert others["x"].base is not memory
        assert (inputs["x"][0] == 1).all()
    with rows.stacked([window(4), window(5)]) as inputs:
        assert inputs["x"].shape[0] == 2 and (inputs["tokens"][1] == 5).all()
        assert all(values.flags.c_contiguous for values in inputs.values())
    with rows.stacked([window(4, slots=2), window(5, slots=2)]) as inputs:
        assert inputs["x"].shape == (2, 2, 2, 4, 4)


def test_sharing_is_worth_it_only_where_it_is_measured_faster() -> None:
    assert CallCosts((3, 6, 9, 12), (3, 6, 9, 12)).most == 1
    assert CallCosts((3, 5, 8, 11), (3, 3.2, 6, 6.5)).most == 1, "two cores run two calls at once"
    assert CallCosts((3, 3.2, 3.4, 8), (3, 6, 9, 8.1)).most == 1, "one lucky size is none"
    gpu = CallCosts((1.0, 1.1, 1.2, 1.3), (1.0, 2.0, 3.0, 4.0))
    assert gpu.most == 16
    assert gpu.windows_within(13.0) == 40
    assert CallCosts((3, 6, 9, 12), (3, 6, 9, 12)).windows_within(33.0) == 11


def test_costs_are_measured_on_real_calls() -> None:
    lock = threading.Lock()

    def one_at_a_time(windows: Sequence[WindowInput]) -> list[np.ndarray]:
        with lock:
            threading.Event().wait(0.004)
        return [w.x for w in windows]

    costs = measure_costs(one_at_a_time, window(1))
    assert costs.most == 16, "a device that takes one call at a time, and as long for four windows"
