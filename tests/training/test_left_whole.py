"""What a stage leaves when it is stopped on its way: the old or the new, whole, never a mixture."""

from __future__ import annotations

import hashlib
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.model.autoencoder import Autoencoder  # noqa: E402
from training import autoencoder, checkpoint, grid, latents, parallel  # noqa: E402
from training.preset import load_preset  # noqa: E402

from .conftest import TOY  # noqa: E402

pytestmark = pytest.mark.torch


class Stopped(Exception):
    pass


def stopped_while_writing(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def half(path: Path, *args: object, **arrays: object) -> None:
        Path(path).write_bytes(b"half of it")
        raise Stopped

    monkeypatch.setattr(np, function, half)


@pytest.mark.parametrize("writing", ["save", "savez"])
def test_latents_and_their_index_belong_together(
    toy_runs: Path, writing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content() -> dict[str, str]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in toy_runs.glob("latents_grid*")
            if ".part" not in path.name
        }

    before = content()
    assert set(before) == {"latents_grid.npy", "latents_grid_index.npz"}
    options = ["--data", str(toy_runs), "--autoencoder", str(toy_runs / "ae.pt")]
    with monkeypatch.context() as patched:
        stopped_while_writing(patched, writing)
        with pytest.raises(Stopped):
            latents.main([*options, "--preset", str(TOY), "--kinds", "grid"])
    assert content() == before


def test_a_sound_table_that_is_half_written_does_not_count_as_done(
    tmp_path: Path, made_up_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Basis:
        @classmethod
        def fit(cls, moved: list[object]) -> Basis:
            return cls()

        def save(self, path: Path) -> None:
            pass

    monkeypatch.setattr(grid, "PoseBasis", Basis)
    labels = tmp_path / "labels" / "grid_s1"
    labels.mkdir(parents=True)
    for clip in (made_up_data / "grid_s1").glob("*.mp4"):
        np.savez(labels / f"{clip.stem}.npz", points=np.full((1, 478, 2), np.nan))
    stopped_while_writing(monkeypatch, "savez")
    with pytest.raises(Stopped):
        grid.write_sound_table(tmp_path / "labels", tmp_path)
    assert not (tmp_path / "sound.npz").exists()


def test_every_checkpoint_of_the_autoencoder_has_latents_of_deviation_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = load_preset(str(TOY)).autoencoder
    model = Autoencoder(config).eval()
    side = config.crop_px
    crops = torch.randint(0, 255, (8, 3, side, side), dtype=torch.uint8)
    seen = crops.float() / 127.5 - 1
    with torch.no_grad():
        plain = model.encoder(seen)
    std = autoencoder.save(Namespace(run=tmp_path / "ae.pt", device="cpu"), model, crops, 500)
    assert std == pytest.approx(float(plain.std()), rel=1e-3)
    stored = Autoencoder(config).eval()
    stored.load_state_dict(checkpoint.load(tmp_path / "ae.pt").weights)
    with torch.no_grad():
        assert float(stored.encoder(seen).std()) == pytest.approx(1.0, rel=1e-3)
        torch.testing.assert_close(model.encoder(seen), plain)  # training goes on as it was


@pytest.mark.parametrize(("run", "gone"), [(1, False), (77, True)])
def test_a_worker_ends_with_its_run_and_not_in_a_container_where_that_is_process_1(
    run: int, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_run", run)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr(parallel.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(parallel.dist, "broadcast", lambda tensor, source: None)
    if gone:
        with pytest.raises(SystemExit, match="is gone"):
            parallel.agreed(0.5, 0)
    else:
        assert parallel.agreed(0.5, 0) == 0.5
