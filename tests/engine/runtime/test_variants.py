"""Every executor and variant that runs here computes what the exact graphs do, for every shape that
the engine asks for.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from engine.audio import mel_of, mel_window
from engine.engine import WEIGHTS
from engine.runtime.choice import choices, start
from engine.runtime.measured import EXACT
from engine.runtime.protocol import GRAPHS, Input, Manifest, Runtime, Tensor

MANIFEST = Manifest.read(WEIGHTS)
# rms error over an output's deviation.
TOLERANCE = {"fp32": 1e-4, "bf16": 0.03, "int8": 0.08, "fp16": 0.01}
HERE = [str(c) for c in choices(MANIFEST) if not c.hindrance]

Inputs = dict[str, Input]


def inputs_of(graph: str, batch: int = 1, slots: int = 3) -> Inputs:
    """As the engine gives them: crops and latents of unit scale, silence and sound alike."""
    rng = np.random.default_rng(batch * 10 + slots)

    def normal(*shape: int) -> Tensor:
        return rng.standard_normal(shape).astype(np.float32)

    def picture(side: int) -> Input:
        return rng.integers(0, 256, (batch, side, side, 3), np.uint8)

    t = np.arange(48_000) / 16_000
    swelling = 3000 * np.sin(2 * np.pi * 1.7 * t) ** 2 * rng.standard_normal(len(t))
    mel = mel_of(swelling.astype(np.int16))
    channels, side = MANIFEST.latent_channels, MANIFEST.latent_side
    window = (batch, slots, channels, side, side)
    return {
        "encoder": {"crop": picture(MANIFEST.crop_px)},
        "audio": {
            "mel": np.stack([mel_window(mel, 40 + 7 * k) for k in range(slots)]),
            "heard": np.ones((slots, 32), np.float32),
        },
        "denoiser": {
            "x": normal(*window),
            "z": normal(*window),
            "level": np.tile(np.linspace(0.7, 0.93, slots, dtype=np.float32), (batch, 1)),
            "tokens": 0.1 * normal(batch, slots, 5, 192),
            "strength": np.ones(batch, np.float32),
            "mouth": np.full((batch, 2), 0.5, np.float32),
        },
        "decoder": {"z": normal(batch, channels, 13, 14)},
        "motion": {"z": normal(batch, channels, 13, 14), "source": normal(batch, channels, 13, 14)},
        "landmarks": {"patch": picture(96)},
    }[graph]


# kept and covered are shares, 0..1, and next to constant on noise.
LEAST = {("motion", 1): 0.1, ("motion", 2): 0.3}


def differences(graph: str, runtime: Runtime, exact: Runtime, inputs: Inputs) -> list[float]:
    """rms of each output, over the deviation of what the graph adds."""
    found = []
    pairs = zip(runtime.run(graph, inputs), exact.run(graph, inputs), strict=True)
    for k, (got, expected) in enumerate(pairs):
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        added = expected - inputs["z"] if graph == "denoiser" else expected
        spread = added.std() if added.size > 1 else np.abs(added).max()
        spread = max(spread, LEAST.get((graph, k), 0.0))
        found.append(float(np.sqrt(((got - expected) ** 2).mean()) / spread))
    return found


@pytest.fixture(scope="module")
def exact() -> Runtime:
    return start(EXACT, MANIFEST)


@pytest.fixture(scope="module", params=HERE)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return start(request.param, MANIFEST)


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_output_of_every_graph(graph: str, runtime: Runtime, exact: Runtime) -> None:
    inputs = inputs_of(graph)
    assert max(differences(graph, runtime, exact, inputs)) < TOLERANCE[runtime.variant]
    with runtime.warming():
        runtime.run(graph, inputs)
    assert max(differences(graph, runtime, exact, inputs)) < TOLERANCE[runtime.variant]


@pytest.mark.parametrize(("batch", "slots"), [*product((1, 2, 8), (1, 2, 3, 4))])
def test_one_denoiser_serves_every_window(
    batch: int, slots: int, runtime: Runtime, exact: Runtime
) -> None:
    inputs = inputs_of("denoiser", batch, slots)
    assert max(differences("denoiser", runtime, exact, inputs)) < TOLERANCE[runtime.variant]


def test_the_denoiser_for_drawings_too(runtime: Runtime, exact: Runtime) -> None:
    inputs = inputs_of("denoiser")
    assert runtime.drawn is not None
    assert exact.drawn is not None
    got, wanted = (r.drawn.run(inputs)[0] for r in (runtime, exact) if r.drawn is not None)
    error = np.sqrt(((got - wanted) ** 2).mean()) / (wanted - inputs["z"]).std()
    assert error < TOLERANCE[runtime.variant]
    assert np.abs(got - runtime.run("denoiser", inputs)[0]).mean() > 0.01


@pytest.mark.parametrize("slots", (1, 2, 4))
def test_hearing_any_number_of_frames(slots: int, runtime: Runtime, exact: Runtime) -> None:
    inputs = inputs_of("audio", slots=slots)
    assert max(differences("audio", runtime, exact, inputs)) < TOLERANCE[runtime.variant]
