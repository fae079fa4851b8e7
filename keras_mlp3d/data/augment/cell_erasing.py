"""Erases cells of single frames, as a sensor loses echoes."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng
from keras_mlp3d.data.augment._config import Configured, checked_range


@dataclasses.dataclass(frozen=True)
class CellErasing(Configured):
    """Makes a random share of the square cells of a clip's frames black, each by a draw of its own.

    For recordings whose pictures are sparse, such as the echoes of a radar: where some persons
    send back many and others few, a network should have met both. `FrameErasing` erases whole
    frames, `RandomErasing` one rectangle of all frames.

    Source: ours.

    Args:
        probability: Probability that a clip loses cells.
        share: Smallest and largest probability of a cell to be erased; each clip draws its own.
        size: Side of a cell in pixels. Cells at the right and at the bottom may be cut off.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> erase = CellErasing(1.0, share=(0.5, 0.5), size=2)
    >>> erase(np.ones((1, 4, 8, 3), "uint8"), np.random.default_rng(0))[0, :, :, 0]
    array([[0, 0, 0, 0, 0, 0, 1, 1],
           [0, 0, 0, 0, 0, 0, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1]], dtype=uint8)
    """

    probability: float = 0.5
    share: tuple[float, float] = (0.0, 0.75)
    size: int = 8

    def __post_init__(self):
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            share=checked_range("share", self.share, minimum=0, maximum=1),
            size=check_integer("size", self.size),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the clip, with or without cells erased, as the generator `rng` decides."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        frames, height, width, _ = clip.shape
        cells = (frames, -(-height // self.size), -(-width // self.size))
        erased = rng.random(cells) < rng.uniform(*self.share)
        if not erased.any():
            return clip
        pixels = erased.repeat(self.size, axis=1).repeat(self.size, axis=2)[:, :height, :width]
        return np.where(pixels[..., None], np.uint8(0), clip)
