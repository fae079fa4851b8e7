"""Pictures of the page, from plain arrays."""

from typing import TYPE_CHECKING

import numpy as np

from keras_mlp3d._utils.checks import check_integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 96  # pixels: smaller frames are enlarged


def contact_sheet(clip: np.ndarray, columns: int = 8) -> np.ndarray:
    """Join the frames of a clip row by row, with transparent gaps.

    Small frames are enlarged by a whole number, so that each of the network's pixels stays one
    square.

    Args:
        clip: uint8 (T, H, W, 3).
        columns: Largest number of frames in a row.

    Returns:
        uint8 (rows of pixels, columns of pixels, 4): red, green, blue, opacity.

    Raises:
        ValueError: If the clip has another shape or type.

    Example:

    >>> contact_sheet(np.zeros((10, 128, 128, 3), "uint8"), columns=5).shape
    (259, 652, 4)
    """
    check_integer("columns", columns)
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or 0 in clip.shape:
        raise ValueError(f"clip must be uint8 (T, H, W, 3), got {clip.dtype} {clip.shape}.")
    times = -(-_SHOWN // max(clip.shape[1:3]))
    clip = clip.repeat(times, axis=1).repeat(times, axis=2)
    count, height, width, _ = clip.shape
    columns = min(columns, count)
    gap = max(2, width // 40)
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), "uint8")
    for place, frame in enumerate(clip):
        row, column = divmod(place, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width, :3] = frame
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def picture_of(figure: "Figure") -> np.ndarray:
    """Return a figure as pixels, uint8 (H, W, 3)."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    return pixels[..., :3].copy()
