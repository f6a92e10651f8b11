"""One stream through the shipped weights: order, delay, what is touched and what is not, and that
sound moves the mouth.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine import EngineError, LipSyncEngine, LipSyncStream, RuntimeUnavailableError, WeightsError
from engine.audio import SAMPLES_PER_FRAME
from engine.engine import WEIGHTS
from engine.media import Voice
from engine.runtime.protocol import Manifest

HERE = Path(__file__).parent
DEMO_VOICE = HERE.parents[1] / "web_client" / "demo" / "voice.mp3"


@pytest.fixture(scope="module")
def engine() -> LipSyncEngine:
    return LipSyncEngine.load(runtime="onnxruntime")


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    picture = cv2.imread(str(HERE / "rendered_head.jpg"))
    return np.ascontiguousarray(picture[:, :, ::-1])


def voice(frames: int, seed: int = 0) -> np.ndarray:
    """Bursts of a vowel-like sound, 0.24 s on and 0.24 s off, int16."""
    t = np.arange(frames * SAMPLES_PER_FRAME) / 16_000
    pulses = ((t * (110 + 15 * seed)) % 1.0 < 0.1).astype(float) - 0.1
    kernel = np.exp(-np.arange(200) / 30) * np.cos(2 * np.pi * 700 * np.arange(200) / 16_000)
    vowel = np.convolve(pulses, kernel)[: len(t)]
    return (9000 * vowel * ((t * 1000) % 480 < 240)).astype(np.int16)


def run(stream: LipSyncStream, face: np.ndarray, pcm: np.ndarray, frames: int) -> list[np.ndarray]:
    out = []
    for i in range(frames):
        stream.push_audio(pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME])
        out += stream.push_frame(face)
    out += stream.flush()
    return [f.rgb for f in out]


def test_every_frame_comes_out_once_in_order_two_ticks_later(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    stream = engine.open_stream()
    pcm = voice(8)
    indices = []
    for i in range(8):
        stream.push_audio(pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME])
        frames = stream.push_frame(face)
        assert len(frames) == (1 if i >= 2 else 0)
        indices += [f.index for f in frames]
    assert engine.facts.look_ahead_ms == 80
    indices += [f.index for f in stream.flush()]
    assert indices == list(range(8))
    assert [f.index for _ in range(3) for f in stream.push_frame(face)] == [0], "it starts anew"


def test_outside_the_mask_nothing_changes_and_inside_something_does(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    stream = engine.open_stream()
    changed = 0
    for i in range(12):
        stream.push_audio(voice(12)[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME])
        for frame in stream.push_frame(face):
            assert frame.face_found and frame.mask is not None
            assert frame.mask.shape == face.shape[:2]
            assert (frame.rgb[frame.mask == 0] == face[frame.mask == 0]).all()
            assert frame.mask.mean() < 0.35
            changed += int((frame.rgb != face).any(-1).sum())
    assert changed > 1000


def test_the_voice_moves_the_mouth_and_the_same_voice_moves_it_the_same(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    said = np.concatenate([tick.pcm for tick in islice(Voice(DEMO_VOICE).ticks(), 40)])
    speech = run(engine.open_stream(), face, said[-20 * SAMPLES_PER_FRAME :], 20)
    again = run(engine.open_stream(), face, said[-20 * SAMPLES_PER_FRAME :], 20)
    silence = run(engine.open_stream(), face, np.zeros(20 * SAMPLES_PER_FRAME, np.int16), 20)
    assert all((a == b).all() for a, b in zip(speech, again, strict=True))
    moving = np.std(np.stack(speech[8:]).astype(float), axis=0).max()
    still = np.std(np.stack(silence[8:]).astype(float), axis=0).max()
    assert moving > 12
    assert still < moving / 3


def test_a_still_picture_in_silence_does_not_shimmer(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    assert engine.facts.runtime.endswith(":int8")
    frames = run(engine.open_stream(), face, np.zeros(90 * SAMPLES_PER_FRAME, np.int16), 90)
    shown = np.stack(frames[70:88]).astype(np.int16)
    drawn = (shown[-1] != face).any(-1)
    assert drawn.sum() > 200
    assert np.abs(np.diff(shown, axis=0))[:, drawn].mean() < 0.05


def test_chunks_of_sound_do_not_matter(engine: LipSyncEngine, face: np.ndarray) -> None:
    pcm = voice(6)
    whole, split = engine.open_stream(), engine.open_stream()
    for i in range(6):
        piece = pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME]
        whole.push_audio(piece)
        for part in np.array_split(piece, 4):
            split.push_audio(part)
        a, b = whole.push_frame(face), split.push_frame(face)
        assert len(a) == len(b)
        assert all(np.abs(p.rgb.astype(int) - q.rgb).max() <= 1 for p, q in zip(a, b, strict=True))


def test_slots_and_stride_change_live_without_losing_a_frame(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    stream = engine.open_stream()
    pcm = voice(40)
    seen, each_tick = [], []
    for i in range(40):
        stream.slots = 3 if i < 8 or 24 <= i < 32 else 2
        stream.every_second = 14 <= i < 21 or i >= 34
        stream.push_audio(pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME])
        moved = np.roll(face, i, axis=1)
        frames = stream.push_frame(moved)
        each_tick.append(len(frames))
        seen += frames
    assert each_tick[8] == 2 and each_tick[24] == 0
    assert each_tick[16:21] == [1] * 5, "between or not, each tick gives a frame"
    assert {s.index for s in seen} == set(range(len(seen)))
    seen += stream.flush()
    assert [frame.index for frame in seen] == list(range(40))
    for frame in seen:
        source = np.roll(face, frame.index, axis=1)
        assert frame.mask is not None and (frame.rgb != source).any()
        outside = frame.mask == 0
        assert (frame.rgb[outside] == source[outside]).all(), "each shows its own picture"


def test_a_frame_between_shows_a_mouth_between_its_neighbours(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    stream = engine.open_stream()
    stream.every_second = True
    stream.slots = 2
    out: list[np.ndarray] = []
    for tick in islice(Voice(DEMO_VOICE).ticks(), 12, 42):  # speech: bursts of a vowel are laughter
        stream.push_audio(tick.pcm)
        out += [frame.rgb.astype(float) for frame in stream.push_frame(face)]

    def apart(a: int, b: int) -> float:
        return float(np.abs(out[a] - out[b]).mean())

    keys = sorted(range(4, len(out) - 2, 2), key=lambda k: apart(k, k + 2))
    moves = keys[-6:]  # where the mouth moves most
    whole = [apart(key, key + 2) for key in moves]
    before, after = (
        [apart(key + a, key + a + 1) / w for key, w in zip(moves, whole, strict=True)]
        for a in (0, 1)
    )
    assert max(before) < 1
    # The next frame's estimate is a first one: where it is far off, so is the frame between.
    assert np.mean(after) < 0.9
    assert max(after) < 1.1


def test_slots_that_the_weights_do_not_offer_are_refused(engine: LipSyncEngine) -> None:
    with pytest.raises(ValueError, match="no levels for a window of 9"):
        engine.open_stream().slots = 9


def test_strength_is_live(engine: LipSyncEngine, face: np.ndarray) -> None:
    soft = np.stack(run(engine.open_stream(strength=0.0), face, voice(16), 16)).astype(float)
    strong = np.stack(run(engine.open_stream(strength=2.0), face, voice(16), 16)).astype(float)
    assert np.abs(strong - soft).max() > 8


def test_a_dark_face_speaks_as_in_light_and_stays_dark(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    said = np.concatenate([tick.pcm for tick in islice(Voice(DEMO_VOICE).ticks(), 60)])
    dark = (face * 0.15).astype(np.uint8)
    of_light, of_dark = (
        np.abs(np.stack(run(engine.open_stream(), still, said, 60)).astype(np.float32) - still)
        for still in (face, dark)
    )
    moved = of_light > 25
    assert of_dark[moved].mean() / of_light[moved].mean() == pytest.approx(0.15, rel=0.25)
    assert np.corrcoef(of_light[moved], of_dark[moved])[0, 1] > 0.8


def test_bypass_passes_frames_untouched_with_the_same_delay(
    engine: LipSyncEngine, face: np.ndarray
) -> None:
    stream = engine.open_stream()
    stream.bypass = True
    out = []
    for _ in range(5):
        out += stream.push_frame(face)
    assert [f.index for f in out] == [0, 1, 2]
    assert all(f.mask is None and (f.rgb == face).all() for f in out)


def test_without_a_face_frames_pass_through(engine: LipSyncEngine) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    stream = engine.open_stream()
    out = [f for _ in range(5) for f in stream.push_frame(noise)]
    assert len(out) == 3
    assert all(f.mask is None and not f.face_found and (f.rgb == noise).all() for f in out)


def test_a_box_by_hand_edits_what_no_detector_finds(engine: LipSyncEngine) -> None:
    drawing = np.full((240, 320, 3), 200, np.uint8)
    cv2.ellipse(drawing, (160, 120), (70, 95), 0, 0, 360, (240, 200, 160), -1)
    cv2.ellipse(drawing, (160, 165), (28, 6), 0, 0, 360, (160, 40, 60), -1)
    stream = engine.open_stream(face_box=(90, 25, 140, 190))
    stream.push_audio(voice(12))
    out = [f for _ in range(10) for f in stream.push_frame(drawing)]
    assert all(f.face_found and f.mask is not None for f in out)
    assert any((f.rgb != drawing).any() for f in out)


@pytest.mark.parametrize(("variant", "most"), [("fp32", 1), ("int8", 12)])
def test_windows_of_two_streams_share_one_call(face: np.ndarray, variant: str, most: int) -> None:
    """Exactly so in fp32; int8 scales all activations of a call together."""
    engine = LipSyncEngine.load(runtime=f"onnxruntime:{variant}")
    alone, one, two = engine.open_stream(), engine.open_stream(), engine.open_stream(strength=2.0)
    pcm = voice(6)
    for i in range(6):
        piece = pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME]
        for stream in (alone, one, two):
            stream.push_audio(piece)
        expected = alone.push_frame(face)
        first, second = one.prepare(face), two.prepare(np.ascontiguousarray(face[:, ::-1]))
        assert first is not None and second is not None
        x0 = engine.denoise([first, second])
        shared = one.finish(x0[0])
        two.finish(x0[1])
        for a, b in zip(expected, shared, strict=True):
            difference = np.abs(a.rgb.astype(int) - b.rgb)
            assert difference.max() <= most
            assert difference.mean() < 0.05


def test_streams_in_threads_of_their_own_share_calls(face: np.ndarray) -> None:
    engine = LipSyncEngine.load(runtime="onnxruntime:fp32")
    expected = run(engine.open_stream(), face, voice(8), 8)
    sizes: list[int] = []
    engine.share_calls(4, sizes.append)
    streams = [engine.open_stream() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for pictures in pool.map(lambda stream: run(stream, face, voice(8), 8), streams):
            for a, b in zip(expected, pictures, strict=True):
                assert np.abs(a.astype(int) - b).max() <= 1
    assert sum(sizes) == 3 * (8 + 2) and max(sizes) <= 3
    for stream in streams:
        stream.close()


@pytest.fixture
def stream(engine: LipSyncEngine) -> Iterator[LipSyncStream]:
    stream = engine.open_stream()
    yield stream
    stream.close()


def test_wrong_shapes_are_named(stream: LipSyncStream) -> None:
    with pytest.raises(ValueError, match="uint8"):
        stream.push_frame(np.zeros((10, 10), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        stream.push_frame(np.zeros((0, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="int16"):
        stream.push_audio(np.zeros(100, np.float32))  # type: ignore[arg-type]


def test_sound_too_far_ahead_is_refused_whole(stream: LipSyncStream, face: np.ndarray) -> None:
    stream.push_audio(np.zeros(2 * 16_000, np.int16))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"2\.44 s ahead of the frames") as told:
            stream.push_audio(np.zeros(11 * SAMPLES_PER_FRAME, np.int16))
        assert "\n" not in str(told.value)
    stream.push_audio(np.zeros(10 * SAMPLES_PER_FRAME, np.int16))
    with pytest.raises(ValueError, match="ahead"):
        stream.push_audio(np.zeros(1, np.int16))
    stream.push_frame(face)
    stream.push_audio(np.zeros(SAMPLES_PER_FRAME, np.int16))


def test_bad_loads_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing"):
        LipSyncEngine.load(tmp_path)
    with pytest.raises(RuntimeUnavailableError, match="not known"):
        LipSyncEngine.load(runtime="abacus")
    with pytest.raises(RuntimeUnavailableError, match="variant"):
        LipSyncEngine.load(runtime="onnxruntime:int1")
    with pytest.raises(EngineError, match="choose one of"):
        LipSyncEngine.load(runtime="onnxruntime", slots=9)


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: [],
        lambda stored: {"format": stored["format"]},
        lambda stored: stored | {"levels": 3},
        lambda stored: stored | {"files": {"int8": stored["files"]["int8"]}},
    ],
)
def test_a_damaged_manifest_is_one_clear_line(
    damage: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    for file in WEIGHTS.iterdir():
        (tmp_path / file.name).symlink_to(file)
    manifest = tmp_path / "manifest.json"
    stored = json.loads(manifest.read_text())
    manifest.unlink()
    manifest.write_text(json.dumps(damage(stored)))
    with pytest.raises(WeightsError, match="is damaged: check out the weights again"):
        LipSyncEngine.load(tmp_path)
    with pytest.raises(WeightsError, match="no weights in"):
        LipSyncEngine.load(manifest)


@pytest.mark.parametrize("unused", [{}, {"tau": 0.93, "default_strength": 1.0}])
def test_a_manifest_is_read_with_and_without_what_nobody_uses(
    unused: dict[str, float], tmp_path: Path
) -> None:
    for file in WEIGHTS.iterdir():
        (tmp_path / file.name).symlink_to(file)
    manifest = tmp_path / "manifest.json"
    stored = json.loads(manifest.read_text())
    for name in ("tau", "default_strength"):
        stored.pop(name, None)
    manifest.unlink()
    manifest.write_text(json.dumps(stored | unused))
    assert Manifest.read(tmp_path).crop_px == stored["crop_px"]


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    for file in WEIGHTS.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    broken = tmp_path / "decoder.onnx"
    broken.write_bytes(broken.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="does not match its hash"):
        LipSyncEngine.load(tmp_path)
