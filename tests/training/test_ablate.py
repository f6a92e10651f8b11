"""The ablation table at toy size: rows train, share weights where their recipes agree, are kept,
and its instruments measure what they say.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.dit import Denoiser, DenoiserConfig  # noqa: E402
from training import ablate, distill, teacher  # noqa: E402
from training.ablation import probe  # noqa: E402
from training.ablation.held_out import GUARD, judged_part, training_part  # noqa: E402
from training.ablation.predicted import Velocity, WholeLatent  # noqa: E402
from training.ablation.rows import ROWS, Guidance, weights_of  # noqa: E402
from training.ablation.source_tokens import SourceTokens  # noqa: E402
from training.ablation.torch_queue import Candidate, finished  # noqa: E402
from training.latents import Tracks  # noqa: E402
from training.preset import load_preset  # noqa: E402

from .conftest import TOY  # noqa: E402

pytestmark = pytest.mark.torch
SMALL = DenoiserConfig(width=48, depth=2, heads=2, grid=8, edited=(2, 8, 1, 7))


def trained(model: Denoiser) -> Denoiser:
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval().requires_grad_(False)


def moments(folder: Path) -> None:
    """Six frames of each of grid's tracks, as a kind of their own."""
    index = dict(np.load(folder / "latents_grid_index.npz"))
    np.savez(folder / "latents_moments_index.npz", **index)
    whole = np.load(folder / "latents_grid.npy")
    np.save(folder / "latents_moments.npy", np.ascontiguousarray(whole[:, :, :6]))


def test_stages_and_table_run_at_toy_size(
    toy_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(toy_runs), "--audio", str(toy_runs / "sound.pt")]
    common += ["--preset", str(TOY)]
    taught, folded = toy_runs / "teacher.pt", toy_runs / "denoiser.pt"
    assert teacher.main([*common, "--run", str(taught)]) == 0
    assert distill.main([*common, "--run", str(folded), "--teacher", str(taught)]) == 0
    assert taught.with_suffix(".curve.png").exists()
    assert set(json.loads(folded.with_suffix(".curve.json").read_text())) == {"loss", "critic"}

    moments(toy_runs)  # too short to be judged
    output = toy_runs / "table"
    options = ["--autoencoder", str(toy_runs / "ae.pt"), "--output", str(output)]
    options += ["--steps=2", "--batch=2", "--workers=1", "--faces=1", "--seconds=1"]
    options += ["--probe-steps=5", "--least-r=-1"]
    rows = "full,slots_1,distilled,pure_noise,source_tokens,velocity,lip_reader"
    assert ablate.main([*common, *options, "--only", rows]) == 0
    assert {p.stem for p in (output / "weights").glob("*.pt")} == {
        *("full", "distilled", "pure_noise", "source_tokens", "velocity", "lip_reader")
    }
    kept = json.loads((output / "ablation.json").read_text())["rows"]
    assert list(kept) == [name for name in ROWS if name in rows.split(",")]
    assert all(np.isfinite(row["pixel_error"]) for row in kept.values())
    assert (output / "ablation.png").exists()

    (output / "rows" / "pure_noise.json").unlink()
    assert ablate.main([*common, *options, "--only", "unguided,pure_noise"]) == 0
    again = json.loads((output / "ablation.json").read_text())["rows"]
    assert {name: again[name] for name in kept} == kept  # done rows kept, a lost one found again
    assert "unguided" in (output / "ablation.md").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        ablate.main([*common, *options, "--seed", "4"])
    assert ended.value.code == 2
    assert "holds rows of another table: seed 0" in capsys.readouterr().err


def test_rows_whose_recipes_agree_share_weights() -> None:
    tiny = load_preset("tiny")
    assert not tiny.denoiser.hears_sound
    served = {name for name in ROWS if weights_of(name, tiny) == "full"}
    assert served == {
        *("full", "unguided", "static_low", "static_high", "distilled"),
        *("slots_1", "slots_2", "slots_4", "pose_only"),
    }


def test_what_is_judged_is_not_trained_on() -> None:
    latents = torch.arange(100.0)[:, None, None].expand(100, 2, 3)
    tracks = Tracks(latents, [["a", "a"]] * 100, torch.zeros(100, 2, dtype=torch.long))
    seen, judged = (
        set(part(tracks).latents.flatten().tolist()) for part in (training_part, judged_part)
    )
    assert len(judged) == 5
    assert min(judged) - max(seen) == GUARD + 1


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
def test_the_queue_finishes_each_frame_by_its_own_source(slots: int) -> None:
    """An untrained denoiser returns the source: frame by frame, whatever the slots are."""
    candidate = Candidate(
        Denoiser(SMALL).eval(), Guidance("none"), slots, 0.93, 0.80, True, 2.0, 0.5
    )
    source = torch.randn(2, 7, 16, 8, 8)
    mel = torch.randn(2, 7, 80, 64)
    out = finished(candidate, AudioEncoder().eval(), source, mel, seed=0)
    assert torch.allclose(out, source[:, : 8 - slots], atol=1e-5)


def test_guidance_pushes_away_from_silence() -> None:
    model = trained(Denoiser(SMALL))
    audio, source, mel = (
        AudioEncoder().eval(),
        torch.randn(1, 4, 16, 8, 8),
        torch.randn(1, 4, 80, 64),
    )

    def out(kind: str, weight: float = 1.0) -> torch.Tensor:
        guidance = Guidance(kind, weight)  # type: ignore[arg-type]
        candidate = Candidate(model, guidance, 1, 0.93, 0.80, True, 2.0, 0.5)
        return finished(candidate, audio, source, mel, seed=0)

    plain, one, two = out("none"), out("static", 1.0), out("static", 2.0)
    assert torch.allclose(plain, one, atol=1e-2)
    pushed = (two - plain).abs().mean((0, 1, 2))
    placed = (out("placed") - plain).abs().mean((0, 1, 2))
    assert pushed.sum() > 0
    # DS-CFG is strongest at the mouth, static guidance is not.
    mouth, corner = (slice(3, 5), slice(3, 5)), (slice(7, 8), slice(1, 2))
    assert (
        placed[mouth].mean() / pushed[mouth].mean() > placed[corner].mean() / pushed[corner].mean()
    )


def test_source_tokens_see_the_source_and_start_from_it() -> None:
    x, z = torch.randn(2, 3, 16, 8, 8), torch.randn(2, 3, 16, 8, 8)
    rest = (torch.full((2, 3), 0.8), torch.randn(2, 3, 5, 48), torch.zeros(2), torch.rand(2, 2))
    assert torch.equal(SourceTokens(SMALL)(x, z, *rest), z)
    model = trained(SourceTokens(SMALL))
    other = z.clone()
    other[..., 2:8, 1:7] += 0.5
    edit, of_other = model(x, z, *rest) - z, model(x, other, *rest) - other
    assert (edit - of_other).abs().max() > 1e-4


@pytest.mark.parametrize("kind", [WholeLatent, Velocity])
def test_other_predictions_replace_what_may_be_edited_and_nothing_else(
    kind: type[Denoiser],
) -> None:
    x, z = torch.randn(2, 3, 16, 8, 8), torch.randn(2, 3, 16, 8, 8)
    level = torch.full((2, 3), 0.8)
    rest = (torch.randn(2, 3, 5, 48), torch.zeros(2), torch.rand(2, 2))
    out = kind(SMALL)(x, z, level, *rest)  # untrained: it predicts nothing
    edited = (..., slice(2, 8), slice(1, 7))
    assert torch.equal(out[edited], x[edited] if kind is Velocity else torch.zeros_like(x[edited]))
    kept = torch.ones(8, 8, dtype=torch.bool)
    kept[2:8, 1:7] = False
    assert torch.equal(trained(kind(SMALL))(x, z, level, *rest)[..., kept], z[..., kept])


def test_the_probe_reads_openings_off_mouths() -> None:
    rng = np.random.default_rng(0)
    openings = rng.random(300)
    rows = torch.arange(probe.SIDE)[None, :, None] - probe.SIDE / 2
    dark = rows.abs() < 8 * torch.from_numpy(openings)[:, None, None]
    mouths = (0.3 - 1.0 * dark.float())[:, None].expand(-1, 3, -1, probe.SIDE).contiguous()
    reader = probe.fit(mouths[:220], torch.from_numpy(openings[:220]).float(), 0, steps=70)
    r, gain = probe.trust(reader, [mouths[220:]], [openings[220:]])
    assert r > 0.95
    assert gain == pytest.approx(1 / openings[:220].std(), rel=0.15)
