"""Moves the pixels of a clip by an affine map, the same for all frames."""

import math

import numpy as np

Matrix = tuple[tuple[float, float], tuple[float, float]]

#: Color of pixels from outside the picture: the mean of ImageNet, which the network sees as 0.
FILL = (124, 116, 104)


def rotation(degrees: float) -> Matrix:
    """Return the matrix of a counter-clockwise rotation."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return ((cos, -sin), (sin, cos))


def shear_x(factor: float) -> Matrix:
    """Return the matrix that moves each row by `factor` times its distance from the middle."""
    return ((1.0, factor), (0.0, 1.0))


def shear_y(factor: float) -> Matrix:
    """Return the matrix that moves each column by `factor` times its distance from the middle."""
    return ((1.0, 0.0), (factor, 1.0))


def translated(clip: np.ndarray, right: int = 0, down: int = 0) -> np.ndarray:
    """Move the picture: a pixel is read from `down` rows below and `right` columns right of it."""
    result = np.empty_like(clip)
    for channel, value in enumerate(FILL):
        result[..., channel] = value
    rows, from_rows = _overlap(clip.shape[1], down)
    columns, from_columns = _overlap(clip.shape[2], right)
    result[:, rows, columns] = clip[:, from_rows, from_columns]
    return result


def warped(clip: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Map the picture: the pixel at `(x, y)` from the middle is read at `matrix @ (x, y)`.

    Pixels are interpolated bilinearly, at positions that are rounded to 1/16 of a pixel: the four
    weights are then multiples of 1/256, and every processor gives the same bits.
    """
    _, height, width, _ = clip.shape
    num_pixels = height * width
    taps = _taps(height, width, matrix)
    result = np.empty_like(clip)
    # A single frame fits in the processor's cache, and NumPy gathers pixels of four bytes many
    # times faster than those of three.
    padded = np.zeros((num_pixels + 1, 4), "uint8")
    padded[-1, :3] = FILL
    gathered = np.empty(num_pixels, "uint32")
    total, part = np.empty((2, num_pixels * 4), "uint16")
    for frame, target in zip(clip, result, strict=True):
        for channel in range(3):
            padded[:-1, channel] = frame[..., channel].reshape(-1)
        for number, (places, weights) in enumerate(taps):
            np.take(padded.view("uint32")[:, 0], places, out=gathered, mode="clip")
            product = part if number else total
            np.multiply(gathered.view("uint8"), weights, out=product, dtype="uint16")
            if number:
                np.add(total, part, out=total)
        np.add(total, 128, out=total)
        np.right_shift(total, 8, out=total)
        for channel in range(3):
            target[..., channel] = total[channel::4].reshape(height, width)
    return result


def _taps(height, width, matrix):
    """Return [(places in the flat picture, weights of the four bytes times 256)] where not 0."""
    (xx, xy), (yx, yy) = matrix
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x, y = np.arange(width) - middle_x, (np.arange(height) - middle_y)[:, None]
    columns = _sixteenths(xx * x + xy * y + middle_x, width)
    rows = _sixteenths(yx * x + yy * y + middle_y, height)
    taps = []
    for down in (0, 1):
        for right in (0, 1):
            weights = _weights(rows & 15, down) * _weights(columns & 15, right)
            if weights.any():
                row, column = (rows >> 4) + down, (columns >> 4) + right
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                places = np.where(inside, row * width + column, height * width)
                taps.append((places.reshape(-1), np.repeat(weights.astype("uint16").ravel(), 4)))
    return taps


def _sixteenths(places, side):
    # Clipped, as integers overflow; positions far outside are outside all the same.
    return np.floor(np.clip(places, -2, side + 1) * 16 + 0.5).astype("int64")


def _weights(fraction, second):
    return fraction if second else 16 - fraction


def _overlap(side, shift):
    start, stop = max(-shift, 0), min(side - shift, side)
    return slice(start, stop), slice(start + shift, stop + shift)
