"""Frames as videos have them: smooth pictures that move, under a little noise."""

import numpy as np


def video_like(shape, seed=1):
    """uint8 frames (*shape, 3) for a shape (frames, height, width)."""
    rng = np.random.default_rng(seed)
    t, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    pictures = []
    for _ in range(3):
        a, b, c, phase = rng.uniform(0.5, 1.5, 4)
        waves = np.sin(a * y / 5 + b * x / 6 + c * t / 2 + phase)
        pictures.append(128 + 90 * waves + rng.normal(0, 3, shape))
    return np.stack(pictures, axis=-1).clip(0, 255).astype("uint8")
