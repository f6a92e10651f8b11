"""The README's before and after strip: the demo face as it is, and speaking the demo voice."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.audio import SAMPLES_PER_FRAME
from training.evaluation.clip import there_and_back
from training.grid import read_frames, read_pcm

DEMO = Path(__file__).parent.parent / "web_client" / "demo"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--first", type=int, default=20, help="first frame shown")
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--box", type=int, nargs=4, default=(200, 110, 240, 240), metavar="N")
    args = parser.parse_args(argv)
    frames, pcm = read_frames(DEMO / "face.mp4"), read_pcm(DEMO / "voice.mp3")
    count = args.first + args.every * args.cells + 4
    order = there_and_back(len(frames), count)
    stream, synced = LipSyncEngine.load(runtime="onnxruntime").open_stream(), []
    for t in range(count):
        stream.push_audio(pcm[t * SAMPLES_PER_FRAME : (t + 1) * SAMPLES_PER_FRAME])
        synced += [f.rgb for f in stream.push_frame(frames[order[t]])]
    shown = range(args.first, args.first + args.every * args.cells, args.every)
    x, y, w, h = args.box

    def row(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        cells = [cv2.resize(p[y : y + h, x : x + w], (160, 160)) for p in pictures]
        return np.concatenate(cells, 1)

    strip = np.concatenate(
        [row([frames[order[t]] for t in shown]), row([synced[t] for t in shown])]
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.output), strip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
