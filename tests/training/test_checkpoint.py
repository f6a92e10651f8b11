"""Checkpoints mixed by weight, and files that are none."""

import errno
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training import checkpoint  # noqa: E402

pytestmark = pytest.mark.torch


def saved(path: Path, value: float, step: int, inputs: int = 1) -> Path:
    """A checkpoint of one linear layer whose weights are all `value`."""
    model = torch.nn.Linear(inputs, 1)
    torch.nn.init.constant_(model.weight, value)
    checkpoint.save(path, model, step)
    return path


def test_snapshots_are_averaged_weight_by_weight(tmp_path: Path) -> None:
    both = [saved(tmp_path / "0.pt", 0.0, 10), saved(tmp_path / "1.pt", 2.0, 11)]
    checkpoint.average(both, tmp_path / "mean.pt")
    mean = checkpoint.load(tmp_path / "mean.pt")
    assert mean.weights["weight"].item() == 1.0
    assert mean.step == 11


def test_shares_are_relative_to_their_sum(tmp_path: Path) -> None:
    sources = [str(saved(tmp_path / f"{k}.pt", 4.0 * k, k)) for k in (0, 1)]
    mixed = tmp_path / "mixed.pt"
    assert checkpoint.main([*sources, "--mean", str(mixed), "--shares", "3", "1"]) == 0
    assert checkpoint.load(mixed).weights["weight"].item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--shares", "1"], "as many shares"),
        (["--shares", "1", "-1"], "as many shares"),
        ([], "another network"),
    ],
)
def test_what_cannot_be_mixed_ends_in_one_line(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [str(saved(tmp_path / f"{n}.pt", 1.0, n, inputs=n)) for n in (1, 2)]
    with pytest.raises(SystemExit) as ended:
        checkpoint.main([*sources, "--mean", str(tmp_path / "mixed.pt"), *options])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert reason in told and told.count("\n") == 1
    assert not (tmp_path / "mixed.pt").exists()


@pytest.mark.parametrize("content", [b"", b"hi\n", b"no weights at all\n", None])
def test_a_file_that_is_no_checkpoint_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match=r"some\.pt") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_no_space_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "run.pt", 1.0, 1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(checkpoint.CheckpointError, match="No space left"):
        saved(path, 2.0, 2)
    assert checkpoint.load(path).step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
