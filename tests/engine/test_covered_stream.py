"""A microphone before a face: it stays bit for bit, and the networks are shown the face without."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engine import LipSyncEngine, LipSyncStream
from engine.audio import SAMPLES_PER_FRAME

HERE = Path(__file__).parent
BALL = np.array([45, 42, 40], np.float32)


@pytest.fixture(scope="module")
def engine() -> LipSyncEngine:
    return LipSyncEngine.load(runtime="onnxruntime")


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(HERE / "rendered_head.jpg"))[:, :, ::-1])


@pytest.fixture(scope="module")
def before(engine: LipSyncEngine, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face with a microphone just below its mouth, and where that is."""
    stream = engine.open_stream()
    stream.prepare(face)
    held = stream._window.slots[-1].payload
    x, y = np.linalg.inv(np.vstack([held.transform.matrix(1), [0, 0, 1]]))[:2] @ [
        *(held.mouth + np.array([0.0, 0.16]) - 0.5),
        1,
    ]
    radius = 0.11 * held.transform.side_px
    solid = np.zeros(face.shape[:2], np.uint8)
    cv2.circle(solid, (round(x), round(y)), round(radius), 255, -1)
    cv2.line(solid, (round(x), round(y)), (round(x), face.shape[0]), 255, round(0.8 * radius))
    grain = np.random.default_rng(0).normal(0, 8, (*solid.shape, 1))
    ball = np.clip(BALL + cv2.GaussianBlur(grain, (0, 0), 0.8)[..., None] * 2, 0, 255)
    return np.where(solid[..., None] > 0, ball, face).astype(np.uint8), solid > 0


def spoken(stream: LipSyncStream, frames: list[np.ndarray]) -> list[np.ndarray]:
    """Vowel-like bursts from the first frame on."""
    t = np.arange(len(frames) * SAMPLES_PER_FRAME) / 16_000
    pulses = ((t * 110) % 1.0 < 0.1) - 0.1
    kernel = np.exp(-np.arange(200) / 30) * np.cos(2 * np.pi * 700 * np.arange(200) / 16_000)
    pcm = (9000 * np.convolve(pulses, kernel)[: len(t)] * ((t * 1000) % 480 < 240)).astype(np.int16)
    out = []
    for i, frame in enumerate(frames):
        stream.push_audio(pcm[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME])
        out += [f.rgb for f in stream.push_frame(frame)]
    return out


def test_the_networks_see_the_face_without_it_and_it_stays(
    engine: LipSyncEngine, before: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, solid = before
    stream = engine.open_stream()
    out = spoken(stream, [picture] * 30)
    held = stream._window.slots[-1].payload
    assert held.cover is not None
    dark = held.crop.mean(2) < 80
    covered = held.cover.share > 0.9
    middle = cv2.erode(covered.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert dark[middle].mean() > 0.9
    assert held.cover.bare[covered].mean() > 1.5 * held.crop[covered].mean()
    np.testing.assert_array_equal(
        held.cover.bare[held.cover.rim == 0], held.crop[held.cover.rim == 0]
    )
    inner = cv2.erode(solid.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for frame in out[6:]:
        error = (frame[inner].astype(np.float32) - picture[inner]) ** 2
        assert 10 * np.log10(255**2 / max(float(error.mean()), 1e-6)) > 40
    changed = np.abs(out[-1].astype(int) - picture).max(2)
    assert changed[~solid].max() > 20


def test_once_it_is_gone_the_face_is_looked_at_as_it_is(
    engine: LipSyncEngine, face: np.ndarray, before: tuple[np.ndarray, np.ndarray]
) -> None:
    stream = engine.open_stream()
    spoken(stream, [before[0]] * 10)
    assert stream._ahead is not None
    spoken(stream, [face] * 10)
    assert stream._window.slots[-1].payload.cover is None
    assert stream._ahead is None


def test_a_frame_between_keeps_it_too(
    engine: LipSyncEngine, before: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, solid = before
    stream = engine.open_stream()
    stream.every_second = True
    inner = cv2.erode(solid.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for frame in spoken(stream, [picture] * 30)[12:]:
        assert np.abs(frame[inner].astype(int) - picture[inner]).mean() < 1


def test_without_a_face_nothing_is_remembered(
    engine: LipSyncEngine, before: tuple[np.ndarray, np.ndarray]
) -> None:
    stream = engine.open_stream()
    spoken(stream, [before[0]] * 10)
    nobody = np.full_like(before[0], 120)
    spoken(stream, [nobody] * 20)
    assert stream._ahead is None
