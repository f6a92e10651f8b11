"""The judged sets: faces and sentences that are none of training's, and none of each other's."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("numba")

from training import drawn as drawings
from training.drawing.mouth import Articulation
from training.drives import Drive
from training.evaluation.clip import Judge, Picture, Source
from training.evaluation.measure.drawn import drawn_opening
from training.evaluation.sets import SETS, conditions, drawn, occluded, portraits, untouched
from training.evaluation.sets.rendered import FIRST_SEED
from training.evaluation.sets.whispers import recorded_whispers
from training.evaluation.stock import Plan, Stock
from training.phonemes import Kind
from training.splits import TEST_HEADS, HeldOutError, judged_names, validation_names

SECOND = 16_000
REST = Articulation(0.0, 0.0, 0.0)


class _Names(Stock):
    """Sources that nobody makes, by their recipes; drives of noise by their seeds."""

    def __init__(self) -> None:
        pass

    def source(self, recipe: str, maker: Path, make: object) -> Source:
        return Source(recipe, Picture(np.zeros((1, 8, 8, 3), np.uint8)), Future())

    def drive(self, seed: int, seconds: float) -> Drive:
        pcm = np.random.default_rng(seed).normal(0, 2000, SECOND).astype(np.int16)
        return Drive(f"drive {seed}", pcm, np.linspace(0, 1, 25))


@pytest.fixture
def validated() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    names = validation_names("grid_s1")[:5]
    return {n: rng.uniform(0, 200, (75, 478, 2)).astype(np.float32) for n in names}


def _portraits_of(made: list[Source]) -> set[str]:
    return {s.key.split()[1] for s in made if s.key.startswith("portrait ")}


@pytest.mark.parametrize("seed", drawn.SEEDS)
def test_the_judge_reads_the_true_mouths_of_drawn_faces(seed: int, tmp_path: Path) -> None:
    with pytest.raises(HeldOutError):
        drawings.build(seed, tmp_path)
    rng = np.random.default_rng(seed)
    gaps = np.concatenate([np.zeros(6), rng.uniform(0, 0.2, 18)])
    ways = [replace(REST, gap=float(g), spread=float(rng.normal(0, 0.02))) for g in gaps]
    face = drawn.DrawnFace.of(seed)
    frames, (x, y, width, height) = face.frames(ways), face.mouth_box
    assert np.corrcoef(drawn_opening(frames, face.mouth_box), gaps)[0, 1] > 0.95
    rows, columns = np.nonzero((frames != frames[:1]).any((0, 3)))
    assert x < columns.min() and columns.max() < x + width
    assert y < rows.min() and rows.max() < y + height
    left, top, across, down = face.face_box
    assert left < x + width / 2 < left + across and top < y + height / 2 < top + down


@pytest.mark.data
def test_drawn_faces_have_a_box_and_the_judge_of_drawings(validated: dict) -> None:
    stock = _Names()
    stock.__dict__["trained"] = {f"{k}": p for k, p in enumerate([*validated.values()] * 2)}
    clips = drawn.drawn(stock, Plan())
    assert len(clips) == len(drawn.SEEDS) and {c.judge for c in clips} == {Judge.DRAWN}
    made = drawn._talking(drawn.DrawnFace.of(drawn.SEEDS[0]), next(iter(validated.values())))
    assert made.frames.shape == (75, drawn.SIZE_PX, drawn.SIZE_PX, 3)
    assert made.face_box is not None and made.mouth is not None


@pytest.mark.data
def test_a_condition_has_three_faces_and_three_drives() -> None:
    clips = conditions.conditions(_Names(), Plan(seconds=1.0))
    names = [clip.name.rsplit(" ", 1) for clip in clips]
    of = {
        name: [c for c, (n, _) in zip(clips, names, strict=True) if n == name] for name, _ in names
    }
    assert len(of) == 11 and {k for _, k in names} == {"1", "2", "3"}
    for name, three in of.items():
        assert len({c.source.key for c in three}) == 3, name
    assert len({c.drive.name for c in clips}) == len(clips)
    held = {int(n[4:8]) for n in judged_names("portraits")}
    assert held >= {*conditions.PLAIN, *conditions.LIT, *conditions.GLASSES, *conditions.BEARDS}
    assert np.isnan(of["whisper"][2].drive.opening).all() and of["whisper"][2].phonemes


@pytest.mark.data
@pytest.mark.parametrize("face_px", [24, 48, 400])
def test_a_face_of_a_size_lies_amid_the_picture(face_px: int) -> None:
    number = conditions.PLAIN[0]
    still = portraits.read_portrait(number)
    points = np.zeros((478, 2), np.float32)
    points[conditions.HAIRLINE], points[conditions.CHIN] = (240, 105), (240, 309)
    made = conditions._sized(number, face_px, points)
    height, width = made.frames.shape[1:3]
    scale, middle = face_px / 204, made.frames[0, height // 2, width // 2].astype(int)
    assert (made.face_box is not None) == (face_px <= height / 8)
    assert np.abs(middle - still[207, 240]).max() < 60
    inside = min(still.shape[0] * scale, height) * min(still.shape[1] * scale, width)
    moving = (made.frames != made.frames[:1]).any((0, 3)).sum()
    assert 0.7 * inside < moving <= 1.1 * inside


@pytest.mark.data
def test_recorded_whispers_close_at_every_m_and_know_no_mouth() -> None:
    drive, phonemes = recorded_whispers(20.0)
    assert np.isnan(drive.opening).all()
    assert len(drive.pcm) == 640 * len(drive.opening)
    closed = [p for p in phonemes if p.kind is Kind.CLOSED]
    assert len(closed) == 4
    for p in closed:  # the vowel after it is louder than its rest before the first breath
        vowel = drive.pcm[round((p.end_s + 0.28) * SECOND) :][:1600].astype(float)
        rest = drive.pcm[round((p.start_s - 0.6) * SECOND) :][:1600].astype(float)
        assert vowel.std() > 10 * rest.std()


@pytest.mark.data
def test_covers_lie_on_faces_that_nobody_trains_on() -> None:
    clips = occluded.occluded(_Names(), Plan())
    assert len({c.source.key for c in clips}) == len({c.drive.name for c in clips}) == 10
    held = {int(n[4:8]) for n in judged_names("portraits")}
    assert {face for _, _, face in occluded.THINGS if face < TEST_HEADS} <= held
    assert [c.name.split()[0] for c in clips] == [kind for kind, _, _ in occluded.THINGS]


@pytest.mark.data
def test_what_is_untouched_is_in_no_other_set(validated: dict) -> None:
    stock, plan = _Names(), Plan(seconds=2.0)
    stock.__dict__["validated"] = validated
    clips = untouched.untouched(stock, plan)
    shown = _portraits_of([c.source for c in clips])
    assert len(clips) == 16 and len(shown) == len(untouched.PORTRAITS)
    assert {f"t2i_{int(n):04d}.jpg" for n in shown} <= set(judged_names("portraits"))
    taken = {*conditions.PLAIN, *conditions.LIT, *conditions.GLASSES, *conditions.BEARDS}
    taken |= {*portraits.SHOWN, *portraits.PAINTED, *(face for _, _, face in occluded.THINGS)}
    assert not taken & {*untouched.PORTRAITS, *untouched.HEADS}
    assert min(untouched.HEADS) > FIRST_SEED + 100
    assert SETS["untouched"].asked_for


@pytest.mark.data
def test_the_untouched_hear_sentences_that_no_drive_has(validated: dict) -> None:
    drive = untouched.unheard_drive(validated, 7, 6.0)
    assert not set(validated) & set(judged_names("grid_s1"))
    assert len(drive.pcm) == 640 * len(drive.opening) and len(drive.opening) >= 150
    assert drive.points is not None
    gaps = np.isnan(drive.opening)
    assert (np.isnan(drive.points).any((1, 2)) == gaps).all() and 0.1 < gaps.mean() < 0.4
    assert (drive.loudness[gaps] == 0).all() and (drive.loudness[~gaps] > 0).mean() > 0.9
