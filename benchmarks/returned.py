"""What came back of a recording: ages and freezes of its pictures, sound against picture."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streaming.jitter import timestamp_delta

from .figures import new_pictures, spread
from .material import RATE_HZ
from .recording import Recording
from .replay import PICTURE_HZ, HeardSound, RecordedCall, Returned, SeenPicture

FREEZE_S = 0.2
REDUCED_HZ = 8000  # enough to find the recording's sound again, to an eighth of a ms
PART_S = 1.0
LATEST_S = 2.0  # sound that is later is not looked for
LEAST_LIKENESS = 0.5


def picture_ages_ms(pictures: Sequence[SeenPicture]) -> list[float]:
    """From being sent to being decoded, of each new picture."""
    new = new_pictures(pictures)
    return [1000 * (p.at_s - p.sent_s) for p in new if p.sent_s is not None]


def freezes(pictures: Sequence[SeenPicture], begin_s: float, end_s: float) -> int:
    """How often no new picture came for longer than FREEZE_S."""
    times = [begin_s, *(picture.at_s for picture in new_pictures(pictures)), end_s]
    return sum(late - early > FREEZE_S for early, late in pairwise(times))


def steady_from_s(pictures: Sequence[SeenPicture], after_s: float, fps: float) -> float | None:
    """From `after_s` to the first new picture that `fps` others a second follow for a second."""
    times = [p.at_s for p in new_pictures(pictures) if p.at_s >= after_s]
    for first, last in zip(times, times[int(fps) :], strict=False):
        if last - first <= 1.0:
            return first - after_s
    return None


def skew_ms(
    call: RecordedCall, recording: Recording, begin_s: float, offset_s: float
) -> float | None:
    """Sound minus picture as the sender reports place them, medians, positive: sound is late. It is
    what a receiver shows that keeps to them, whatever the network did to single packets.

    begin_s: what arrived before does not count. offset_s: Unix time minus the notes' clock.
    """
    pictures = [p for p in new_pictures(call.pictures) if p.at_s >= begin_s]
    late_picture = []
    for picture in pictures:
        stated_s = _stated_s(call.video, picture.media, PICTURE_HZ)
        if stated_s is not None and picture.sent_s is not None:
            late_picture.append(stated_s - offset_s - picture.sent_s)
    late_sound = sound_delays_s(call, recording, begin_s, offset_s)
    sound, picture_late = spread(late_sound), spread(late_picture)
    return 1000 * (sound.p50 - picture_late.p50) if sound and picture_late else None


def _stated_s(returned: Returned, media: int, hz: int) -> float | None:
    """Unix time that the sender gives to a media time, from its latest report."""
    if returned.report is None or returned.first is None:
        return None
    unix_s, timestamp = returned.report
    at = (returned.first + media) & 0xFFFFFFFF
    return unix_s + timestamp_delta(at, timestamp) / hz


def sound_delays_s(
    call: RecordedCall, recording: Recording, begin_s: float, offset_s: float
) -> list[float]:
    """Of each second of returned sound in which the recording is found again."""
    start_s = call.sound_start_s
    parts = _parts([s for s in call.sound if s.at_s >= begin_s])
    found = []
    for media, samples in parts:
        stated_s = _stated_s(call.audio, media, RATE_HZ)
        if stated_s is None or start_s is None:
            continue
        played_s = stated_s - offset_s - start_s  # had the recording's sound no delay at all
        delay_s = find_delay_s(recording.heard, samples, played_s)
        if delay_s is not None:
            found.append(delay_s)
    return found


def _parts(sound: Sequence[HeardSound]) -> list[tuple[int, NDArray[np.int16]]]:
    """Unbroken seconds: (media of the first sample, samples)."""
    parts: list[tuple[int, NDArray[np.int16]]] = []
    run: list[HeardSound] = []
    for piece in sorted(sound, key=lambda s: s.media):
        if run and piece.media != run[-1].media + len(run[-1].samples):
            run = []
        run.append(piece)
        if sum(len(p.samples) for p in run) >= PART_S * RATE_HZ:
            parts.append((run[0].media, np.concatenate([p.samples for p in run])))
            run = []
    return parts


def find_delay_s(
    recorded: NDArray[np.int16], samples: NDArray[np.int16], played_s: float
) -> float | None:
    """How much later than at `played_s` of the looping recording `samples` were in it; None where
    they are not like anything in the LATEST_S before.
    """
    step = RATE_HZ // REDUCED_HZ
    first = round((played_s - LATEST_S) * REDUCED_HZ)
    length = len(samples) // step + round((LATEST_S + 0.1) * REDUCED_HZ)
    looped = _reduced(recorded, step)
    within = looped[np.arange(first, first + length) % len(looped)]
    wanted = _reduced(samples, step)
    size = 1 << (len(within) + len(wanted)).bit_length()
    products = np.fft.irfft(np.fft.rfft(within, size) * np.fft.rfft(wanted, size).conj(), size)
    places = len(within) - len(wanted) + 1
    energy = np.cumsum(np.concatenate([[0.0], within**2]))
    norms = np.sqrt((energy[len(wanted) :] - energy[: -len(wanted)]) * (wanted @ wanted))
    likeness = products[:places] / np.maximum(norms, 1e-9)
    best = int(np.argmax(likeness))
    if likeness[best] < LEAST_LIKENESS:
        return None
    return LATEST_S - best / REDUCED_HZ


def _reduced(samples: NDArray[np.int16], step: int) -> NDArray[np.float64]:
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    return whole.mean(axis=1)


def pictures_in(call: RecordedCall, begin_s: float, end_s: float) -> list[SeenPicture]:
    return [p for p in call.pictures if begin_s <= p.at_s < end_s]
