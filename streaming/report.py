"""What a call tells about itself once a second: the counters behind `stats` and the metrics."""

import json
from collections import Counter
from typing import Any

from .mediaclock import FPS, MediaClock
from .metrics import Metrics
from .pacer import SOUND_LEAD_S, Kind, Out, Pacer
from .sound import RATE_HZ, SoundTimeline


class Report:
    """Counts of one call, and their differences over the last second."""

    def __init__(self, metrics: Metrics, facts: Any, now: float) -> None:
        self._metrics = metrics
        self._facts = facts
        self._total: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._told_at = now
        self._sound_before: dict[str, int] = Counter()
        self._released: dict[str, float] = {}
        self._skews: list[float] = []
        self.fps: dict[str, float] = {}

    def count(self, stage: str, number: int = 1) -> None:
        self._total[stage] += number
        if number:
            self._metrics.frames.labels(stage).inc(number)

    def total(self, stage: str) -> int:
        return self._total[stage]

    def released(self, kind: str, out: Out[Any], now: float) -> None:
        """Notes a release of a track; pairs picture and sound of one media time."""
        if kind == "video":
            self.count("out" if out.kind is Kind.SYNCED else out.kind.value)
            if out.held_s is not None:
                self._metrics.observe_stage("hold", out.held_s)
            if out.kind is Kind.REPEATED:
                self._metrics.deadline_misses.inc()
        slot, half = divmod(round(out.media_s * FPS * 2), 2)
        if half:
            return
        other = "audio" if kind == "video" else "video"
        self._released[f"{kind}{slot}"] = now
        partner = self._released.pop(f"{other}{slot}", None)
        if partner is not None:
            self._released.pop(f"{kind}{slot}", None)
            self._skews.append(now - partner if kind == "video" else partner - now)
        if len(self._released) > FPS:
            self._released.clear()

    def sent(self, kind: str, seconds: float) -> None:
        """Notes how long a track's sender took to encode and send."""
        self._metrics.observe_stage("send" if kind == "video" else "send_sound", seconds)

    def skew_ms(self) -> float:
        """Mean of picture release minus sound release since the last call, beyond its lead, ms."""
        skews, self._skews = self._skews, []
        return 1000 * (sum(skews) / len(skews) - SOUND_LEAD_S) if skews else 0.0

    def rates(self, now: float) -> None:
        """Takes the stage rates since the last call into `fps`."""
        passed = max(now - self._told_at, 1e-3)
        self.fps = {k: (n - self._before[k]) / passed for k, n in self._total.items()}
        self._before, self._told_at = self._total.copy(), now

    def sound(self, timeline: SoundTimeline, clock: MediaClock[Any]) -> None:
        """Adds the timeline's losses, and what the clock moved, to the metrics."""
        now = {
            "concealed": timeline.concealed_samples,
            "late": timeline.late_samples,
            "padded": timeline.padded_samples,
            "dropped": clock.dropped_samples,
            "inserted": clock.inserted_samples,
        }
        for kind, samples in now.items():
            self._metrics.sound.labels(kind).inc((samples - self._sound_before[kind]) / RATE_HZ)
        self._sound_before = now

    def stats(self, pacer: Pacer[Any], delay_s: float, **state: Any) -> str:
        """The `stats` message of the control channel."""
        skew_ms = self.skew_ms()
        self._metrics.av_skew.set(skew_ms / 1000)
        self._metrics.playout_delay.set(delay_s)
        message = {
            "type": "stats",
            "fps_in": round(self.fps.get("in", 0.0), 1),
            "fps_out": round(self.fps.get("out", 0.0), 1),
            "repeated": pacer.counts[Kind.REPEATED],
            "passed_through": pacer.counts[Kind.PASSED],
            "skipped": self.total("skipped"),
            "too_late": pacer.too_late,
            "sound_skipped": pacer.sound_skipped,
            "playout_delay_ms": round(1000 * delay_s, 1),
            "av_offset_ms": round(skew_ms, 1),
            "model": self._facts.model,
            "runtime": self._facts.runtime,
            **state,
        }
        return json.dumps(message)
