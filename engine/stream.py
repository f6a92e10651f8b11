"""One speaker: sound and frames in, re-synced frames out. The class to read first.

    stream.push_audio(pcm)            int16 mono 16 kHz
    frames = stream.push_frame(rgb)   25 a second

Frame i belongs to samples 640 i .. 640 (i + 1). It leaves `slots - 1` ticks after it came in: the
future sound it was refined with.
`push_frame` is `finish(denoise(prepare(rgb)))`; the two halves are public so that windows of many
streams may share one denoiser call.

Two things make a tick cheaper, live: fewer `slots`, and `every_second`: then only every second
frame goes through the window, and the one between shows an edit half-way between its neighbours'.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.audio import AHEAD_S, SAMPLE_RATE, SAMPLES_PER_FRAME, SoundRing
from engine.face.align import (
    MOUTH_CENTRE,
    STABLE_INDICES,
    Similarity,
    fit_similarity,
    similarity_from_box,
    warp_crop,
)
from engine.face.cover import CoverTrace, cover_of
from engine.face.exposure import Exposure, exposed
from engine.face.follow import Box, FaceFollower
from engine.face.ink import Ink
from engine.face.paste import Cover, Moves, paste
from engine.face.points import LANDMARKS, MOUTH
from engine.window import RollingWindow, Slot

if TYPE_CHECKING:
    from engine.engine import LipSyncEngine
    from engine.personal import OwnDenoiser

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]
_STABLE = [LANDMARKS.index(point) for point in STABLE_INDICES]
DECODED = (3 / 16, 1 / 16, 15 / 16)  # top, left and right of what paste's region touches
FADE = 0.25  # share of the edit that comes or goes a frame when a face is found or lost
SURE = 0.5  # of how a crop leans to drawings, or to photographs


@dataclass(frozen=True, slots=True)
class SyncedFrame:
    """A finished frame.

    index: 0, 1, 2 ... as pushed. rgb: uint8 (H, W, 3). mask: float32 (H, W), 0 exactly where `rgb`
        is the source bit for bit;
    None where the frame passed through untouched. face_found: whether a face (or a box) was there
    to edit.
    """

    index: int
    rgb: Rgb
    mask: NDArray[np.float32] | None
    face_found: bool


@dataclass(frozen=True, slots=True)
class WindowInput:
    """What the denoiser needs of one stream's window; oldest slot first."""

    x: NDArray[np.float32]  # (L, 16, h, w)
    z: NDArray[np.float32]  # (L, 16, h, w)
    level: NDArray[np.float32]  # (L,)
    tokens: NDArray[np.float32]  # (L, K, D)
    strength: float
    mouth: tuple[float, float]  # crop units
    denoiser: OwnDenoiser | None = None  # the engine's own


@dataclass(frozen=True, slots=True)
class _Edited:
    """A frame with the latents, edited and source, that tell what is to be pasted into it."""

    held: _Held
    latent: NDArray[np.float32]
    z: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Held:
    """What a slot keeps of its frame until it is finished."""

    index: int
    frame: Rgb
    crop: Rgb | None
    transform: Similarity | None
    mouth: tuple[float, float]
    alpha: float
    drawn: bool  # no photographed face
    gain: float = 1.0  # of the light in which the networks see the crop
    covered: Field | None = None  # what stands before the face, as the net tells it,
    cover: Cover | None = None  # and on the crop


class LipSyncStream:
    """Made by `LipSyncEngine.open_stream`. One thread at a time may call it; streams are
    independent of each other.
    """

    def __init__(
        self,
        engine: LipSyncEngine,
        strength: float = 1.0,
        face_box: Box | None = None,
        seed: int = 0,
        denoiser: OwnDenoiser | None = None,
        patient: bool = False,
    ) -> None:
        self._denoiser = denoiser
        self._drawn = False
        self._photographed: Box | None = None  # the one whose face is no drawing
        self._engine = engine
        self._follower = FaceFollower(engine.landmarks, patient)
        self._sound = SoundRing()
        self._window: RollingWindow[_Held] = engine.open_window(seed)
        self._grids = engine.grids_of(None)  # the window's
        self.every_second = False
        self._entered = True  # whether the last frame went into the window
        self._between: dict[int, _Held] = {}  # by the index of the frame before, in the window
        self._middle: _Edited | None = None  # a frame between, for the next tick to finish
        self.strength = strength
        self.face_box = face_box
        self.bypass = False
        self.stage_ms: dict[str, float] = {}
        self._next_index = 0
        self._last_z: NDArray[np.float32] | None = None
        self._alpha = 0.0
        self._exposure, self._ink = Exposure(), Ink()
        self._looked_at: Box | None = None  # the box that `_ink` knows
        self._cover = CoverTrace()  # of frames that leave the window,
        self._ahead: CoverTrace | None = None  # and of those that enter it, once one had a cover

    @property
    def denoiser(self) -> OwnDenoiser | None:
        """The person's; or the one for drawings where the face is drawn, or a box was given, no
        landmarks were ever found in it and it looks like no photograph. None: the engine's own.
        """
        if self._denoiser is None and self._drawn:
            return self._engine.drawn
        return self._denoiser

    @property
    def slots(self) -> int:
        """Size of the window. Set it between ticks, to any size that the weights have levels for
        (else ValueError): a smaller window gives two frames in the next tick, a larger one none.
        """
        return self._window.size

    @slots.setter
    def slots(self, count: int) -> None:
        self._window.resize(count)

    def push_audio(self, pcm: NDArray[np.int16]) -> None:
        """Append sound: int16 mono 16 kHz, any length that ends at most 2.4 s ahead of the frames
        pushed so far; more is refused whole (ValueError). Sample n belongs to time n / 16000 s of
        this stream.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise ValueError(f"sound must be int16 mono (S,), got {pcm.dtype} {pcm.shape}")
        ahead = self._sound.samples + len(pcm) - SAMPLES_PER_FRAME * self._next_index
        if ahead > round(AHEAD_S * SAMPLE_RATE):
            raise ValueError(
                f"sound would run {ahead / SAMPLE_RATE:.2f} s ahead of the frames, of which "
                f"{AHEAD_S} s are kept"
            )
        self._sound.push(pcm)

    def push_frame(self, rgb: Rgb) -> list[SyncedFrame]:
        """One tick: take the next frame, uint8 (H, W, 3), and return the frame that is finished
        (none while the window fills). `rgb` is kept until then, and must not be written to.
        """
        return self.finish(self._denoise(self.prepare(rgb)))

    def prepare(self, rgb: Rgb) -> WindowInput | None:
        """First half of a tick: find the face, encode its crop, enter it into the window, refresh
        every slot's sound.

        Returns None where nothing is to be denoised: no slot of the window has a face, or the frame
        is one between.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            raise ValueError(f"a frame must be uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
        self.stage_ms = {}
        with self._stage("face"):
            held = self._locate(rgb)
        self._next_index += 1
        before = self._window.slots[-1].payload.index if self._window.slots else None
        self._entered = not self.every_second or before != held.index - 1
        if before is not None and not self._entered:
            self._between[before] = held
            return None
        with self._stage("encode"):
            held, z = self._encode(held)
        self._window.push(z, held)
        return self._window_input()

    def finish(self, x0: NDArray[np.float32] | None) -> list[SyncedFrame]:
        """Second half of a tick: the denoiser's x0 (L, 16, h, w), or None where `prepare` gave
        None.
        """
        frames = self._finish_middle()
        if not self._entered:
            return frames
        if x0 is None:
            x0 = self._window.z()
        source = self._window.z()
        left = self._window.accept(x0)
        slots = [slot for _, slot in left] + list(self._window.slots)
        for k, (latent, slot) in enumerate(left):
            if not slot.real:
                continue
            frames += self._finish_middle(slots[k:])  # if two leave at once
            frames.append(self._finished(_Edited(slot.payload, latent, slot.z), slots[k + 1 :]))
            between = self._between.pop(slot.payload.index, None)
            if between is not None:
                # The next frame's estimate is a first one, but it knows where the mouth goes.
                if slot.payload.covered is not None and between.crop is not None:
                    between = _behind(between, slot.payload.covered)
                self._middle = _Edited(
                    between, _half_way(x0[k], x0[k + 1]), _half_way(source[k], source[k + 1])
                )
        return frames

    def flush(self) -> list[SyncedFrame]:
        """The frames still in the window; what is not heard yet stays unheard. The stream then
        starts anew.
        """
        frames: list[SyncedFrame] = []
        self._entered = True
        while any(s.real for s in self._window.slots):
            last = self._window.slots[-1]
            self._window.push(last.z, last.payload, real=False)
            frames += self.finish(self._denoise(self._window_input()))
        frames += self._finish_middle()
        self.reset()
        return frames

    def reset(self) -> None:
        """Forget sound, window and face. The next frame is frame 0."""
        self._window.clear()
        self._sound.reset()
        self._follower.reset()
        self._between.clear()
        self._middle = None
        self._next_index, self._last_z, self._alpha = 0, None, 0.0
        self._drawn, self._photographed = False, None
        self._ink.forget()
        self._exposure.forget()
        self._cover.forget()
        self._ahead = None

    def close(self) -> None:
        """Let go of everything, a personal denoiser too; the stream is over."""
        self.reset()
        self._engine.closed(self)
        self._denoiser = None

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.stage_ms[name] = self.stage_ms.get(name, 0.0) + (time.perf_counter() - begin) * 1e3

    def _denoise(self, window: WindowInput | None) -> NDArray[np.float32] | None:
        if window is None:
            return None
        with self._stage("denoise"):
            return self._engine.refine(window)

    def _locate(self, rgb: Rgb) -> _Held:
        """Where the crop lies in this frame; no transform where there is no face, or the edit is
        switched off.
        """
        placed = None if self.bypass else self._place(rgb)
        if placed is None:
            self._alpha = 0.0
            self._exposure.forget()
            return _Held(self._next_index, rgb, None, None, MOUTH_CENTRE, 0.0, self._drawn)
        transform, crop, mouth = placed
        self._alpha = min(1.0, self._alpha + FADE)
        gain = self._exposure.follow(crop)
        return _Held(self._next_index, rgb, crop, transform, mouth, self._alpha, self._drawn, gain)

    def _place(self, rgb: Rgb) -> tuple[Similarity, Rgb, tuple[float, float]] | None:
        """Where the crop lies, the crop, and the mouth in it, crop units; None without a face.
        Decides which denoiser is to edit it.
        """
        if self.face_box != self._looked_at:
            self._looked_at = self.face_box
            self._ink.forget()
        face = self._follower.follow(rgb, self.face_box)
        placed = None
        if face is not None:
            transform = fit_similarity(face.points[_STABLE])
            centre = transform.apply(face.points[MOUTH]).mean(0)
            crop = self._crop(rgb, transform)
            placed = transform, crop, (float(centre[0]), float(centre[1]))
            self._drawn = self._ink.follow(crop) > SURE
            if not self._drawn:
                self._photographed = self.face_box
            elif self.face_box is not None:  # landmarks of ink come and go
                placed = self._by_box(rgb, self.face_box)
        elif self.face_box is not None:
            placed = self._by_box(rgb, self.face_box)
            leans = self._ink.follow(placed[1])
            self._drawn = self._photographed != self.face_box and leans >= -SURE
        grids = self._engine.grids_of(self.denoiser)
        if grids is not self._grids:
            self._window.regrid(grids)
            self._grids = grids
        return placed

    def _by_box(self, rgb: Rgb, box: Box) -> tuple[Similarity, Rgb, tuple[float, float]]:
        transform = similarity_from_box(box)
        return transform, self._crop(rgb, transform), MOUTH_CENTRE

    def _crop(self, rgb: Rgb, transform: Similarity) -> Rgb:
        return warp_crop(rgb, transform, self._engine.facts.crop_px)

    def _encode(self, held: _Held) -> tuple[_Held, NDArray[np.float32]]:
        """The frame's source latent; of the face alone where something is known to stand before
        it.
        """
        if held.crop is not None:
            self._last_z = self._engine.encode(exposed(held.crop, held.gain))
            if self._ahead is not None and not held.drawn:
                held = self._uncovered(held, self._ahead, self._last_z)
        else:
            self._ahead = None
        if self._last_z is None:
            self._last_z = np.zeros(self._window.eps.shape, np.float32)
        return held, self._last_z

    def _uncovered(self, held: _Held, trace: CoverTrace, z: NDArray[np.float32]) -> _Held:
        """The frame with what covers it and without, by its latent, of which nothing is edited
        yet.
        """
        assert held.crop is not None
        held = _behind(held, trace.follow(held.crop, self._moves(z, z).covered))
        if held.cover is None:
            self._ahead = None
        else:
            self._last_z = self._engine.encode(exposed(held.cover.bare, held.gain))
        return held

    def _window_input(self) -> WindowInput | None:
        slots = self._window.slots
        if all(s.payload.transform is None for s in slots):
            return None
        with self._stage("audio"):
            windows = [self._sound.window(i) for i in _frames_heard(slots)]
            tokens = self._engine.hear(
                np.stack([m for m, _ in windows]), np.stack([h for _, h in windows])
            )
        return WindowInput(
            self._window.x(),
            self._window.z(),
            self._window.levels,
            tokens,
            self.strength,
            slots[-1].payload.mouth,
            self.denoiser,
        )

    def _finish_middle(self, following: Sequence[Slot[_Held]] | None = None) -> list[SyncedFrame]:
        """The frame between that waits, if one does."""
        if self._middle is None:
            return []
        edited, self._middle = self._middle, None
        return [self._finished(edited, self._window.slots if following is None else following)]

    def _finished(self, edited: _Edited, following: Sequence[Slot[_Held]]) -> SyncedFrame:
        """following: the slots of newer frames, oldest first."""
        held = edited.held
        if held.transform is None or held.crop is None or self.bypass:
            self._cover.forget()
            return SyncedFrame(held.index, held.frame, None, held.transform is not None)
        crop = held.crop
        with self._stage("decode"):
            bare = crop if held.cover is None else held.cover.bare
            edit = self._decode(edited.latent, bare, held.gain)
            moves = self._moves(edited.latent, edited.z)
        with self._stage("paste"):
            alpha = _fade_out(held.alpha, following)
            cover = self._covering(held, moves)
            rgb, mask = paste(
                held.frame,
                crop,
                edit,
                moves,
                held.transform,
                alpha,
                cover,
                photographed=not held.drawn,
                gain=held.gain,
            )
        return SyncedFrame(held.index, rgb, mask, True)

    def _covering(self, held: _Held, moves: Moves) -> Cover | None:
        """What stands before the face of a frame that leaves the window."""
        if held.drawn:
            # Flat ink looks like a thing before the face, and nobody holds a hand before a drawing.
            self._cover.forget()
            return None
        if held.cover is not None:
            self._cover.forget()
            return held.cover
        assert held.crop is not None
        cover = cover_of(held.crop, self._cover.follow(held.crop, moves.covered))
        if cover is not None and self._ahead is None:
            self._ahead = CoverTrace(there=True)
        return cover

    def _decode(self, latent: NDArray[np.float32], crop: Rgb, gain: float) -> Field:
        """The edited crop (S, S, 3) 0..255; computed where it may be pasted, else the source. gain:
        of the light in which the latent shows it.
        """
        side = latent.shape[1]
        top, left, right = (round(share * side) for share in DECODED)
        pixels = crop.shape[0] // side  # a latent pixel
        edit = crop.astype(np.float32)
        decoded = self._engine.decode(latent[:, top:, left:right])
        edit[pixels * top :, pixels * left : pixels * right] = (
            decoded if gain == 1.0 else decoded / np.float32(gain)
        )
        return edit

    def _moves(self, latent: NDArray[np.float32], z: NDArray[np.float32]) -> Moves:
        """How the source moves, likewise."""
        side = latent.shape[1]
        top, left, right = (round(share * side) for share in DECODED)
        here = (slice(None), slice(top, None), slice(left, right))
        moved = self._engine.move(latent[here], z[here])
        cells = moved.kept.shape[0] // (side - top)
        field = (cells * side, cells * side)
        whole = Moves(
            np.zeros((*field, 2), np.float32),
            np.ones(field, np.float32),
            np.zeros(field, np.float32),
        )
        inside = (slice(cells * top, None), slice(cells * left, cells * right))
        whole.motion[inside], whole.kept[inside] = moved.motion, moved.kept
        whole.covered[inside] = moved.covered
        return whole


def _behind(held: _Held, covered: Field) -> _Held:
    """The frame with what covers it, as the net tells it, and without."""
    assert held.crop is not None
    cover = cover_of(held.crop, covered)
    return held if cover is None else replace(held, covered=covered, cover=cover)


def _frames_heard(slots: Sequence[Slot[_Held]]) -> list[int]:
    """The frame whose sound each slot hears: its own. Copies stand before the first frame, or after
    the last, so that a slot's age and its sound agree.
    """
    real = [k for k, slot in enumerate(slots) if slot.real]
    at = [min(max(k, real[0]), real[-1]) for k in range(len(slots))]
    return [slots[near].payload.index + k - near for k, near in enumerate(at)]


def _half_way(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.asarray(one) + np.asarray(other)) / np.float32(2)


def _fade_out(alpha: float, following: Sequence[Slot[_Held]]) -> float:
    """Less of the edit where a frame that follows has lost the face: the window sees that
    coming.
    """
    for distance, slot in enumerate(following, 1):
        if slot.payload.transform is None:
            return min(alpha, distance * FADE)
    return alpha
