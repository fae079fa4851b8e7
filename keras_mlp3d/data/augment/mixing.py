"""Mixes the clips of a batch and their labels: blends them, or pastes a rectangle."""

import dataclasses
import math

import numpy as np

from keras_mlp3d.data.augment._arrays import checked_batch, checked_rng
from keras_mlp3d.data.augment._config import ConfiguredMix

_CACHED_VALUES = 2**17


@dataclasses.dataclass(frozen=True)
class MixUp(ConfiguredMix):
    """Replaces each clip by w times itself plus 1 - w times another clip, and its label likewise.

    w is sampled from Beta(alpha, alpha) per clip and rounded to multiples of 1/256, so that the
    blend is integer arithmetic, rounded to uint8, and clips and labels have the same weights. The
    partners of the clips come from a permutation of the batch; a clip that is its own partner does
    not change.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Eq. (1).

    Args:
        alpha: Parameter of the distribution of w, above 0. With 1, w is uniform; with less, it is
            mostly near 0 or 1.
        probability: Probability that a clip is changed.

    Input shape: uint8 `(B, T, H, W, 3)` and floats `(B, num_classes)`.

    Output shape: The same, labels in float32.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> clips = np.zeros((2, 1, 8, 8, 3), "uint8")
    >>> clips[1] = 200
    >>> mixed, labels = MixUp(1.0)(clips, np.eye(2), np.random.default_rng(1))
    >>> np.allclose(mixed[:, 0, 0, 0, 0], labels[:, 1] * 200, atol=0.5)
    True
    """

    alpha: float = 0.8
    probability: float = 1.0

    def __call__(
        self, clips: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `(clips, labels)`, blended with random numbers from the generator `rng`."""
        clips, labels = checked_batch(clips, labels)
        partners, shares = self._draw(len(clips), checked_rng(rng))
        mixed = np.array(clips)
        for clip, partner, share, target in zip(clips, partners, shares, mixed, strict=True):
            if share < 256:
                _blend(clip, clips[partner], int(share), target)
        own = (shares / 256).astype("float32")[:, None]
        return mixed, own * labels + (1 - own) * labels[partners]

    def _draw(self, size, rng):
        """Return `(partners, shares)`: each clip's partner, and its own weight times 256."""
        partners = rng.permutation(size)
        shares = np.floor(rng.beta(self.alpha, self.alpha, size) * 256 + 0.5).astype("int64")
        spared = rng.random(size) >= self.probability
        return partners, np.where(spared | (partners == np.arange(size)), 256, shares)


def _blend(clip, partner, share, target):
    # As many frames at a time as stay in the processor's cache with their intermediate values.
    count = max(1, _CACHED_VALUES // clip[0].size)
    for start in range(0, len(clip), count):
        frames = slice(start, start + count)
        total = np.multiply(clip[frames], share, dtype="uint16")
        total += np.multiply(partner[frames], 256 - share, dtype="uint16")
        total += 128
        total >>= 8
        target[frames] = total


@dataclasses.dataclass(frozen=True)
class CutMix(ConfiguredMix):
    """Replaces a rectangle of each clip, in all frames, by that of another clip of the batch.

    The rectangle has the shape of the picture and the fraction 1 - w of its area, with w sampled
    from Beta(alpha, alpha) per clip. Its middle is anywhere in the picture, and the part outside
    the picture is cut off. Labels are weighted by the areas that remain. The partners of the clips
    come from a permutation of the batch; a clip that is its own partner does not change.

    Source: Yun et al., "CutMix", ICCV 2019, Eqs. (1) and (2).

    Args:
        alpha: Parameter of the distribution of w, above 0. With 1, w is uniform.
        probability: Probability that a clip is changed.

    Input shape: uint8 `(B, T, H, W, 3)` and floats `(B, num_classes)`.

    Output shape: The same, labels in float32.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import numpy as np
    >>> clips = np.zeros((2, 1, 8, 8, 3), "uint8")
    >>> clips[1] = 1
    >>> mixed, labels = CutMix(1.0)(clips, np.eye(2), np.random.default_rng(2))
    >>> np.allclose(mixed.mean(axis=(1, 2, 3, 4)), labels[:, 1])
    True
    """

    alpha: float = 1.0
    probability: float = 1.0

    def __call__(
        self, clips: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `(clips, labels)`, mixed with random numbers from the generator `rng`."""
        clips, labels = checked_batch(clips, labels)
        size = clips.shape[2:4]
        partners, boxes = self._draw(len(clips), size, checked_rng(rng))
        mixed, other = np.array(clips), np.zeros((len(clips), 1), "float32")
        for number, (partner, box) in enumerate(zip(partners, boxes, strict=True)):
            if box is not None and partner != number:
                rows, columns = (slice(*ends) for ends in box)
                mixed[number, :, rows, columns] = clips[partner, :, rows, columns]
                area = (rows.stop - rows.start) * (columns.stop - columns.start)
                other[number] = area / (size[0] * size[1])
        return mixed, (1 - other) * labels + other * labels[partners]

    def _draw(self, num_clips, size, rng):
        """Return each clip's partner and box ((top, bottom), (left, right)), or None."""
        partners, boxes = rng.permutation(num_clips), []
        for _ in range(num_clips):
            side = math.sqrt(1 - rng.beta(self.alpha, self.alpha))
            middles = rng.integers(size)
            box = tuple(
                _cut(int(middle), round(side * length), length)
                for middle, length in zip(middles, size, strict=True)
            )
            boxes.append(box if rng.random() < self.probability else None)
        return partners, boxes


def _cut(middle, length, limit):
    start = middle - length // 2
    return max(start, 0), min(start + length, limit)
