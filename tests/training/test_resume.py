"""A run that goes on: from averaged weights and a step alone, its learning rate low again."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training import articulation, checkpoint, landmarks  # noqa: E402
from training.curve import Curve  # noqa: E402
from training.loop import WARM_UP, Loop, begin  # noqa: E402

pytestmark = pytest.mark.torch
RATE, DECAY = 1e-2, 0.02


def trained(run: Path, steps: int) -> tuple[torch.nn.Linear, torch.Tensor]:
    """A weight that a steady gradient pulls up from 0, or from where `run` left it, and its values
    (steps + 1,) before and after each step.
    """
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    stored = checkpoint.load(run) if run.exists() else None
    if stored:
        model.load_state_dict(stored.weights)
    args, values = Namespace(rate=RATE, steps=steps, minutes=0.0, run=run), [model.weight.item()]
    for _ in (loop := Loop(model, 0, args, stored.step if stored else 0, fact=3)):
        (-model.weight).sum().backward()
        loop.update({"loss": 1.0})
        values.append(model.weight.item())
    return model, torch.tensor(values, dtype=torch.float64)


def rates(values: torch.Tensor) -> torch.Tensor:
    """The learning rates: by so much a steady gradient moves what Adam trains, less the decay."""
    return values.diff() / (1 - DECAY * values[:-1])


def test_the_learning_rate_starts_low_again_after_resuming(tmp_path: Path) -> None:
    run, steps = tmp_path / "run.pt", 300
    first = rates(trained(run, steps)[1])
    assert first[0].item() == pytest.approx(RATE / WARM_UP + 2e-6, rel=0.01)
    peak = RATE * (1 - (WARM_UP - 1) / steps) ** 0.7
    assert first[WARM_UP - 1].item() == pytest.approx(peak, rel=0.01)
    assert first[-1] < 0.05 * RATE
    again = rates(trained(run, steps)[1])
    torch.testing.assert_close(again, first, rtol=0.02, atol=1e-6)


def test_steps_and_curve_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run.pt"
    for step in (150, 300):
        trained(run, 150)
        assert checkpoint.load(run).step == step
    curve = json.loads(run.with_suffix(".curve.json").read_text())
    assert [step for step, _ in curve["loss"]] == [100, 150, 250, 300]
    assert run.with_suffix(".curve.png").exists()


def test_a_checkpoint_holds_averaged_weights_and_no_optimiser(tmp_path: Path) -> None:
    run = tmp_path / "run.pt"
    model, values = trained(run, 30)
    average = 0.0
    for n, value in enumerate(values[1:].tolist(), 1):
        keep = (1 + n) / (20 + n)
        average = keep * average + (1 - keep) * value
    assert set(torch.load(run, weights_only=True)) == {"step", "weights", "facts", "config"}
    stored = checkpoint.load(run)
    assert set(stored.weights) == {"weight"}
    assert stored.facts == {"fact": 3}
    assert stored.weights["weight"].item() == pytest.approx(average, rel=1e-4)
    assert average < 0.98 * model.weight.item()


def test_the_average_forgets_by_its_decay_and_copies_buffers() -> None:
    model = torch.nn.BatchNorm1d(1)
    ema = checkpoint.Ema(model, decay=0.5)
    torch.nn.init.constant_(model.weight, 2.0)
    model.running_mean.fill_(7.0)
    left = 1.0  # of the weight 1 that it began with
    for n in range(1, 31):
        ema.update(model)
        left *= min(0.5, (1 + n) / (20 + n))
        assert ema.model.weight.item() == pytest.approx(2 - left, abs=1e-6)
    assert ema.model.running_mean.item() == 7.0
    assert not ema.model.weight.requires_grad and not ema.model.training


def test_stages_with_schedules_of_their_own_warm_up_too() -> None:
    fresh, again = (
        [articulation.rate_at(step, 1500, resumed) for step in range(1500)]
        for resumed in (False, True)
    )
    assert again[0] == pytest.approx(fresh[0] / articulation.WARM_UP, rel=0.03)
    assert again[articulation.WARM_UP - 1 :] == fresh[articulation.WARM_UP - 1 :]
    whole = [landmarks.rate_at(step, 4000) for step in range(4000)]
    rest = [landmarks.rate_at(step, 4000, first=1000) for step in range(1000, 4000)]
    assert rest[0] == pytest.approx(whole[1000] / (landmarks.WARM_SHARE * 4000))
    assert rest[200:] == whole[1200:]


def test_a_part_that_goes_on_draws_anew(tmp_path: Path) -> None:
    args = Namespace(seed=3, threads=1, device="cpu", run=tmp_path / "run.pt")
    seeds, draws = [], []
    for step in (0, 100, 200):
        if step:
            checkpoint.save(args.run, torch.nn.Linear(1, 1), step)
        seeds.append(begin(1, args))
        draws.append(torch.rand(1).item())
    assert seeds[0] == 301
    assert len(set(seeds)) == len(set(draws)) == 3


def test_a_run_goes_on_without_a_curve_that_cannot_be_read(tmp_path: Path) -> None:
    run = tmp_path / "run.pt"
    run.with_suffix(".curve.json").write_text('{"loss": [[100, 1.')
    curve = Curve(run, 100)
    curve.add(200, {"loss": 0.5})
    curve.save()
    assert json.loads(run.with_suffix(".curve.json").read_text()) == {"loss": [[200, 0.5]]}
