"""One call under measurement without a browser: a recording goes out, what returns is decoded."""

import asyncio
import os
from functools import partial

from .browser import Period
from .calls import CallFigures, Reading, Side, call_figures
from .figures import STAMP_BITS, Shown
from .processes import cpu_s
from .recording import Recording
from .replay import RecordedCall, SeenPicture, now_s

OPENING = 400  # pictures kept from the beginning of the call


def measure_direct(
    side: Side, recording: Recording, *, warm_up_s: float, seconds: float
) -> CallFigures:
    """As `measure_call`. The receiver's part ends with decoding: there is no jitter buffer, nothing
    is shown. Raises BenchError.
    """
    return asyncio.run(_measure(side, recording, warm_up_s, seconds))


async def _measure(
    side: Side, recording: Recording, warm_up_s: float, seconds: float
) -> CallFigures:
    call = RecordedCall(side.server.url, recording, decode=True)
    own_cpu = partial(cpu_s, os.getpid())
    try:
        await call.connect()
        await asyncio.sleep(warm_up_s)
        begin_s, before = now_s(), await asyncio.to_thread(Reading.of, side, own_cpu)
        await asyncio.sleep(seconds)
        end_s, after = now_s(), await asyncio.to_thread(Reading.of, side, own_cpu)
    finally:
        await call.close()
    return call_figures(side, _period(call, begin_s, end_s), call.connect_ms, before, after)


def _period(call: RecordedCall, begin_s: float, end_s: float) -> Period:
    """As a browser would report it, without what only browsers count."""
    shown = [p for p in call.pictures if begin_s <= p.at_s < end_s]
    width = call.pictures[-1].width if call.pictures else 0
    return Period(
        length_s=end_s - begin_s,
        connected_ms=1000 * call.connected_s,
        opening=[_shown(p) for p in list(call.pictures)[:OPENING]],
        shown=[_shown(p) for p in shown],
        presented=len(shown),
        flash_starts=[],
        beeps=[],
        messages=call.messages,
        before={},
        after={"in_video": {"frameWidth": width}},
    )


def _shown(picture: SeenPicture) -> Shown:
    """Its stamp as the page draws it: the time of sending, low bits of whole ms."""
    stamp = None
    if picture.sent_s is not None:
        stamp = int(1000 * picture.sent_s) & ((1 << STAMP_BITS) - 1)
    return Shown(1000 * picture.at_s, stamp, False)
