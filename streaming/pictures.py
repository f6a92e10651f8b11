"""Pixels between codec and engine: I420 in, RGB for the engine, the same I420 with its edit out.

OpenCV does this in a tenth of the time that PyAV takes by way of swscale (0.3 ms instead of 2.9 for
640x480): every call there makes a new context with threads of its own.
"""

from functools import lru_cache
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
MAX_PIXELS = 1280 * 720
BLACK = 16  # luma of limited range


def bounded(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in I420, limited-range BT.601, with even sides, made smaller where it has more
    pixels than 1280x720.
    """
    scale = min(1.0, (MAX_PIXELS / (frame.width * frame.height)) ** 0.5)
    width, height = int(frame.width * scale) & ~1, int(frame.height * scale) & ~1
    full = frame.color_range == ColorRange.JPEG
    matrix = Colorspace.ITU709 if frame.colorspace == Colorspace.ITU709 else Colorspace.ITU601
    if (width, height, frame.format.name) != (frame.width, frame.height, "yuv420p"):
        kept = ColorRange.JPEG if full else ColorRange.MPEG
        frame = frame.reformat(
            width,
            height,
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=kept,
            dst_color_range=kept,
        )
    return _usual(frame, matrix, full) if full or matrix != Colorspace.ITU601 else frame


def _usual(frame: av.VideoFrame, matrix: Colorspace, full: bool) -> av.VideoFrame:
    """An I420 frame in limited-range BT.601. swscale would do it, but cuts off what it should
    round: every colour came out a little darker and greener.
    """
    packed: Any = frame.to_ndarray()
    y, u, v = _planes(packed)
    (yy, yu, yv), (_, uu, uv), (_, vu, vv) = _to_usual(matrix, full)
    grey = 128.0
    shift = cv2.addWeighted(u, yu, v, yv, grey * (1 - yu - yv))  # of luma, about 128
    shift = cv2.resize(shift, (y.shape[1], y.shape[0]), interpolation=cv2.INTER_LINEAR)
    chroma = [cv2.addWeighted(u, a, v, b, grey * (1 - a - b)) for a, b in ((uu, uv), (vu, vv))]
    black = 0 if full else BLACK
    y[:] = cv2.addWeighted(y, yy, shift, 1.0, BLACK - yy * black - grey)
    u[:], v[:] = chroma
    return av.VideoFrame.from_ndarray(packed, format="yuv420p")


@lru_cache(4)
def _to_usual(matrix: Colorspace, full: bool) -> tuple[tuple[float, ...], ...]:
    """(3, 3) from (Y, U, V) of a matrix and range to those of limited-range BT.601, all less their
    black and grey.
    """

    def from_rgb(coding: Colorspace, full: bool) -> NDArray[np.float64]:
        red, blue = (0.2126, 0.0722) if coding == Colorspace.ITU709 else (0.299, 0.114)
        luma = np.array([red, 1 - red - blue, blue])
        steps = np.array([255, 255, 255]) if full else np.array([219, 224, 224])
        rows = [luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)]
        return steps[:, None] * np.array(rows)

    change = from_rgb(Colorspace.ITU601, False) @ np.linalg.inv(from_rgb(matrix, full))
    return tuple(tuple(row) for row in change.tolist())


def shrunk(frame: av.VideoFrame, share: float) -> av.VideoFrame:
    """An I420 frame with `share` of its sides, even ones, and its time; at 1 the frame itself."""
    if share == 1:
        return frame
    width, height = int(frame.width * share) & ~1, int(frame.height * share) & ~1
    planes = _planes(cast(Any, frame.to_ndarray()))
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    parts = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(-1)
        for plane, size in zip(planes, sizes, strict=True)
    ]
    packed = np.concatenate(parts).reshape(height * 3 // 2, width)
    small = av.VideoFrame.from_ndarray(packed, format="yuv420p")
    small.pts, small.time_base = frame.pts, frame.time_base
    return small


def to_rgb(frame: av.VideoFrame) -> Rgb:
    """(H, W, 3) of a `bounded` frame; BT.601, which is what WebRTC's codecs carry."""
    rgb: Any = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
    return rgb


def with_edit(source: av.VideoFrame, rgb: Rgb, mask: NDArray[np.float32]) -> av.VideoFrame:
    """A `bounded` frame with what `rgb` shows where `mask` (H, W) is not zero; the rest as it was.

    Chroma is shared by 2x2 pixels, so the edit grows to even coordinates.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return source
    top, bottom = rows[0] & ~1, (rows[-1] + 2) & ~1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = columns[0] & ~1, (columns[-1] + 2) & ~1
    planes: Any = source.to_ndarray()
    patch: Any = cv2.cvtColor(rgb[top:bottom, left:right], cv2.COLOR_RGB2YUV_I420)
    for whole, part, scale in zip(_planes(planes), _planes(patch), (1, 2, 2), strict=True):
        whole[top // scale : bottom // scale, left // scale : right // scale] = part
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _planes(packed: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Views of Y, U and V in (H * 3/2, W) as PyAV and OpenCV pack them."""
    height, width = packed.shape[0] * 2 // 3, packed.shape[1]
    luma = height * width
    flat = packed.reshape(-1)
    return [
        flat[:luma].reshape(height, width),
        flat[luma : luma * 5 // 4].reshape(height // 2, width // 2),
        flat[luma * 5 // 4 :].reshape(height // 2, width // 2),
    ]
