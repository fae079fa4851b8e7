"""Erases parts of a clip: a rectangle of all frames, whole frames, or cells of single frames."""

import dataclasses

import numpy as np

from keras_mlp3d._utils.checks import check_boolean, check_choice, check_integer, check_number
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, random_box
from keras_mlp3d.data.augment._config import Configured, checked_range, checked_ratio
from keras_mlp3d.data.augment._warp import FILL

FILLS = ("noise", "mean")
FRAME_FILLS = ("black", "mean")


@dataclasses.dataclass(frozen=True)
class RandomErasing(Configured):
    """Erases a rectangle of random area, shape and place, the same in all frames.

    If ten random rectangles in a row do not fit in the picture, nothing is erased.

    Source: section 3.4 (random erasing); the probability after its references. Zhong et al.,
    "Random Erasing Data Augmentation", AAAI 2020.

    Args:
        probability: Probability that a clip loses a rectangle.
        scale: Smallest and largest area of the rectangle, as a fraction of the picture's.
        ratio: Smallest and largest ratio of width to height.
        fill: `"noise"`: a random color per pixel, the same in all frames. `"mean"`: the mean color
            of ImageNet.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> erase = RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0), fill="mean")
    >>> erased = erase(np.zeros((4, 32, 32, 3), "uint8"), np.random.default_rng(0))
    >>> [int((frame[..., 0] == 124).sum()) for frame in erased]
    [256, 256, 256, 256]
    """

    probability: float = 0.25
    scale: tuple[float, float] = (0.02, 1 / 3)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: str = "noise"

    def __post_init__(self):
        check_choice("fill", self.fill, FILLS)
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            scale=checked_range("scale", self.scale, above=0, maximum=1),
            ratio=checked_ratio("ratio", self.ratio),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip, with or without a rectangle erased, as the generator `rng` decides."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        box = random_box(clip.shape[1:3], self.scale, self.ratio, rng)
        if box is None:
            return clip
        top, left, height, width = box
        color = np.array(FILL, "uint8")
        if self.fill == "noise":
            color = rng.integers(0, 256, (height, width, 3), dtype="uint8")
        erased = np.array(clip)
        erased[:, top : top + height, left : left + width] = color
        return erased


@dataclasses.dataclass(frozen=True)
class FrameErasing(Configured):
    """Erases a random share of a clip's frames.

    Black frames in random places are for recordings of a sensor that often sees nothing, such as
    a radar: where some persons are in every frame and others in every third, a network should have
    met both. A stretch of frames that show the clip's mean hides one part of a movement, such as a
    sound on the lips, so that the network learns the other parts too.

    Source: ours; a stretch that shows the mean is the time masking of Ma et al., "Training
    Strategies for Improved Lip-reading", ICASSP 2022.

    Args:
        probability: Probability that a clip loses frames.
        share: Smallest and largest share of the frames to be erased; each clip draws its own. Of
            frames in random places it is the probability of each.
        fill: `"black"`, or `"mean"`: the mean of the clip's frames.
        stretch: Whether the erased frames follow each other.

    Input shape: uint8 `(T, H, W, 3)`.

    Output shape: The same.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> erase = FrameErasing(1.0, share=(0.5, 0.5))
    >>> erased = erase(np.ones((6, 32, 32, 3), "uint8"), np.random.default_rng(0))
    >>> [int(frame.max()) for frame in erased]
    [0, 0, 0, 1, 1, 1]
    >>> erase = FrameErasing(1.0, share=(0.5, 0.5), fill="mean", stretch=True)
    >>> clip = np.arange(6, dtype="uint8")[:, None, None, None].repeat(3, axis=-1)
    >>> erase(clip, np.random.default_rng(0))[:, 0, 0, 0].tolist()
    [0, 3, 3, 3, 4, 5]
    """

    probability: float = 0.5
    share: tuple[float, float] = (0.0, 0.75)
    fill: str = "black"
    stretch: bool = False

    def __post_init__(self):
        check_choice("fill", self.fill, FRAME_FILLS)
        check_boolean("stretch", self.stretch)
        self._set(
            probability=float(check_number("probability", self.probability, 0, 1)),
            share=checked_range("share", self.share, minimum=0, maximum=1),
        )

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip, with or without frames erased, as the generator `rng` decides."""
        checked_clip(clip)
        if checked_rng(rng).random() >= self.probability:
            return clip
        erased = self._erased(len(clip), rng)
        if not erased.any():
            return clip
        fill: np.ndarray | np.uint8 = np.uint8(0)
        if self.fill == "mean":
            double = 2 * len(clip)
            fill = ((2 * clip.sum(axis=0, dtype="int64") + len(clip)) // double).astype("uint8")
        return np.where(erased[:, None, None, None], fill, clip)

    def _erased(self, frames, rng):
        """Return a bool for each frame."""
        if not self.stretch:
            return rng.random(frames) < rng.uniform(*self.share)
        length = round(frames * rng.uniform(*self.share))
        start = rng.integers(frames - length + 1)
        places = np.arange(frames)
        return (places >= start) & (places < start + length)


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
        """Return the clip, with or without cells erased, as the generator `rng` decides."""
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
