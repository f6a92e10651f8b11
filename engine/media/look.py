"""Size and colour of a picture, as an encoder must know them to make it look the same."""

from dataclasses import dataclass

import av
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

# Numbers of ISO/IEC 23091-2, as FFmpeg and H.264 write them.
_RGB = 0
_BT709 = 1
_UNSPECIFIED = 2
_SCALER_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}


@dataclass(frozen=True, slots=True)
class Look:
    """width and height in pixels, upright and even; colour as ISO/IEC 23091-2 numbers it.

    An unspecified matrix stays so: it is read as BT.601 and written back as BT.601, so that every
    player shows the copy as it shows the source. sample_aspect is a pixel's width by its height.
    """

    width: int
    height: int
    matrix: int
    primaries: int
    transfer: int
    sample_aspect: tuple[int, int] = (1, 1)

    @property
    def scaler_matrix(self) -> Colorspace:
        return _SCALER_MATRIX.get(self.matrix, Colorspace.ITU601)

    @classmethod
    def of(cls, frame: av.VideoFrame, sample_aspect: tuple[int, int]) -> "Look":
        """The look of a decoded frame once it is turned upright."""
        width, height, (across, down) = frame.width, frame.height, sample_aspect
        if round(frame.rotation / 90) % 2:
            width, height, across, down = height, width, down, across
        is_rgb = frame.format.is_rgb or frame.colorspace == _RGB
        return cls(
            width=width // 2 * 2,
            height=height // 2 * 2,
            matrix=_BT709 if is_rgb else int(frame.colorspace),
            primaries=_known(frame.color_primaries, ColorPrimaries),
            transfer=_known(frame.color_trc, ColorTrc),
            sample_aspect=(across, down),
        )


def _known(number: int, meanings: type[ColorPrimaries] | type[ColorTrc]) -> int:
    """`number`, or unspecified where the standard reserves it: encoders refuse those."""
    return number if number in {meaning.value for meaning in meanings} else _UNSPECIFIED
