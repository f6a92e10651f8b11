"""Rendered heads: exact pairs, lips that close, and nothing held out gets in."""

import numpy as np
import pytest

from engine.face import points as face_points

pytestmark = pytest.mark.data
pytest.importorskip("numba")

SEED = 1_000_050


@pytest.fixture(scope="module")
def head():
    from training.heads.head import Head

    return Head.sample(SEED)


def opening(points: np.ndarray) -> float:
    upper, lower = face_points.INNER_LIPS
    return float(
        np.linalg.norm(points[upper] - points[lower]) / np.linalg.norm(points[0] - points[3])
    )


def track(openings: np.ndarray):
    from training.heads.blendshapes import BLENDSHAPES
    from training.heads.tracks import MouthTrack

    count = len(openings)
    rest = np.zeros((count, len(BLENDSHAPES)), np.float32)
    return MouthTrack("none", 0, rest, openings.astype(np.float32), np.ones(count, np.float32))


def test_the_same_seed_is_the_same_picture(head) -> None:
    from training.heads.head import Head

    mouth = {"jawOpen": 0.3}
    again = Head.sample(SEED).render(mouth, yaw=0.2, size=96)
    assert (head.render(mouth, yaw=0.2, size=96).rgb == again.rgb).all()


def test_two_mouths_differ_in_the_mouth_only(head) -> None:
    shut, wide = (head.render({"jawOpen": jaw}, size=192) for jaw in (0.0, 0.6))
    change = np.abs(shut.rgb.astype(int) - wide.rgb).max(-1)
    eyes = shut.points[face_points.EYES]
    above = int(eyes[:, 1].max())
    assert (change[:above] > 12).mean() < 0.002  # compression may shimmer a little
    mouth = wide.points[face_points.MOUTH].mean(0).astype(int)
    assert change[mouth[1] - 4 : mouth[1] + 4, mouth[0] - 4 : mouth[0] + 4].mean() > 12


def test_lips_open_as_far_as_the_track_says(head) -> None:
    from training.heads.tracks import fit_to_head

    wanted = np.array([0.0, 0.03, 0.08, 0.15, 0.22, 0.3])
    fitted = fit_to_head(head, track(wanted))
    reached = [opening(head.render(one, size=192).points) for one in fitted]
    assert np.abs(np.array(reached) - wanted).max() < 0.02
    assert np.corrcoef(reached, wanted)[0, 1] > 0.99


def test_shut_lips_hide_the_teeth_and_open_ones_show_the_dark(head) -> None:
    from training.heads.tracks import fit_to_head

    shut, wide = fit_to_head(head, track(np.array([0.0, 0.3])))
    pictures = [head.render(one, size=256) for one in (shut, wide)]
    between = pictures[1].points[list(face_points.INNER_LIPS)].mean(0).astype(int)
    skin = pictures[1].points[face_points.BRIDGE].mean(0).astype(int)
    inside = pictures[1].rgb[between[1] - 2 : between[1] + 3, between[0] - 2 : between[0] + 3]
    cheek = pictures[1].rgb[skin[1] - 2 : skin[1] + 3, skin[0] - 2 : skin[0] + 3]
    assert inside.mean() < 0.7 * cheek.mean()


def test_points_follow_the_turn(head) -> None:
    left, right = (head.render({}, yaw=yaw, size=192) for yaw in (-0.5, 0.5))
    nose, eyes = slice(12, 16), face_points.EYES  # tip, base and nostrils
    offset = [p.points[nose, 0].mean() - p.points[eyes, 0].mean() for p in (left, right)]
    assert offset[0] < -4 and offset[1] > 4
    assert left.visible.sum() < 39 and right.visible.sum() < 39


def test_test_heads_and_held_out_clips_are_refused(tmp_path) -> None:
    from training.heads.talk import main, sample_talk
    from training.heads.tracks import TrackLibrary
    from training.splits import HeldOutError, judged_names

    with pytest.raises(HeldOutError):
        sample_talk(1_000_000, None, 1, 2)  # type: ignore[arg-type]
    flags = ["--labels", str(tmp_path), "--output", str(tmp_path / "x.npz")]
    assert main([*flags, "--first-seed", "999999", "--heads", "2"]) == 2

    hidden = judged_names("grid_s1")[0]
    for name in (hidden, "train1"):
        face = np.random.default_rng(0).normal(100, 30, (75, 478, 2))
        np.savez(tmp_path / f"{name}.npz", points=face, blendshapes=np.zeros((75, 52)))
    library = TrackLibrary(tmp_path)
    assert library.names == ["train1"]
    with pytest.raises(HeldOutError):
        library.cut(hidden, 0, 30)
