"""Face labels by MediaPipe's FaceLandmarker (478 points, 52 ARKit coefficients).

MediaPipe pulls its own OpenCV, so this file runs in a virtual environment of its own (`make
labels`) and imports nothing of this project. It reads pictures or clips and writes one .npz a
source: `points` float32 (T, 478, 2) in pixels (NaN where no face was found), `blendshapes` float16
(T, 52).
"""

from __future__ import annotations

import argparse
import sys
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_landmarker: Any = None


def _start(model_path: str) -> None:
    global _landmarker
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=model_path),
        output_face_blendshapes=True,
        min_face_detection_confidence=0.2,
        min_face_presence_confidence=0.2,
        num_faces=1,
    )
    _landmarker = vision.FaceLandmarker.create_from_options(options)


def label_frame(rgb: np.ndarray, margin: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Points (478, 2) in pixels and coefficients (52,) of the face in `rgb` uint8 (H, W, 3).

    The picture is padded first: the detector behind FaceLandmarker misses faces that fill it.
    """
    import mediapipe as mp

    height, width = rgb.shape[:2]
    pad_y, pad_x = int(height * margin), int(width * margin)
    padded = cv2.copyMakeBorder(rgb, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_REPLICATE)
    scale = max(1.0, 256 / min(padded.shape[:2]))
    if scale > 1.0:
        padded = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(padded))
    found = _landmarker.detect(image)
    if not found.face_landmarks:
        return np.full((478, 2), np.nan, np.float32), np.zeros(52, np.float16)
    points = np.array([(p.x, p.y) for p in found.face_landmarks[0]], np.float32)
    points *= np.array([padded.shape[1], padded.shape[0]], np.float32) / scale
    points -= np.array([pad_x, pad_y], np.float32)
    coefficients = np.array([c.score for c in found.face_blendshapes[0]], np.float16)
    return points, coefficients


def label_part(rgb: np.ndarray, window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The same, looking at (left, top, right, bottom) of the picture only."""
    left, top, right, bottom = window
    points, coefficients = label_frame(np.ascontiguousarray(rgb[top:bottom, left:right]))
    return points + np.array([left, top], np.float32), coefficients


def windows_of(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Overlapping parts in which a face too small for the whole picture may be found."""
    side = min(height, width) // 2
    lefts = np.linspace(0, width - side, max(3, round(2 * width / side) - 1)).astype(int)
    tops = np.linspace(0, height - side, max(3, round(2 * height / side) - 1)).astype(int)
    return [(int(x), int(y), int(x) + side, int(y) + side) for y in tops for x in lefts]


def label_clip(
    frames: np.ndarray, window: tuple[int, int, int, int] | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Labels of each frame. A face too small for the detector is looked for in parts of the first
    frame, and then where it was. window: (left, top, right, bottom) in which the face is, if
    there may be others.
    """
    labels: list[tuple[np.ndarray, np.ndarray]] = []
    given = window is not None
    for k, frame in enumerate(frames):
        frame = np.ascontiguousarray(frame)
        label = label_frame(frame) if window is None else label_part(frame, window)
        if k == 0 and not given and np.isnan(label[0]).any():
            for window in windows_of(*frame.shape[:2]):
                label = label_part(frame, window)
                if not np.isnan(label[0]).any():
                    break
            else:
                window = None
        if window is not None and not np.isnan(label[0]).any():
            window = around(label[0], *frame.shape[:2])
        labels.append(label)
    return labels


def around(points: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A part of the picture that has the face in its middle and twice its size."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    x, y = (left + right) / 2, (top + bottom) / 2
    reach = max(right - left, bottom - top, 8.0)
    return (
        int(np.clip(x - reach, 0, width - 8)),
        int(np.clip(y - reach, 0, height - 8)),
        int(np.clip(x + reach, 8, width)),
        int(np.clip(y + reach, 8, height)),
    )


def read_frames(path: Path) -> np.ndarray:
    """All frames of a clip, one frame of a picture, array `frames` of an .npz or an .npy; uint8
    RGB.
    """
    if path.suffix == ".npz":
        return np.load(path)["frames"]
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    if path.suffix in {".jpg", ".png"}:
        return np.asarray(cv2.imread(str(path)))[None, :, :, ::-1]
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(frame[:, :, ::-1])
    return np.stack(frames)


def label_file(
    job: tuple[Path, Path], window: tuple[int, int, int, int] | None = None
) -> tuple[Path, int, int]:
    source, target = job
    if target.exists():
        return source, 0, 0
    labels = label_clip(read_frames(source), window)
    points = np.stack([p for p, _ in labels])
    partial = target.with_suffix(".part.npz")
    np.savez(partial, points=points, blendshapes=np.stack([c for _, c in labels]))
    partial.rename(target)
    return source, len(points), int(np.isnan(points[:, 0, 0]).sum())


def _window(words: str) -> tuple[int, int, int, int] | None:
    if not words:
        return None
    left, top, right, bottom = (int(word) for word in words.split())
    return left, top, right, bottom


def listen() -> None:
    """Label what each line of stdin names, "SOURCE<tab>TARGET<tab>WINDOW", then print TARGET.
    WINDOW: left top right bottom, or nothing.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        source, target, window = line.rstrip("\n").split("\t")
        label_file((Path(source), Path(target)), _window(window))
        print(target, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="face_landmarker .task file")
    parser.add_argument("--output", type=Path, help="folder for the .npz labels")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--listen", action="store_true", help="take jobs from stdin, one a line")
    parser.add_argument("sources", nargs="*", type=Path)
    args = parser.parse_args()
    if args.listen:
        _start(args.model)
        listen()
        return 0
    if args.output is None or not args.sources:
        parser.error("--output and sources are needed")
    args.output.mkdir(parents=True, exist_ok=True)
    jobs = [(source, args.output / f"{source.stem}.npz") for source in args.sources]
    with Pool(args.jobs, _start, (args.model,)) as pool:
        for done, (source, frames, lost) in enumerate(pool.imap_unordered(label_file, jobs), 1):
            if lost:
                print(f"{source.name}: no face in {lost} of {frames} frames", file=sys.stderr)
            if done % 50 == 0 or done == len(jobs):
                print(f"{done}/{len(jobs)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
