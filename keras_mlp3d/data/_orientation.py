"""How a decoded picture must be turned or mirrored to stand upright."""

import numpy as np


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
