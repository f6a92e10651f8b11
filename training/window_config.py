"""How training windows are drawn: shares and thresholds that `windows` obeys, no code."""

from __future__ import annotations

from dataclasses import dataclass

from engine.flow import LAST_LEVEL, TAU

# Of shards, each a folder of its name, and the frames of a mouth track that training uses. Moments
# are portraits and rendered heads, sketches drawn faces, for a moment each: many more faces for the
# same work.
FRAMES_USED = {
    "grid": 75,
    "portraits": 30,
    "rendered": 30,
    "moments": 6,
    "drawn": 30,
    "sketches": 6,
}
KINDS = tuple(FRAMES_USED)


@dataclass(frozen=True)
class WindowConfig:
    """Thresholds are noise levels, rescaled from the paper's 850/1000 to 16 x 16 latents."""

    share: tuple[tuple[str, float], ...] = (
        ("grid", 0.25),
        ("portraits", 0.27),
        ("moments", 0.28),
        ("rendered", 0.20),
    )
    # Mostly single frames: neighbours teach little more than one of them, and cost as much.
    slots: tuple[tuple[int, float], ...] = ((1, 0.75), (2, 0.03), (3, 0.19), (4, 0.03))
    last: float = LAST_LEVEL  # level of the oldest slot of a window
    tau: float = TAU  # the entry's level; 1: pure noise, no progressive initialisation
    level_jitter: float = 0.06
    # Of single frames: at the entry the whole edit is to be made; below, x shows most of it.
    single_levels: tuple[float, float, float] = (0.2, 0.2, 0.6)
    free_levels: float = 0.08  # share of windows whose levels are drawn freely
    entry_share: float = 0.9  # entry slots noised from the source, not the target
    imperfect: float = 0.7  # share of later slots that still show some of the source's mouth
    pair_threshold: float = 0.55  # below it, arbitrary pairs may be used
    arbitrary_share: float = 0.1
    same_mouth: float = 0.08  # source already right: nothing to edit
    edge_share: float = 0.06  # warm-up and flush windows
    true_pose: float = 0.7
    drop_sound: float = 0.25
    drop_pose: float = 0.06
    drop_both: float = 0.06
