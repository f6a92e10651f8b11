import numpy as np
import pytest

from streaming.sound import FADE, RATE_HZ, Decimator, Pcm, SoundTimeline
from streaming.speech import BLOCK, HANGOVER_BLOCKS, SpeechGate


def packet(n: int, value: int = 1000) -> Pcm:
    return np.full(960, value, np.int16)


def filled(*numbers: int) -> SoundTimeline:
    sound = SoundTimeline()
    for n in numbers:
        sound.write(960 * n, packet(n, 1000 + n), 0.02 * n)
    return sound


def test_packets_come_out_in_order_of_their_timestamps() -> None:
    sound = filled(0, 2, 1, 3)
    out = sound.read(4 * 960)
    assert [out[960 * n + 500] for n in range(4)] == [1000, 1001, 1002, 1003]
    assert sound.concealed_samples == 0


def test_lost_packet_fades_without_a_click() -> None:
    sound = filled(0, 1, 3, 4)
    out = sound.read(5 * 960).astype(np.int32)
    assert sound.concealed_samples == 960
    assert np.abs(np.diff(out)).max() <= 1003 / FADE + 2
    assert not out[2 * 960 + FADE : 3 * 960].any()
    assert out[4 * 960 - 1] == 1003


def test_hole_across_two_reads_fades_once() -> None:
    sound = filled(0, 1, 3, 4)
    first, second = sound.read(960 * 2), sound.read(960 * 3)
    joined = np.concatenate([first, second]).astype(np.int32)
    assert np.abs(np.diff(joined)).max() <= 1003 / FADE + 2


def test_late_packet_fills_what_is_still_unread() -> None:
    sound = filled(0, 2)
    sound.read(960 + 480)
    sound.write(960, packet(1, 7000), 0.05)
    out = sound.read(480 + 960)
    assert out[400] == 7000
    assert sound.late_samples == 480


def test_late_stream_is_played_late_and_whole() -> None:
    sound = filled(0, 1)
    sound.read(2 * 960)
    sound.pad(2 * 960)
    sound.read(2 * 960)
    for n in (2, 3, 4):
        sound.write(960 * n, packet(n, 1000 + n), 0.2)
    assert sound.unread == 3 * 960
    out = sound.read(3 * 960)
    assert [out[960 * n + 500] for n in range(3)] == [1002, 1003, 1004]
    assert sound.late_samples == 0


def test_lost_stretch_is_not_added_to_the_silence_that_stood_for_it() -> None:
    sound = filled(0, 1)
    sound.read(2 * 960)
    sound.pad(2 * 960)
    sound.write(960 * 5, packet(5, 5000), 0.2)  # 2, 3 and 4 are lost
    assert sound.unread == 4 * 960


def test_jump_of_the_senders_clock_is_followed() -> None:
    sound = filled(0, 1)
    sound.write(10_000_000, packet(0, 5000), 0.05)
    assert sound.unread == 3 * 960
    assert sound.read(3 * 960)[-1] == 5000


def test_ring_stays_bounded_when_nobody_reads() -> None:
    sound = SoundTimeline()
    for n in range(500):
        sound.write(960 * n, packet(n), 0.02 * n)
    assert sound.unread <= RATE_HZ // 2
    assert sound.late_samples > 0


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE_HZ) -> Pcm:
    t = np.arange(int(seconds * rate)) / rate
    return (10_000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)


@pytest.mark.parametrize(("hertz", "gain"), [(300, 1.0), (3000, 1.0), (5000, 1.0)])
def test_decimator_keeps_the_speech_band(hertz: float, gain: float) -> None:
    out = Decimator()(tone(hertz))[200:].astype(float)
    assert np.sqrt(2 * np.mean(out**2)) == pytest.approx(10_000 * gain, rel=0.02)


def test_decimator_removes_what_would_alias() -> None:
    out = Decimator()(tone(12_000))[200:].astype(float)
    assert np.sqrt(np.mean(out**2)) < 30


def test_decimator_has_no_seams() -> None:
    whole = Decimator()(tone(440))
    blocks = Decimator()
    parts = [blocks(part) for part in tone(440)[: 1920 * 12].reshape(-1, 1920)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[: 640 * 12])


def voice(seconds: float) -> Pcm:
    """A buzz with formants, which webrtcvad takes for speech."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 30))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (4000 * buzz * swell + rng.normal(0, 50, len(t))).astype(np.int16)


def test_gate_passes_speech_and_silences_quiet_noise() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 12, 16_000).astype(np.int16)
    gate = SpeechGate()
    assert not gate(noise)[8000:].any()
    assert not gate.speaking
    spoken = voice(1.0)
    out = gate(spoken)
    assert gate.speaking
    np.testing.assert_array_equal(out[8000:], spoken[8000:])


def test_gate_holds_through_a_short_pause_and_then_closes() -> None:
    gate = SpeechGate()
    gate(voice(1.0))
    pause = np.full(BLOCK * (HANGOVER_BLOCKS + 20), 5, np.int16)
    out = gate(pause)
    assert out[:BLOCK].any()
    assert not out[-BLOCK:].any()
    assert not gate.speaking


def test_gate_switched_off_changes_nothing_but_still_listens() -> None:
    gate = SpeechGate(enabled=False)
    noise = np.random.default_rng(1).normal(0, 12, 3200).astype(np.int16)
    np.testing.assert_array_equal(gate(noise), noise)
    gate(voice(1.0))
    assert gate.speaking
