"""The evaluation's own judgement: measures on pictures whose answer is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("numba")

from training.evaluation.clip import there_and_back
from training.evaluation.figures import ratio
from training.evaluation.labeller import LabellingError, labelling_python
from training.evaluation.measure.faces import hidden_share, lip_distance
from training.evaluation.measure.inside import inside
from training.evaluation.measure.render import quiet_frames
from training.evaluation.measure.surface import SurfaceMeter
from training.evaluation.regressor import Regressor
from training.evaluation.sets.silence import WORDS_S, quiet_sounds
from training.evaluation.targets import TARGETS, Target
from training.grid import read_pcm
from training.lip_pose import LIPS_INNER, LIPS_OUTER
from training.sharpness import mouth_detail
from training.sync_figures import Judged, pooled, r_interval


def smooth(rng: np.random.Generator, n: int = 500) -> np.ndarray:
    return np.convolve(rng.normal(size=n + 4), np.ones(5) / 5, "valid")[:n]


def canonical_face(data_dir: Path) -> np.ndarray:
    """Points (478, 2) of the canonical mesh, seen from the front, in a 480 px picture."""
    path = data_dir / "heads" / "mediapipe_canonical_face_model.obj"
    rows = [line.split()[1:3] for line in path.open() if line.startswith("v ")]
    points = np.array(rows, np.float32) * [12, -12] + [240, 240]
    return np.concatenate([points, points[:10]]).astype(np.float32)


def test_an_offset_between_frames_is_found() -> None:
    rng = np.random.default_rng(0)
    fine = np.convolve(rng.normal(size=4 * 600), np.hanning(41), "same")
    judged = [Judged(fine[4 * 40 - 2 : -162 : 4], fine[4 * 40 : -160 : 4], np.zeros(520))]
    n = min(len(judged[0].output), len(judged[0].truth))
    judged = [Judged(judged[0].output[:n], judged[0].truth[:n], np.zeros(n))]
    figures = pooled(judged)
    assert figures.offset_exact == pytest.approx(0.5, abs=0.1)
    assert figures.confidence > 0.5
    assert np.isnan(figures.leak)  # the source says nothing


def test_the_interval_holds_r_and_narrows_with_clips() -> None:
    def clips(count: int) -> list[Judged]:
        made = []
        for k in range(count):
            rng = np.random.default_rng(k)
            truth = smooth(rng)
            made.append(Judged(truth + rng.uniform(0.1, 1.2) * smooth(rng), truth, truth * 0))
        return made

    few, many = r_interval(clips(4)), r_interval(clips(40))
    assert few[0] < pooled(clips(4)).r < few[1]
    assert many[1] - many[0] < 0.7 * (few[1] - few[0])
    assert np.isnan(r_interval(clips(2))[0])


def test_a_seam_and_flicker_are_seen_and_an_honest_edit_is_not() -> None:
    rng = np.random.default_rng(1)
    source = cv2.GaussianBlur(rng.integers(60, 200, (120, 120, 3), dtype=np.uint8), (0, 0), 3)
    y, x = np.mgrid[0:120, 0:120]
    mask = np.clip((40 - np.hypot(x - 60, y - 60)) / 10, 0, 1).astype(np.float32)
    lips = (45, 50, 75, 70)

    def seen(*outputs: np.ndarray):
        meter = SurfaceMeter()
        for output in outputs:
            meter.add(source, output.astype(np.uint8), mask, lips, True)
        return meter.figures()

    honest = source.copy()
    honest[50:70, 45:75] = 90
    step = np.where(mask[..., None] > 0.1, source.astype(int) + 30, source).clip(0, 255)
    assert seen(honest, honest).seam == pytest.approx(1.0, abs=0.01)
    assert seen(honest, honest).flicker_mouth == 0
    assert seen(step).seam > 1.5
    assert seen(honest, source).flicker_mouth > 5
    assert seen(honest, source).flicker_skin == 0
    assert seen(honest).outside == 0
    blind = SurfaceMeter()
    blind.add(source, honest, mask, None, True)
    assert blind.figures().outside == 0
    spilt = honest.copy()
    spilt[2, 2] += 3
    assert seen(spilt).outside == 3


def mouth_at(x: float, y: float) -> np.ndarray:
    """Points (478, 2) of a mouth 40 px wide whose middle lies there."""
    points = np.full((478, 2), (x, y), np.float32)
    points[61], points[291] = (x - 20, y), (x + 20, y)
    points[0], points[17] = (x, y - 10), (x, y + 10)
    return points


def test_a_mouth_outside_of_the_picture_has_no_detail_and_ends_nothing() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    inside = mouth_detail(frame[None], mouth_at(48, 32)[None])
    for x, y in ((48, 120), (-80, 32), (200, 32), (48, -60)):
        assert np.isnan(mouth_detail(frame[None], mouth_at(x, y)[None]))
        both = np.stack([mouth_at(x, y), mouth_at(48, 32)])
        assert mouth_detail(np.stack([frame] * 2), both) == inside


def test_what_covers_a_mouth_does_not_count_as_its_detail() -> None:
    frame = np.full((1, 64, 96, 3), 120, np.uint8)
    rng, cover = np.random.default_rng(0), np.zeros((1, 64, 96), np.uint8)
    cover[:, :, :48] = 255  # a grainy thing before its left half
    frame[:, :, :48] = rng.integers(0, 255, (1, 64, 48, 3))
    assert mouth_detail(frame, mouth_at(48, 32)[None]) > 10
    assert mouth_detail(frame, mouth_at(48, 32)[None], cover) < 1
    assert np.isnan(mouth_detail(frame, mouth_at(48, 32)[None], np.full_like(cover, 255)))


def test_quiet_begins_after_a_while_without_sound() -> None:
    loud = np.array([9.0, 9, 0, 0, 0, 0, 0, 0, 9, 0])
    assert quiet_frames(loud).tolist() == [False] * 6 + [True] * 2 + [False] * 2


def test_a_picture_is_looped_without_a_jump() -> None:
    assert there_and_back(3, 7).tolist() == [0, 1, 2, 1, 0, 1, 2]
    assert there_and_back(1, 3).tolist() == [0, 0, 0]


def test_a_figure_that_is_missing_meets_no_target() -> None:
    assert Target("r", low=0.8).met({"r": 0.8})
    assert not Target("r", low=0.8).met({"r": float("nan")})
    assert not Target("r", low=0.8).met({})
    assert str(Target("leak", high=0.05)) == "leak <= 0.05"
    assert all(TARGETS.values())


def test_a_missing_labelling_python_is_told_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(LabellingError, match="make labels"):
        labelling_python(tmp_path / "python")


@pytest.mark.data
def test_lips_are_compared_after_alignment(data_dir: Path) -> None:
    face = canonical_face(data_dir)[None]
    turned = face @ np.array([[0.8, 0.3], [-0.3, 0.8]], np.float32) + 20
    assert lip_distance(turned, face) == pytest.approx(0, abs=1e-3)
    lips = list(LIPS_OUTER + LIPS_INNER)
    eyes = np.linalg.norm(face[0, [33, 133]].mean(0) - face[0, [362, 263]].mean(0))
    moved = face.copy()
    moved[0, lips, 1] += 0.05 * eyes
    assert lip_distance(moved, face) == pytest.approx(0.05, rel=0.1)
    assert np.isnan(lip_distance(np.full_like(face, np.nan), face))


@pytest.mark.data
def test_a_covered_mouth_is_hidden_by_its_share(data_dir: Path) -> None:
    face = canonical_face(data_dir)
    lips = face[list(LIPS_OUTER)]
    cover = np.zeros((480, 480), np.uint8)
    assert hidden_share(face, cover) == 0
    cover[:, : round(float(lips[:, 0].mean()))] = 255
    assert hidden_share(face, cover) == pytest.approx(0.5, abs=0.05)
    assert hidden_share(np.full_like(face, np.nan), cover) == 1


@pytest.mark.data
def test_another_skin_is_farther_than_blur_in_colour_and_nearer_in_texture(data_dir: Path) -> None:
    from training.evaluation.measure.identity import likeness

    rng = np.random.default_rng(2)
    face = canonical_face(data_dir)
    picture = (150 + 12 * rng.normal(size=(480, 480, 3))).clip(0, 255).astype(np.uint8)
    same = likeness(picture, face, picture, face)
    assert (same.skin, same.texture) == (0, 0)
    shift = np.array([3, -2], np.float32)
    moved = np.roll(picture, (-2, 3), (0, 1))
    assert likeness(picture, face, moved, face + shift).skin < 0.2
    tinted = (picture * np.array([1.1, 1.0, 0.9])).clip(0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(picture, (0, 0), 3)
    tint, blur = likeness(picture, face, tinted, face), likeness(picture, face, blurred, face)
    assert tint.skin > 5 * blur.skin
    assert blur.texture > 5 * tint.texture


@pytest.mark.data
def test_a_mouth_of_other_colours_is_told_at_the_same_opening(data_dir: Path) -> None:
    face = canonical_face(data_dir)
    upper, lower = face[13, 1], face[14, 1]

    def shown(colour: tuple[int, int, int], count: int = 12) -> tuple[np.ndarray, np.ndarray]:
        points = np.repeat(face[None], count, 0)
        frames = np.full((count, 480, 480, 3), (200, 150, 120), np.uint8)
        for t in range(count):  # opens by a tenth of the eyes' distance, then closes again
            gap = 12 * np.sin(np.pi * t / (count - 1)) + 8
            lips = list(LIPS_INNER)
            below = points[t, lips, 1] > (upper + lower) / 2
            points[t, np.array(lips)[below], 1] += gap
            cv2.fillPoly(frames[t], [np.round(points[t, lips]).astype(np.int32)], colour)
        return frames, points

    source = shown((120, 50, 50))
    same, other = inside(*source, *source), inside(*shown((60, 110, 60)), *source)
    assert same.own < 0.1 and same.itself < 1
    assert other.own > 20 and other.itself == same.itself
    still = inside(*source, np.zeros((1, 480, 480, 3), np.uint8), face[None])
    assert np.isnan(still.own)


def test_the_regressor_hears_sentences_it_has_not_seen(data_dir: Path) -> None:
    regressor = Regressor.load()
    rng = np.random.default_rng(0)
    pcm = np.round(8000 * rng.normal(size=16000)).clip(-32768, 32767).astype(np.int16)
    heard = regressor(pcm, 25)
    assert heard.shape == (25,) and np.isfinite(heard).all()
    quiet = regressor(np.zeros(16000, np.int16), 25)
    assert quiet.std() < 0.01 and abs(heard.mean() - quiet.mean()) > 0.1


def test_the_judge_of_drawn_mouths_ranks_sprites_by_their_open_area() -> None:
    from training.evaluation.measure.drawn import drawn_opening
    from training.evaluation.sets.cartoon import POSES, SCALE, boxes, face_with, read_sprite

    for emotion, number in POSES:
        _, mouth = boxes(emotion, number)
        sprites = [read_sprite(str(k)) for k in (*range(1, 12), 9)]
        judged = drawn_opening(np.stack([face_with(s, emotion, number) for s in sprites]), mouth)
        known = np.array([(s[..., 3] > 127).sum() for s in sprites]) * SCALE**2 / mouth[2] ** 2
        assert np.corrcoef(judged, known)[0, 1] > 0.98
        widest, line = 4, 8
        assert judged.argmax() == widest
        gained = ratio(judged[widest] - judged[line], known[widest] - known[line])
        assert gained == pytest.approx(1, abs=0.15)


@pytest.mark.data
def test_drives_carry_the_true_face_and_its_sentence(data_dir: Path) -> None:
    from training.drives import make_drive
    from training.lip_pose import opening
    from training.splits import judged_names

    rng = np.random.default_rng(3)
    faces = {
        n: rng.uniform(0, 200, (75, 478, 2)).astype(np.float32) for n in judged_names("grid_s1")[:6]
    }
    drive = make_drive(faces, 5, 3.0)
    assert len(drive.pcm) == 640 * len(drive.opening)
    spoken = np.flatnonzero(~np.isnan(drive.opening))
    for t in spoken[::7]:
        found = drive.true_frame(int(t))
        assert found is not None
        assert drive.opening[t] == pytest.approx(float(opening(faces[found[0]][found[1]])))
    assert drive.points is not None
    gaps = np.flatnonzero(np.isnan(drive.opening))
    assert np.isnan(drive.points[gaps]).all()
    assert all(drive.true_frame(int(t)) is None for t in gaps)
    assert (drive.loudness[gaps] == 0).all()


@pytest.mark.data
def test_laughter_is_judged_without_the_words_between(data_dir: Path) -> None:
    pcm = read_pcm(data_dir / "audio" / "mfa" / "mfa_laughter.flac") / 32768
    (start, end), *_ = ((round(a * 16_000), round(b * 16_000)) for a, b in WORDS_S["mfa_laughter"])
    sound = quiet_sounds(64_000)["laughter"]
    assert (sound[:start] == pcm[:start]).all()
    assert (sound[start : start + 8000] == pcm[end : end + 8000]).all()
