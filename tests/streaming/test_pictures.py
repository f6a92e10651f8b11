import av
import numpy as np
import pytest

from streaming.pictures import MAX_PIXELS, bounded, to_rgb, with_edit


def picture(width: int = 64, height: int = 48, pixels: str = "yuv420p") -> av.VideoFrame:
    """Smooth, so that halving the chroma loses next to nothing."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [100 + 80 * np.sin(rows / 9 + k) * np.cos(columns / 11 + k) for k in range(3)]
    rgb = np.stack(waves, axis=-1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)


def test_colours_are_those_of_swscale() -> None:
    frame = picture()
    ours, theirs = to_rgb(frame).astype(int), frame.to_ndarray(format="rgb24").astype(int)
    assert np.abs(ours - theirs).max() <= 4
    assert np.abs((ours - theirs).mean(axis=(0, 1))).max() < 1.5


def test_edit_shows_and_the_rest_stays_bit_for_bit() -> None:
    frame = picture()
    source, rgb = frame.to_ndarray(), to_rgb(frame)
    mask = np.zeros(rgb.shape[:2], np.float32)
    mask[21:30, 13:27] = 0.5
    rgb[mask > 0] = (200, 40, 90)
    edited = with_edit(frame, rgb, mask)
    assert np.array_equal(frame.to_ndarray(), source), "the source itself is left alone"
    changed = to_rgb(edited)[22:30, 14:26].reshape(-1, 3).astype(int)
    assert np.abs(changed - (200, 40, 90)).max() <= 4
    before, after = source[:48], edited.to_ndarray()[:48]
    outside = np.ones((48, 64), bool)
    outside[20:30, 12:28] = False
    assert np.array_equal(before[outside], after[outside])
    chroma = edited.to_ndarray()[48:].reshape(2, 24, 32) != source[48:].reshape(2, 24, 32)
    assert chroma[:, 10:15, 6:14].any()
    chroma[:, 10:15, 6:14] = False
    assert not chroma.any()


@pytest.mark.parametrize("corner", [(0, 0), (47, 63)])
def test_edit_reaches_the_very_edge(corner: tuple[int, int]) -> None:
    frame = picture()
    rgb, mask = to_rgb(frame), np.zeros((48, 64), np.float32)
    mask[corner] = 1
    rgb[...] = 255
    assert to_rgb(with_edit(frame, rgb, mask))[corner].min() > 250


def test_empty_mask_gives_the_source_itself() -> None:
    frame = picture()
    assert with_edit(frame, to_rgb(frame), np.zeros((48, 64), np.float32)) is frame


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (picture(), (64, 48)),
        (picture(65, 47), (64, 46)),
        (picture(pixels="nv12"), (64, 48)),
        (picture(1920, 1080), (1280, 720)),
    ],
)
def test_any_frame_becomes_even_and_small_i420(frame: av.VideoFrame, size: tuple[int, int]) -> None:
    small = bounded(frame)
    assert (small.width, small.height, small.format.name) == (*size, "yuv420p")
    assert small.width * small.height <= MAX_PIXELS
    assert to_rgb(small).shape == (size[1], size[0], 3)
