"""Prometheus metrics. Base units, few labels, never a session id; edges follow the 40 ms budget."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

EDGES_MS = (1, 2, 5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 120, 250, 1000)
EDGES_S = tuple(ms / 1000 for ms in EDGES_MS)


class Metrics:
    """One registry for one application, so that tests may make many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions_active = self._gauge("sessions_active", "Calls in progress")
        self.sessions_limit = self._gauge("sessions_limit", "Calls accepted at a time")
        self.sessions = self._counter("sessions", "Calls ended, by outcome", "outcome")
        self.session_duration = self._histogram(
            "session_duration_seconds", "Length of calls", edges=(1, 10, 60, 300, 1800, 7200)
        )
        self.connect = self._histogram(
            "connect_seconds", "Offer to connected", edges=(0.02, 0.05, 0.1, 0.3, 1, 3, 10)
        )
        self.offers_refused = self._counter("offers_refused", "Refused offers, by status", "status")
        self.frames = self._counter("frames", "Video frames, by what became of them", "stage")
        self.stage = self._histogram("stage_seconds", "Time of one stage of a tick", "stage")
        self.calls = self._counter(
            "denoiser_calls", "Calls that streams may share, by windows in them", "windows"
        )
        self.deadline_misses = self._counter(
            "deadline_misses", "Pictures that were not ready for their release"
        )
        self.queue_depth = self._gauge("queue_depth", "Things waiting, latest value", "queue")
        self.playout_delay = self._gauge("playout_delay_seconds", "Slot taken to slot released")
        self.av_skew = self._gauge("av_skew_seconds", "Picture minus sound at release")
        self.loop_lag = self._gauge("event_loop_lag_seconds", "Worst timer lag of the last second")
        self.sound = self._counter("sound_seconds", "Sound concealed or moved", "kind")
        self.ladder_step = self._gauge(
            "ladder_step", "Worst step of any call: 0 full .. 4 passed through"
        )
        self.ladder_changes = self._counter(
            "ladder_changes", "Changes of a call's quality, by the step taken", "step"
        )
        self._steps: Tally[int] = Tally()
        self.packets_lost = self._counter("rtp_packets_lost", "RTP packets lost on the way in")
        self.video_bytes = self._counter(
            "video_bytes", "Payload of RTP packets of pictures", "direction"
        )
        self.video_limit = self._gauge(
            "video_limit_bits_per_second",
            "What the narrowest line of any call bears; 0: all have room",
            "direction",
        )
        self._limits: dict[str, dict[object, int]] = {}
        self.build = self._gauge("build_info", "Always 1", "version", "model", "runtime")

    def render(self) -> bytes:
        """The text exposition format."""
        return bytes(generate_latest(self.registry))

    def observe_stage(self, stage: str, seconds: float) -> None:
        self.stage.labels(stage).observe(seconds)

    def observe_call(self, windows: int) -> None:
        """A denoiser call has run. From any thread."""
        self.calls.labels(str(windows)).inc()

    def ladder(self, before: int | None, after: int | None) -> None:
        """One call's step has changed; None: the call is not there."""
        self._steps.subtract([] if before is None else [before])
        self._steps.update([] if after is None else [after])
        self.ladder_step.set(max((step for step, calls in self._steps.items() if calls), default=0))

    def limit(self, direction: str, line: object, bps: int | None) -> None:
        """What one call's line bears; None: it has room, or the call is over."""
        limits = self._limits.setdefault(direction, {})
        limits.pop(line, None)
        if bps is not None:
            limits[line] = bps
        self.video_limit.labels(direction).set(min(limits.values(), default=0))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"omnisync_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"omnisync_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, *labels: str, edges: tuple[float, ...] = EDGES_S
    ) -> Histogram:
        return Histogram(f"omnisync_{name}", text, labels, registry=self.registry, buckets=edges)
