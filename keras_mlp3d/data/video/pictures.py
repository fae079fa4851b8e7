"""Turns a decoded picture into an upright RGB array of the right size, and places crops in it."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_mlp3d.data.video.container import MAX_PIXELS

# swscale's own numbers: PyAV 17 has no names for all of them.
FILTERS = {"bilinear": 0x2, "bicubic": 0x4, "area": 0x20, "lanczos": 0x200, "nearest": 0x10}
# Full chroma in and out, exact rounding, and the same result whatever the processor.
_EXACT = 0x2000 | 0x4000 | 0x40000 | 0x80000
# By default, PyAV starts a thread per processor for every picture, which takes longer than to
# convert a small picture.
_THREADS = 1


class Scaler:
    """Resizes pictures and keeps FFmpeg's tables between them. For one thread at a time."""

    def __init__(self) -> None:
        self._reformatter, self._resizer = VideoReformatter(), VideoReformatter()

    def to_rgb(
        self, frame: av.VideoFrame, width: int, height: int, interpolation: str = "bilinear"
    ) -> np.ndarray:
        """Return a decoded frame as uint8 `(height, width, 3)`, by its color matrix and range.

        It is resized before it becomes RGB, as by FFmpeg's `scale`, which is much faster.
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

    def resize(
        self, picture: np.ndarray, height: int, width: int, interpolation: str
    ) -> np.ndarray:
        """Return a contiguous uint8 picture `(rows, columns, 3)` as `(height, width, 3)`."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(picture, "rgb24"),
            width=width,
            height=height,
            format="rgb24",
            interpolation=FILTERS[interpolation] | _EXACT,
            threads=_THREADS,
        ).to_ndarray()

    def for_jpeg(self, picture: np.ndarray, height: int, width: int) -> av.VideoFrame:
        """Return a uint8 picture `(rows, columns, 3)` as a frame of a size in JPEG's colors."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24"),
            width=width,
            height=height,
            format="yuvj420p",
            interpolation=FILTERS["bilinear"] | _EXACT,
            threads=_THREADS,
        )


def orientation(frame: av.VideoFrame) -> tuple[int, bool, tuple[int, int]]:
    """Return the rotation that the display matrix of a frame asks for.

    Returns:
        `(rotation, whether axes are swapped, (row step, column step))`: degrees counter-clockwise,
        and how to rotate: swap the axes, then step through rows and columns by 1 or -1. Quarter
        turns and reflections are applied; a slanted or singular matrix, of a broken file, is
        ignored.
    """
    upright = 0, False, (1, 1)
    try:
        # By the name that FFmpeg gives it: the types of PyAV know it only by PyAV's own.
        side_data: Any = frame.side_data
        matrix = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), "=i4", count=9)
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


def turned(picture: np.ndarray, axes: bool, steps: tuple[int, int]) -> np.ndarray:
    """Return a picture that is turned as `orientation` says."""
    if axes:
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: steps[0], :: steps[1]])


# Positions of crops -------------------------------------------------------------------------------


@functools.lru_cache
def covering_size(
    size: tuple[int, int], crop: tuple[int, int], short_side: int | None = None
) -> tuple[int, int]:
    """Return the size to which a picture is resized before it is cropped; its shape is kept.

    Args:
        size: `(height, width)` of the picture.
        crop: `(height, width)` of the crop.
        short_side: Target short side in pixels. Defaults to the smallest that covers the crop; a
            smaller value is raised to it.

    Returns:
        `(height, width)`, both at least those of the crop.
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
            f"image_size {crop}, and more than {MAX_PIXELS} pixels are refused."
        )
    return height, width


def spread_corners(free: tuple[int, int], crops: int) -> list[tuple[int, int]]:
    """Return `(top, left)` of crops, spread along the side with more free pixels.

    Args:
        free: `(height, width)` of the picture minus those of the crop.
        crops: Number of crops. A single one is in the middle.
    """
    top, left = free
    if crops == 1:
        return [(top // 2, left // 2)]
    if top > left:
        return [(i * top // (crops - 1), left // 2) for i in range(crops)]
    return [(top // 2, i * left // (crops - 1)) for i in range(crops)]


def random_corner(free: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Return `(top, left)` of a random crop.

    Args:
        free: `(height, width)` of the picture minus those of the crop.
        rng: `numpy.random.Generator`.
    """
    return int(rng.integers(free[0] + 1)), int(rng.integers(free[1] + 1))


def cut_views(
    pictures: Iterable[tuple[int, np.ndarray]],
    indices: np.ndarray,
    corners_of: Callable[[tuple[int, int]], list[tuple[int, int]]],
    size: tuple[int, int],
) -> np.ndarray:
    """Return views (clips * crops, T, height, width, 3) of pictures, the crops of a clip together.

    Args:
        pictures: `(number of the frame, picture)` of every frame that a clip shows, of one size.
        indices: Numbers of the frames of each clip, (clips, T).
        corners_of: Function that gets the `(height, width)` of a picture minus those of a crop, and
            returns the `(top, left)` of each crop.
        size: `(height, width)` of a crop.
    """
    (height, width), views = size, None
    places: dict[int, list[tuple[int, ...]]] = {}
    for place, index in np.ndenumerate(indices):
        places.setdefault(int(index), []).append(place)
    for index, picture in pictures:
        if views is None:
            corners = corners_of((picture.shape[0] - height, picture.shape[1] - width))
            shape = (len(indices), len(corners), indices.shape[1], height, width, 3)
            views = np.empty(shape, "uint8")
        for crop, (top, left) in enumerate(corners):
            window = picture[top : top + height, left : left + width]
            for clip, frame in places.get(int(index), ()):
                views[clip, crop, frame] = window
    return views.reshape(-1, indices.shape[1], height, width, 3)
