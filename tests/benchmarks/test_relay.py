"""What the relay does to packets, on invented time."""

from dataclasses import replace
from itertools import pairwise

from benchmarks.relay import CLEAN, Condition, Line, Relay, conditions

SIZE = 1200
PERIOD_S = 0.01


def arrivals(condition: Condition, count: int = 2000, seed: int = 0) -> list[float | None]:
    line = Line(condition, seed)
    return [line.arrival_s(SIZE, n * PERIOD_S) for n in range(count)]


def test_clean_line_does_nothing() -> None:
    assert arrivals(CLEAN) == [n * PERIOD_S for n in range(2000)]


def test_loss_is_seeded_and_as_asked() -> None:
    lossy = Condition("", loss=0.05)
    lost = [at is None for at in arrivals(lossy)]
    assert 60 < sum(lost) < 140
    assert lost == [at is None for at in arrivals(lossy)]
    assert lost != [at is None for at in arrivals(lossy, seed=1)]


def test_another_condition_leaves_the_fate_of_packets() -> None:
    lossy = Condition("", loss=0.05)
    shaken = replace(lossy, jitter_ms=30.0, reordered=0.02)
    assert [at is None for at in arrivals(lossy)] == [at is None for at in arrivals(shaken)]


def test_jitter_keeps_the_order() -> None:
    came = [at for at in arrivals(Condition("", jitter_ms=30)) if at is not None]
    assert came == sorted(came)
    late = [at - n * PERIOD_S for n, at in enumerate(came)]
    assert 0.025 < max(late) <= 0.030 and min(late) < 0.005


def test_reordered_packets_are_overtaken() -> None:
    came = [at for at in arrivals(Condition("", reordered=0.02)) if at is not None]
    overtaken = sum(late < early for early, late in pairwise(came))
    assert 15 < overtaken < 70


def test_narrow_line_lets_its_rate_through_and_drops_the_rest() -> None:
    kbps = 480.0  # half of what comes
    found = arrivals(Condition("", kbps=kbps, queue_ms=200))
    came = [at for at in found if at is not None]
    assert abs(8 * SIZE * len(came) / (1000 * kbps) - came[-1]) < 0.05
    assert max(at - n * PERIOD_S for n, at in enumerate(found) if at is not None) < 0.25


def test_cut_line_brings_nothing() -> None:
    line = Line(CLEAN, 0)
    line.cut = True
    assert line.arrival_s(SIZE, 0.0) is None and line.dropped == 1


def test_answer_leads_to_the_relay_alone() -> None:
    relay = Relay(0)
    relay.address = ("127.0.0.1", 4321)
    sdp = "\r\n".join(
        [
            "v=0",
            "a=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host",
            "a=candidate:2 1 udp 2130706431 127.0.0.1 5001 typ host",
            "a=end-of-candidates",
        ]
    )
    told = relay.reroute(sdp)
    assert "192.0.2.7" not in told and "5001" not in told
    assert "a=candidate:2 1 udp 2130706431 127.0.0.1 4321 typ host" in told


def test_rows_of_the_benchmark_have_names_of_their_own() -> None:
    names = [condition.name for condition in conditions([300, 500])]
    assert names[:5] == ["clean", "1 % loss", "5 % loss", "30 ms jitter", "2 % reordered"]
    assert names[5:] == ["300 kbit/s", "500 kbit/s"]
