"""From a decoded picture to an upright RGB array of the right size, and the crops of it."""

import functools

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_mlp3d.data.video.container import MAX_PIXELS

# swscale's own numbers: PyAV 17 has no names for all of them.
FILTERS = {"bilinear": 0x2, "bicubic": 0x4, "area": 0x20, "lanczos": 0x200, "nearest": 0x10}
# Full chroma in and out, exact rounding, and the same result whatever the processor.
_EXACT = 0x2000 | 0x4000 | 0x40000 | 0x80000
# Left to itself, PyAV starts a thread per processor for every picture, which takes longer than
# small pictures do.
_THREADS = 1


class Scaler:
    """Keeps the scaler's tables from one picture to the next; for one thread at a time."""

    def __init__(self):
        self._reformatter, self._resizer = VideoReformatter(), VideoReformatter()

    def to_rgb(self, frame, width, height, interpolation=None):
        """A decoded frame as uint8 `(height, width, 3)`, by its own color matrix and range.

        To another size it is brought before it becomes RGB, as FFmpeg's `scale` does: that takes a
        fraction of the time. `interpolation` is then needed.
        """
        if (width, height) != (frame.width, frame.height):
            frame = self._resizer.reformat(
                frame,
                width=width,
                height=height,
                format=frame.format.name if frame.format.name.startswith("yuv") else "rgb24",
                interpolation=FILTERS[interpolation] | _EXACT,
                threads=_THREADS,
            )
        return self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", threads=_THREADS
        ).to_ndarray()

    def resize(self, picture, height, width, interpolation):
        """A contiguous uint8 picture `(rows, columns, 3)` as uint8 `(height, width, 3)`."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(picture, "rgb24"),
            width=width,
            height=height,
            format="rgb24",
            interpolation=FILTERS[interpolation] | _EXACT,
            threads=_THREADS,
        ).to_ndarray()

    def for_jpeg(self, picture, height, width):
        """A uint8 picture `(rows, columns, 3)` as a frame of JPEG's colors and the size given."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24"),
            width=width,
            height=height,
            format="yuvj420p",
            interpolation=FILTERS["bilinear"] | _EXACT,
            threads=_THREADS,
        )


def orientation(frame):
    """What the display matrix of a PyAV video frame asks for.

    Returns:
        `(rotation, axes swapped?, (row step, column step))`: degrees counter-clockwise, and how to
        get there: swap the axes, then step through rows and columns by 1 or -1. Quarter turns and
        mirrorings are followed; a slanted or singular matrix (broken files) is no rotation.
    """
    upright = 0, False, (1, 1)
    try:
        matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), "=i4", count=9)
    except (KeyError, ValueError):
        return upright
    (a, b), (c, d) = matrix.reshape(3, 3)[:2, :2].astype("float64")
    rotation = 180 if frame.rotation == -180 else frame.rotation
    # x' = a x + c y and y' = b x + d y.
    if a * d != 0 and max(abs(b), abs(c)) < 1e-3 * min(abs(a), abs(d)):
        return rotation, False, (1 if d > 0 else -1, 1 if a > 0 else -1)
    if b * c != 0 and max(abs(a), abs(d)) < 1e-3 * min(abs(b), abs(c)):
        return rotation, True, (1 if b > 0 else -1, 1 if c > 0 else -1)
    return upright


# Where crops lie -------------------------------------------------------------------------------


@functools.lru_cache
def covering_size(size, crop, short_side=None):
    """The size a picture is resized to, aspect ratio kept, so that a crop can be cut from it.

    Args:
        size: `(height, width)` of the picture.
        crop: `(height, width)` of the crop.
        short_side: The new short side; by default, and where it would not cover the crop, the
            least that covers it.

    Returns:
        `(height, width)`, neither less than the crop's.
    """
    scales = [(crop[0], size[0]), (crop[1], size[1])]
    if short_side is not None:
        scales.append((short_side, min(size)))
    new, old = max(scales, key=lambda scale: scale[0] / scale[1])
    height, width = (
        max((2 * side * new + old) // (2 * old), least)
        for side, least in zip(size, crop, strict=True)
    )
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"pictures of {size[0]} x {size[1]} would be resized to {height} x {width} to cover "
            f"`image_size` {crop}, and more than {MAX_PIXELS} pixels are refused"
        )
    return height, width


def spread_corners(free, crops):
    """`(top, left)` of crops along the side with more free pixels, from its start to its end.

    Args:
        free: `(height, width)` of the picture less those of the crop.
        crops: How many; one alone lies in the middle.
    """
    top, left = free
    if crops == 1:
        return [(top // 2, left // 2)]
    if top > left:
        return [(i * top // (crops - 1), left // 2) for i in range(crops)]
    return [(top // 2, i * left // (crops - 1)) for i in range(crops)]


def random_corner(free, rng):
    """One `(top, left)`, drawn from all that fit."""
    return tuple(int(rng.integers(side + 1)) for side in free)
