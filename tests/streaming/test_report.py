"""What a call tells about itself, without a call."""

from streaming.mediaclock import MediaClock
from streaming.metrics import Metrics
from streaming.report import Report
from streaming.sound import RATE_HZ, SoundTimeline

from .double import Facts


def test_the_first_rates_are_of_the_time_since_the_call_began() -> None:
    report = Report(Metrics(), Facts(), now=5000.0)
    report.count("in", 30)
    report.rates(5002.0)
    assert report.fps["in"] == 15
    report.count("in", 25)
    report.rates(5003.0)
    assert report.fps["in"] == 25


def test_sound_that_was_lost_or_moved_is_counted_once_by_kind() -> None:
    metrics, sound = Metrics(), SoundTimeline()
    report, clock = Report(metrics, Facts(), now=0.0), MediaClock(sound)
    sound.padded_samples = RATE_HZ // 2
    clock.dropped_samples = 2 * RATE_HZ
    for seconds in (3, 4):
        clock.inserted_samples = seconds * RATE_HZ
        report.sound(sound, clock)
    told = {kind: metrics.sound.labels(kind)._value.get() for kind in report._sound_before}
    assert told == {"concealed": 0, "late": 0, "padded": 0.5, "dropped": 2, "inserted": 4}
