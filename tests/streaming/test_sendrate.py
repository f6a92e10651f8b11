import pytest

from streaming.arrivals import LEAST_BPS as LEAST_TOLD_BPS
from streaming.arrivals import MOST_STREAMS, SEND_TIME_HZ, SEND_TIME_WRAP, LineEstimator
from streaming.sendrate import BELIEVED_S, LEAST_BPS, REST_S, SendRate

FULL_BPS = 2_000_000


def sending(bps: int, late_ms: float = 0.0) -> tuple[SendRate, float]:
    """A rate that has sent `bps` for two seconds, and the time."""
    rate = SendRate(FULL_BPS, lambda: late_ms)
    for packet in range(200):
        rate.sent(bps // 800, packet / 100)
    return rate, 2.0


def test_falls_at_once_with_an_estimate_that_losses_bear_out() -> None:
    rate, now = sending(FULL_BPS)
    for _ in range(20):
        rate.missed(now)
    rate.estimated(400_000, now)
    assert rate.bps == 400_000 and rate.limited


def test_estimate_of_a_busy_receiver_is_not_believed() -> None:
    rate, now = sending(FULL_BPS)
    rate.took(0.03, now)
    rate.estimated(400_000, now)
    rate.took(0.04, now + 0.5)
    assert not rate.limited
    rate.took(0.2, now + 0.9)  # now the round trip bears it out
    assert rate.bps == 400_000


def test_estimate_is_not_believed_for_ever_nor_by_a_late_loop() -> None:
    rate, now = sending(FULL_BPS)
    rate.took(0.03, now)
    rate.estimated(400_000, now)
    rate.took(0.2, now + BELIEVED_S + 0.1)
    assert not rate.limited
    late, now = sending(FULL_BPS, late_ms=80.0)
    late.took(0.03, now)
    late.estimated(400_000, now)
    late.took(0.2, now + 0.1)
    assert not late.limited


def test_low_estimate_of_a_still_picture_limits_nothing() -> None:
    rate, now = sending(200_000)
    for _ in range(20):
        rate.missed(now)
    rate.estimated(300_000, now)
    assert not rate.limited


@pytest.mark.parametrize(("share", "bps"), [(0.01, 2_000_000), (0.05, 2_000_000), (0.5, 1_500_000)])
def test_losses_lower_the_rate_only_where_they_are_many(share: float, bps: int) -> None:
    rate, now = sending(FULL_BPS)
    rate.lost(share, now)
    assert rate.bps == bps


def test_rate_stays_within_its_bounds() -> None:
    rate, now = sending(FULL_BPS)
    for _ in range(50):
        rate.lost(0.9, now)
    assert rate.bps == LEAST_BPS
    for second in range(100):
        rate.lost(0.0, now + REST_S + second)
    assert rate.bps == FULL_BPS and not rate.limited


def test_rises_slowly_and_not_above_the_estimate() -> None:
    rate, now = sending(FULL_BPS)
    rate.lost(0.8, now)
    low = rate.bps
    rate.lost(0.0, now + 0.5)
    assert rate.bps == low
    rate.lost(0.0, now + 1.5)
    assert low < rate.bps < 1.1 * low
    rate.estimated(rate.bps + 1000, now + 2.5)
    rate.estimated(rate.bps + 1000, now + 3.5)
    assert rate.bps <= low * 1.09 + 2000


def test_packets_are_spaced_on_a_narrow_line_only() -> None:
    rate, now = sending(FULL_BPS)
    rate.sent(10_000, now)
    assert rate.wait_s(now) == 0
    rate.lost(0.8, now)
    rate.sent(10_000, now)
    assert rate.wait_s(now) == pytest.approx(80_000 / 1.5 / rate.bps)


def arrive(
    estimator: LineEstimator, packets: int, wait_ms: float, *, start_ms: int = 10_000
) -> list[int]:
    """Packets 10 ms apart, each later by `wait_ms` than it might be. Returns what was told."""
    told = []
    for n in range(packets):
        sent = int((start_ms + 10 * n) * SEND_TIME_HZ / 1000) % SEND_TIME_WRAP
        found = estimator.add(round(start_ms + 10 * n + wait_ms), sent, 1000, 7)
        if found is not None:
            assert found[1] == [7]
            told.append(found[0])
    return told


def test_nothing_is_told_while_the_line_has_room() -> None:
    estimator = LineEstimator(lambda: 0.0)
    # 64 s is where the time of sending wraps.
    assert not arrive(estimator, 7000, 5.0)
    assert estimator.limit_bps(FULL_BPS) is None


def test_wait_of_all_packets_tells_of_a_full_line() -> None:
    estimator = LineEstimator(lambda: 0.0)
    arrive(estimator, 100, 0.0)
    told = arrive(estimator, 100, 100.0, start_ms=11_000)
    assert told and told[0] < 800_000
    assert estimator.limit_bps(FULL_BPS) == told[-1] >= LEAST_TOLD_BPS


def test_streams_without_number_are_not_all_told_of() -> None:
    estimator = LineEstimator(lambda: 0.0)
    told = None
    for n in range(2000):
        late = 200 if n >= 1000 else 0
        sent = int(10 * n * SEND_TIME_HZ / 1000) % SEND_TIME_WRAP
        told = estimator.add(10 * n + late, sent, 1000, n) or told
    assert told is not None and len(told[1]) <= MOST_STREAMS


def test_wait_with_losses_is_believed_sooner() -> None:
    waits = []
    for missing in (0, 10):
        estimator = LineEstimator(lambda: 0.0)
        estimator.missing = lambda missing=missing: missing
        arrive(estimator, 100, 0.0)
        waits.append(bool(arrive(estimator, 40, 100.0, start_ms=11_000)))
    assert waits == [False, True]


def test_late_loop_and_jitter_tell_nothing() -> None:
    late = LineEstimator(lambda: 60.0)
    arrive(late, 100, 0.0)
    assert not arrive(late, 200, 100.0, start_ms=11_000)
    jittery = LineEstimator(lambda: 0.0)
    jittery.missing = lambda: 10
    for n in range(500):
        assert not arrive(jittery, 1, 90.0 * (n % 5 > 0), start_ms=10_000 + 10 * n)
