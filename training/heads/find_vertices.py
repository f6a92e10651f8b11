"""Finds the base-mesh vertex of each point, once: `python -m training.heads.find_vertices`.

`render` writes frontal heads as pictures; training/label.py labels them; `match` then takes for
each point the visible vertex nearest to its label over all heads, alike on both sides of the face.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from engine.face.points import LANDMARKS, MIRROR
from training.heads.assets import base_mesh, makehuman
from training.heads.head import Framing, Head
from training.heads.light import Camera

SIZE, FRAMING = 384, Framing(0.5, 0.45, 0.24)
CLEAN = Camera(1.0, 2.2, np.ones(3, np.float32), 1.0, 0.0, 0.0, 0.0, 0)
MOUTHS: tuple[dict[str, float], ...] = ({}, {"jawOpen": 0.35})
# The inner lips meet when the mouth is shut, where only an open one tells them apart.
INNER_LIPS = (13, 14)


def mirror_table() -> dict[int, int]:
    """Base-mesh vertex -> its partner on the other side."""
    lines = (makehuman() / "mpfb2" / "mesh_metadata" / "hm08.mirror").read_text().splitlines()
    rows = [line.split() for line in lines if line and line[0].isdigit()]
    return {int(row[0]): int(row[1]) for row in rows}


def render(folder: Path, heads: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(heads):
        head = replace(Head.sample(seed, hair="short04"), camera=CLEAN)
        for k, mouth in enumerate(MOUTHS):
            rgb = head.render(mouth, size=SIZE, framing=FRAMING).rgb
            cv2.imwrite(str(folder / f"{seed:03d}_{k}.png"), rgb[..., ::-1])


def match(labels: Path) -> dict[str, int]:
    """Vertex of each point, keyed by FaceLandmarker's number."""
    mesh = base_mesh()
    body = np.unique(mesh.faces[mesh.groups == "body"])
    total = np.zeros((len(LANDMARKS), len(mesh.vertices)))
    count = np.zeros_like(total)
    for path in sorted(labels.glob("*.npz")):
        seed, k = (int(part) for part in path.stem.split("_"))
        points = np.load(path)["points"][0, list(LANDMARKS)]
        if np.isnan(points).any():
            continue
        head = Head.sample(seed, hair="short04")
        everywhere = replace(head, marks=np.arange(head.parts[0].count, dtype=np.int32))
        picture = everywhere.render(MOUTHS[k], size=SIZE, framing=FRAMING)
        number = head.body_vertices
        gap = np.linalg.norm(points[:, None] - picture.points[None], axis=-1)
        gap = np.minimum(gap / SIZE / FRAMING.eye_distance, 0.3)
        gap[:, ~picture.visible] = 0.3
        for row, point in enumerate(LANDMARKS):
            if point in INNER_LIPS and k == 0:
                continue
            total[row, number] += gap[row]
            count[row, number] += 1
    cost = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    partner = mirror_table()
    other = np.array([partner.get(v, v) for v in range(len(mesh.vertices))])
    cost = (cost + cost[list(MIRROR)][:, other]) / 2
    for row, k in enumerate(MIRROR):
        if row == k:  # a point of the middle line belongs to a vertex of it
            cost[row, other != np.arange(len(other))] = np.inf
    best = cost.argmin(1)
    for row, point in enumerate(LANDMARKS):
        print(point, best[row], f"{cost[row, best[row]]:.3f} eye distances")
    assert np.isin(best, body).all()
    return {str(point): int(v) for point, v in zip(LANDMARKS, best, strict=True)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("render", "match"))
    parser.add_argument("folder", type=Path, help="where the pictures go, or the labels lie")
    parser.add_argument("--heads", type=int, default=16)
    args = parser.parse_args()
    if args.step == "render":
        render(args.folder, args.heads)
        return 0
    table = Path(__file__).parent / "vertices.json"
    table.write_text(json.dumps(match(args.folder), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
