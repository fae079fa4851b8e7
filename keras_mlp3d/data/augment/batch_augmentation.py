"""Several augmented copies of each clip in a batch."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.data.augment._arrays import checked_clip, checked_rng, joined_labels
from keras_mlp3d.data.augment._config import Configured


@dataclasses.dataclass(frozen=True)
class BatchAugmentation(Configured):
    """Makes several independent augmentations of a clip for the same batch.

    A batch of B clips becomes a batch of B * copies, the copies of a clip next to each other. Each
    clip is decoded once.

    Source: section 4.2, reference 16, Hoffer et al., "Augment Your Batch", CVPR 2020.

    Args:
        copies: Number of copies per clip, M. 1 means no batch augmentation.

    Input shape: uint8 `(T, H, W, 3)` and a class index.

    Output shape: uint8 `(copies, T, H, W, 3)` and int32 `(copies,)`, or, of labels that are floats
        `(num_classes,)`, float32 `(copies, num_classes)`.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> from keras_mlp3d.data.augment.horizontal_flip import HorizontalFlip
    >>> flip = HorizontalFlip(0.5, label_map=[[3, 4]])
    >>> clip = np.arange(12, dtype="uint8").reshape(1, 1, 4, 3)
    >>> copies = BatchAugmentation(4)
    >>> clips, labels = copies(clip, 3, np.random.default_rng(0), flip)
    >>> clips[:, 0, 0, 0, 0].tolist(), labels.tolist()
    ([0, 9, 9, 9], [3, 4, 4, 4])
    """

    copies: int = 2

    def __post_init__(self):
        self._set(copies=check_integer("copies", self.copies, 1, 64))

    def __call__(
        self,
        clip: np.ndarray,
        label: Any,
        rng: np.random.Generator,
        augment: Callable[[np.ndarray, Any, np.random.Generator], tuple[np.ndarray, Any]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the augmented copies of a clip, and their labels.

        Args:
            clip: uint8 `(T, H, W, 3)`.
            label: Its class index, or floats `(num_classes,)`.
            rng: `numpy.random.Generator` that the copies use in turn.
            augment: Function of `(clip, label, rng)` that returns a clip and its label.
        """
        checked_clip(clip)
        checked_rng(rng)
        pairs = [augment(clip, label, rng) for _ in range(self.copies)]
        clips, labels = zip(*pairs, strict=True)
        return np.stack(clips), joined_labels(labels)
