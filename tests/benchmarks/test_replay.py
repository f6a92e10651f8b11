"""A recording goes out and comes back, over real WebRTC on loopback."""

import asyncio

import av
import numpy as np
import pytest

from benchmarks import network, sessions
from benchmarks.calls import Side
from benchmarks.direct import _measure as measure_direct
from benchmarks.hog import hogs, watch
from benchmarks.material import read_stamp
from benchmarks.recording import Recording
from benchmarks.relay import CLEAN, Condition
from benchmarks.replay import RecordedCall, Refused, _luma
from benchmarks.sound_path import sound_path

from .house import echo, product, short_recording

pytestmark = pytest.mark.rtc
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def recording() -> Recording:
    return short_recording()


def test_recording_decodes_to_its_stamps(recording: Recording) -> None:
    codec = av.CodecContext.create("vp8", "r")
    assert isinstance(codec, av.VideoCodecContext)
    frames = [f for data in recording.pictures for f in codec.decode(av.Packet(data))]
    assert [read_stamp(_luma(frame)) for frame in frames] == list(range(22))
    assert all(not recording.pictures[n][0] & 1 for n in recording.keyframes)
    assert len(recording.sound) == 300
    assert abs(len(recording.heard) - 3 * 48_000) <= 480
    assert np.abs(recording.heard).max() > 2000


def test_stamp_that_cannot_be_told_is_none() -> None:
    assert read_stamp(np.full((480, 640), 128, np.uint8)) is None
    assert read_stamp(np.zeros((8, 8), np.uint8)) is None


async def until(call: RecordedCall, pictures: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while len(call.video.arrivals) < pictures:  # noqa: ASYNC110 (packets tell nobody)
            await asyncio.sleep(0.02)


async def test_echo_gives_back_pictures_in_order_and_the_sound(recording: Recording) -> None:
    async with echo() as server:
        figures = await measure_direct(Side("echo", server, False), recording, 0.5, 2.0)
    stamps = [picture.stamp for picture in figures.period.shown]
    assert len(stamps) > 5 and None not in stamps
    assert len(figures.ages_ms) > 5
    assert figures.connect_ms and figures.first_ms is not None
    assert figures.client_cpu


async def test_call_that_has_no_seat_is_refused_cleanly(recording: Recording) -> None:
    async with product(max_sessions=1) as server:
        first, second = RecordedCall(server.url, recording), RecordedCall(server.url, recording)
        try:
            await first.connect()
            await until(first, 30)
            with pytest.raises(Refused) as refused:
                await second.connect()
        finally:
            await asyncio.gather(first.close(), second.close())
    assert refused.value.clean and refused.value.status == 503
    came = list(first.audio.arrivals)
    assert sound_path(came, came[0].at_s, came[-1].at_s).missing_ms == 0
    assert not first.pictures  # nothing is decoded unless asked for


async def test_ramp_ends_at_the_refusal(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "NEW_FPS_LIMIT", 0.0)
    monkeypatch.setattr(sessions, "TICK_LIMIT_MS", float("inf"))
    async with product(max_sessions=2) as server:
        ramp = await sessions._ramp("double", server, recording, 5, 1.5)
    assert [load.sessions for load in ramp.loads] == [1, 2]
    assert ramp.clean and ramp.carried == 2
    assert ramp.loads[1].tick_p95_ms is not None
    outcome = sessions._outcome([ramp], ("face", "voice"), limited=True)
    assert [target.met for target in outcome.targets] == [True, True]
    assert outcome.tables[0].rows[-1][-1] == "refused cleanly"


async def test_sound_goes_on_beside_busy_processes(recording: Recording) -> None:
    async with product() as server:
        course = await watch(server, recording, busy=2, part_s=1.0)
    assert course.began_s < course.ended_s < course.moments[-1].at_s
    assert all(part.packets > 0 for part in course.sound)
    assert sum(part.missing_ms for part in course.sound) == 0


def test_busy_processes_end_with_their_time() -> None:
    with hogs(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert None not in [process.poll() for process in running]


async def test_bad_network_loses_and_a_clean_one_does_not(recording: Recording) -> None:
    async with product() as server:
        clean = await network._measure(server, recording, CLEAN, 0, 2.0)
        lossy = await network._measure(server, recording, Condition("loss", loss=0.2), 0, 2.0)
    assert clean.dropped == 0 and clean.lost_sound_ms == 0
    assert lossy.dropped > 10
    assert clean.fps_out > 0 and clean.fps_in > 0 and clean.age is not None


async def test_call_comes_back_after_an_outage(recording: Recording) -> None:
    async with product() as server:
        outage = await network._measure_outage(server, recording, 0, 4.0)
    assert outage.sound_s is not None and outage.first_new_s is not None
