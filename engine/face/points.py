"""Which points of a face are followed: 39 of MediaPipe FaceLandmarker's 478, and their groups."""

from __future__ import annotations

from typing import Final

# "Left" and "right" in the comments are the picture's.
LANDMARKS: Final[tuple[int, ...]] = (
    *(33, 133, 362, 263, 159, 145, 386, 374),  # eyes: four corners, upper and lower lids
    *(168, 6, 197, 195),  # bridge of the nose, downwards
    *(4, 2, 98, 327),  # nose: tip, base, nostrils
    *(61, 291, 0, 13, 14, 17, 39, 269, 181, 405),  # mouth: corners, middle line, lip edges
    *(152, 172, 397, 58, 288, 234, 454),  # chin, then jaw pairs upwards to the ears
    *(70, 105, 107, 336, 334, 300),  # brows, from left to right
)
COUNT: Final = len(LANDMARKS)

EYES: Final = slice(0, 8)
LEFT_EYE_CORNERS: Final = (0, 1)
RIGHT_EYE_CORNERS: Final = (2, 3)
BRIDGE: Final = slice(8, 12)
MOUTH: Final = slice(16, 26)
MOUTH_CORNERS: Final = (16, 17)
INNER_LIPS: Final = (19, 20)  # upper, lower
JAW: Final = slice(26, 33)
CHIN: Final = 26

_MIRROR_PAIRS: Final = (
    *((33, 263), (133, 362), (159, 386), (145, 374), (98, 327), (61, 291), (39, 269)),
    *((181, 405), (172, 397), (58, 288), (234, 454), (70, 300), (105, 334), (107, 336)),
)


def _mirror() -> tuple[int, ...]:
    other = {a: b for a, b in _MIRROR_PAIRS} | {b: a for a, b in _MIRROR_PAIRS}
    return tuple(LANDMARKS.index(other.get(point, point)) for point in LANDMARKS)


MIRROR: Final[tuple[int, ...]] = _mirror()  # where each point is found in a mirrored picture
