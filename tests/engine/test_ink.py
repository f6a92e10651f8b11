"""Drawings are told from photographs by their even colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine import LipSyncEngine
from engine.face.align import warp_crop
from engine.face.ink import Ink, lean
from tests.engine.test_drawings import drawing
from tests.engine.test_paste import turned

FACE = Path(__file__).parent / "rendered_head.jpg"
SIZE = 192


def drawn_face() -> np.ndarray:
    crop = np.full((SIZE, SIZE, 3), (250, 214, 170), np.uint8)
    cv2.line(crop, (60, 130), (130, 130), (20, 10, 10), 3, cv2.LINE_AA)
    for x in (60, 130):
        cv2.circle(crop, (x, 60), 12, (20, 10, 10), -1, cv2.LINE_AA)
    cv2.ellipse(crop, (95, 96), (90, 90), 0, 0, 360, (20, 10, 10), 4, cv2.LINE_AA)
    return crop


def photographed(gain: float = 1.0) -> np.ndarray:
    """The middle of a rendered head, with what noise a camera adds, in `gain` times the light."""
    picture = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    crop = warp_crop(picture, turned(0.45 * width, 0.0, width / 2, 0.55 * height), SIZE)
    light = 255 * ((crop / 255.0) ** 2.2 * gain).clip(0, 1) ** (1 / 2.2)
    noise = np.random.default_rng(0).normal(0, 2, crop.shape)
    return np.clip(light + noise, 0, 255).astype(np.uint8)


def coded(crop: np.ndarray, quality: int) -> np.ndarray:
    _, packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))


@pytest.mark.parametrize("quality", [95, 40, 20])
def test_ink_is_ink_after_any_codec_and_a_face_is_none(quality: int) -> None:
    assert lean(coded(drawn_face(), quality)) == 1
    assert lean(coded(photographed(), quality)) == -1


@pytest.mark.parametrize("gain", [0.01, 0.1, 3, 6])
def test_a_face_in_no_light_or_too_much_is_no_drawing(gain: float) -> None:
    assert lean(photographed(gain)) < 1


def test_one_frame_decides_nothing() -> None:
    ink = Ink()
    assert ink.follow(drawn_face()) == 1
    assert all(ink.follow(photographed()) > 0.3 for _ in range(3))
    assert [ink.follow(photographed()) for _ in range(20)][-1] < -0.7
    ink.forget()
    assert ink.follow(photographed()) == -1


@pytest.mark.parametrize("box", [None, (200.0, 100.0, 200.0, 240.0)])
def test_a_drawing_in_which_landmarks_are_found_is_edited_as_one(
    box: tuple[float, float, float, float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LipSyncEngine.load(runtime="onnxruntime")
    head = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    of_head = engine.open_stream()
    assert of_head.prepare(head) is not None
    assert of_head.denoiser is None
    face = of_head._follower.follow(head, None)
    assert face is not None

    low, high = face.points.min(0), face.points.max(0)
    laid = (face.points - low) / (high - low) * (140, 160) + (230, 140)  # on the drawing
    stream = engine.open_stream(face_box=box)
    monkeypatch.setattr(
        stream._follower, "follow", lambda *_: replace(face, points=laid.astype(np.float32))
    )
    assert stream.prepare(drawing()) is not None
    assert stream.denoiser is engine.drawn


def test_a_photograph_too_small_for_landmarks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LipSyncEngine.load(runtime="onnxruntime")
    head = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    head = cv2.resize(head, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    height, width = head.shape[:2]
    stream = engine.open_stream(face_box=(0.25 * width, 0.1 * height, 0.5 * width, 0.7 * height))
    monkeypatch.setattr(stream._follower, "follow", lambda *_: None)
    assert stream.prepare(head) is not None
    assert stream.denoiser is None
