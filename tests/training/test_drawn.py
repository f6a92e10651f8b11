"""Drawn faces: the same from a seed, tracks that differ in the mouth alone, mouths that follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training import drawn
from training.crops import crop_shards, read_shard
from training.drawing.face import Face
from training.drawing.mouth import Articulation, Mouth
from training.drawn import WITHIN, blank, drawn_tracks, placed
from training.grid import CROP_PX
from training.splits import HeldOutError

SHUT, OPEN = Articulation(0.0, 0.0, 0.0), Articulation(0.25, -0.03, 0.02)


def test_seeded_and_different_from_seed_to_seed() -> None:
    first, again, other = (drawn_tracks(seed, [[SHUT]])[0] for seed in (3, 3, 4))
    assert first.shape == (1, 1, CROP_PX, CROP_PX, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 10


@pytest.mark.parametrize("seed", range(12))
def test_only_the_mouth_differs_and_it_opens(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    face = Face.sample(rng)
    mouth = Mouth.sample(rng, 0, face.mouth_y, face.width_at(face.mouth_y), face.skin, face.ink)
    sheet = blank(placed(face, rng))
    face.draw(sheet, blink=False)
    still, pictures = sheet.pixels.copy(), []
    for lips in (SHUT, OPEN):
        sheet.pixels[:] = still
        mouth.draw(sheet, lips)
        pictures.append(sheet.pixels.astype(int))
    changed = np.abs(pictures[1] - pictures[0]).max(2) > 8
    assert changed.any()
    reach = max(mouth.width, 0.3 * mouth.gain) * sheet.scale
    rows, columns = np.nonzero(changed)
    assert np.abs(columns - sheet.origin[0] - mouth.x * sheet.scale).max() < 1.2 * reach
    assert np.abs(rows - sheet.origin[1] - mouth.y * sheet.scale).max() < 1.2 * reach
    gaps = [(low[:, 1] - high[:, 1]).max() for high, low in map(mouth.edges, (SHUT, OPEN))]
    assert gaps[0] == pytest.approx(0, abs=1e-9)
    assert gaps[1] == pytest.approx(mouth.gain * OPEN.gap, rel=0.05)


def test_a_jaw_takes_the_chin_along_and_leaves_the_eyes() -> None:
    face = replace(Face.sample(np.random.default_rng(0)), mouth_y=0.9, chin=1.5, half_width=1.0)
    sheet = blank(placed(face, np.random.default_rng(1)))
    field = drawn.jaw_field(face, sheet)

    def at(y: float) -> float:
        x0, y0 = sheet.origin
        return float(field[round(y0 + y * sheet.scale), round(x0)])

    assert at(0.5) == 0
    assert at(1.2) == pytest.approx(0.5, abs=0.02)
    assert at(1.55) == pytest.approx(1, abs=0.02)


def test_the_mouth_lies_where_it_may_be_edited() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        face = Face.sample(rng)
        x, y = placed(face, rng).apply(np.array([[0, face.mouth_y]], np.float32))[0]
        assert WITHIN[0] < y < WITHIN[1]
        assert abs(x - 0.5) < 0.12


def test_shards_name_the_sound_behind_each_track(
    toy_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "LENGTH", 2)
    for name in ("sound.npz", "pose_basis.npz"):
        (tmp_path / name).symlink_to(toy_runs / name)
    assert drawn.main(["--output", str(tmp_path), "--faces", "1", "--jobs", "1"]) == 0
    with (
        np.load(tmp_path / "drawn" / "drawn_00000.npz") as shard,
        np.load(tmp_path / "sound.npz") as sound,
    ):
        assert shard["frames"].shape == (3, 2, CROP_PX, CROP_PX, 3)
        for clip, start in zip(shard["clips"], shard["starts"], strict=True):
            assert start + 2 <= len(sound[f"pose/{clip}"])


def test_sketches_are_the_same_faces_for_a_moment(toy_runs: Path, tmp_path: Path) -> None:
    for name in ("sound.npz", "pose_basis.npz"):
        (tmp_path / name).symlink_to(toy_runs / name)
    assert drawn.main(["--output", str(tmp_path), "--faces", "1", "--jobs", "1", "--sketches"]) == 0
    (shard,) = crop_shards(tmp_path)
    assert shard.parent.name == "sketches"
    assert read_shard(shard).shape == (3, 6, CROP_PX, CROP_PX, 3)


def test_seeds_kept_for_tests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HeldOutError):
        drawn.build(drawn.FIRST_TEST, tmp_path)
