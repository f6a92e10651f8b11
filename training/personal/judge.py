"""Before and after, on the clip's last part, which no training saw.

Three times the live queue runs over it. Each frame is given the lower face of another moment, and
the true one must come out. The frames as they are must follow the sound (in a silent clip the pose
that is seen) of another moment: sources put together by hand are flawed, and training sees the same
flaws. And they must follow a voice that is not the person's: an adapter that only knows its own
voice would be of no use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine import LipSyncEngine, WindowInput
from engine.audio import FPS, mel_of, mel_window
from engine.face.align import MOUTH_CENTRE, Similarity
from engine.face.paste import paste
from engine.face.patch import Patch
from engine.face.points import MOUTH
from engine.media import Voice
from engine.model.dit import Conditioner
from engine.personal import OwnDenoiser
from engine.window import RollingWindow
from export.calibration import VOICE
from training.grid import alter_mouth
from training.personal.clip import VIEW_LEFT, VIEW_TOP, PersonClip, heard_opening
from training.personal.mouth_pose import opening
from training.personal.windows import pose_tokens
from training.sharpness import SIGMA_PX
from training.sound import heard_mask

Rgb = NDArray[np.uint8]
Array = NDArray[np.float32]
MOUTH_BOX = ((0.28, 0.85), (0.22, 0.78))  # rows and columns, crop units


@dataclass(frozen=True)
class Figures:
    """What the table shows.

    error, detail: grey levels by which the mouth differs from the true one, and its fine detail
    over the true one's. r, amplitude: of the opening, against the moment that leads; leak: r with
    the frame's own opening, less the truth's. voice_r, voice_amplitude: of the opening that another
    voice makes, against what is heard in it.
    """

    error: float
    detail: float
    r: float
    amplitude: float
    leak: float
    voice_r: float
    voice_amplitude: float


class Judge:
    """Holds the held-out part; `judge` runs it on the shipped denoiser or a person's."""

    def __init__(self, clip: PersonClip, engine: LipSyncEngine, conditioner: Conditioner) -> None:
        self._engine, self._clip, self._conditioner = engine, clip, conditioner
        size = engine.facts.crop_px
        self._inner = slice(VIEW_TOP, VIEW_TOP + size), slice(VIEW_LEFT, VIEW_LEFT + size)
        self._place = Similarity(1 / size, 0.0, -VIEW_LEFT / size, -VIEW_TOP / size)
        self.views = clip.views
        self.sources = clip.views.copy()
        crops = np.ascontiguousarray(clip.views[:, *self._inner])
        self.sources[:, *self._inner] = alter_mouth(crops, np.random.default_rng(0))
        self._patches = [Patch.around(p) for p in clip.points[clip.judged]]
        self._boxes = [_lip_box(p[MOUTH]) for p in clip.points[clip.judged]]
        self._truth = self._openings(clip.views)
        self._own = self._own_tokens()
        mel = mel_of(np.concatenate([tick.pcm for tick in Voice(VOICE).ticks()]))
        count = min(len(clip.views), mel.shape[1] // 4 - 4)
        windows = np.stack([mel_window(mel, i) for i in range(count)])
        self._voice_heard = heard_opening(engine, windows)
        self._voice = self._hear(windows)

    @property
    def still(self) -> float:
        """Error of the altered frames as they are."""
        return self._error(self.sources)

    def judge(self, denoiser: OwnDenoiser | None) -> tuple[Figures, Rgb]:
        """Figures, and the frames that they were read from (H, VIEW, VIEW, 3)."""
        made = self._run(self.sources, self._own, denoiser)
        later = len(self.views) // 2
        led = self._run(self.views, np.roll(self._own, -later, 1), denoiser)
        spoken = self._run(self.views[: len(self._voice_heard)], self._voice, denoiser)
        opened, other = self._openings(led), self._openings(spoken)
        wanted = np.roll(self._truth, -later)
        figures = Figures(
            error=self._error(made),
            detail=self._detail(made) / self._detail(self.views),
            r=_r(opened, wanted),
            amplitude=float(opened.std() / wanted.std()),
            leak=_r(opened, self._truth) - _r(wanted, self._truth),
            voice_r=_r(other, self._voice_heard),
            # Heard openings are in other units: over the amplitude that this person has.
            voice_amplitude=float(other.std() / self._truth.std()),
        )
        return Figures(**{k: round(v, 4) for k, v in asdict(figures).items()}), made

    def _run(self, views: Rgb, tokens: Array, denoiser: OwnDenoiser | None) -> Rgb:
        """The live queue over frames; tokens (ages, F, 1 + K, D)."""
        engine, size = self._engine, self._engine.latent_side
        shape = (engine.latent_channels, size, size)
        window: RollingWindow[int] = RollingWindow(engine.levels, shape)
        out, count, slots = views.copy(), len(views), len(engine.levels)
        for t in range(count + slots - 1):
            newest = min(t, count - 1)
            window.push(engine.encode(views[newest][self._inner]), newest, real=t < count)
            frames = [max(0, min(t - age, count - 1)) for age in range(slots - 1, -1, -1)]
            given = np.stack([tokens[slots - 1 - k, frame] for k, frame in enumerate(frames)])
            asked = WindowInput(
                *(window.x(), window.z(), window.levels, given, 1.0, MOUTH_CENTRE, denoiser)
            )
            ((latent, slot),) = window.accept(engine.denoise([asked])[0])
            if slot.real:
                out[slot.payload] = self._shown(latent, slot.z, views[slot.payload])
        return out

    def _shown(self, latent: Array, z: Array, view: Rgb) -> Rgb:
        engine = self._engine
        edit, moves = engine.decode(latent), engine.move(latent, z)
        crop = np.ascontiguousarray(view[self._inner])
        return paste(view, crop, edit, moves, self._place, 1.0)[0]

    def _hear(self, windows: Array) -> Array:
        known = [heard_mask(torch.full((len(windows),), age)).numpy() for age in self._ages()]
        return np.stack([self._engine.hear(windows, k) for k in known])

    def _ages(self) -> range:
        return range(len(self._engine.levels))

    def _own_tokens(self) -> Array:
        """What leads the held-out frames: their own sound, or the pose that is seen in them."""
        clip = self._clip
        if clip.sound is not None:
            return self._hear(clip.sound.mel_windows(clip.frame[clip.judged]))
        with torch.no_grad():
            pose = torch.from_numpy(clip.pose[clip.judged])
            tokens = pose_tokens(self._conditioner, pose).numpy()
        return np.stack([tokens for _ in self._ages()])

    def _openings(self, views: Rgb) -> Array:
        points = [
            patch.to_picture(self._engine.landmarks(patch.cut(view)[None])[0][0])
            for patch, view in zip(self._patches, views, strict=False)
        ]
        return opening(np.stack(points))

    def _error(self, views: Rgb) -> float:
        size = self._engine.facts.crop_px
        rows, columns = (slice(round(a * size), round(b * size)) for a, b in MOUTH_BOX)
        made, true = (v[:, *self._inner][:, rows, columns] for v in (views, self.views))
        return float(np.abs(made.astype(np.float32) - true).mean())

    def _detail(self, views: Rgb) -> float:
        found = []
        for view, box in zip(views, self._boxes, strict=True):
            grey = cv2.cvtColor(view[box], cv2.COLOR_RGB2GRAY).astype(np.float32)
            found.append(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), SIGMA_PX)).mean())
        return float(np.mean(found))


def _lip_box(lips: Array) -> tuple[slice, slice]:
    """Rows and columns about the lips, a tenth of their width larger."""
    (left, top), (right, bottom) = lips.min(0), lips.max(0)
    edge = 0.1 * (right - left)
    return (
        slice(int(top - edge), int(bottom + edge) + 1),
        slice(int(left - edge), int(right + edge) + 1),
    )


def _r(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def is_better(before: Figures, after: Figures) -> bool:
    """Nearer to the true mouth, and none of the rest given up for it."""
    return (
        after.error < before.error * 0.99
        and after.r > before.r - 0.02
        and after.voice_r > before.voice_r - 0.04
        and after.detail > min(before.detail, 1.0) - 0.1
    )


def table(before: Figures, after: Figures, still: float, silent: bool, seconds: float) -> str:
    """Markdown; one row a figure."""
    led = "pose" if silent else "sound"
    rows = [
        ("mouth error, grey levels", "error", f"{still:.2f} untouched"),
        ("fine detail in the mouth over the truth's", "detail", "1"),
        (f"another moment's {led}: r with its opening", "r", "1"),
        ("its amplitude over that opening's", "amplitude", "1"),
        ("its leak of the frame's own opening", "leak", "0"),
        ("another voice: r with what is heard", "voice_r", "1"),
        ("its amplitude over the truth's", "voice_amplitude", ""),
    ]
    lines = [
        f"| held-out {seconds:.0f} s | before | after | wanted |",
        "|---|---|---|---|",
        *(
            f"| {name} | {getattr(before, key):.3f} | {getattr(after, key):.3f} | {wanted} |"
            for name, key, wanted in rows
        ),
    ]
    return "\n".join(lines)


def seconds(clip: PersonClip) -> float:
    return len(clip.views) / FPS
