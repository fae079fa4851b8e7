"""Blends the clips of a batch, and their labels alike."""

import dataclasses

import numpy as np

from keras_mlp3d.data.augment._arrays import checked_batch, checked_rng
from keras_mlp3d.data.augment._config import ConfiguredMix


@dataclasses.dataclass(frozen=True)
class MixUp(ConfiguredMix):
    """Each clip becomes w times itself plus 1 - w times another of the batch, its label likewise.

    w is drawn for each clip from Beta(alpha, alpha) and rounded to 256ths, so that the blend is
    whole arithmetic, rounded to uint8, and the labels' weights are exactly the clips'. Partners
    come from one permutation of the batch; a clip may meet itself and then stays as it is.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Eq. (1).

    Args:
        alpha: Above 0; 1 draws w evenly, less draws it near 0 or 1.
        probability: With which a clip is blended at all.

    Input shape: uint8 `(B, T, H, W, 3)` and floats `(B, num_classes)`.

    Output shape: The same, labels in float32.

    Raises:
        ValueError: An argument is not as above.

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

    def __call__(self, clips, labels, rng):
        """`(clips, labels)` blended by draws from the generator `rng`."""
        clips, labels = checked_batch(clips, labels)
        partners, shares = self._draw(len(clips), checked_rng(rng))
        mixed = np.array(clips)
        for clip, partner, share, target in zip(clips, partners, shares, mixed, strict=True):
            if share < 256:
                _blend(clip, clips[partner], int(share), target)
        own = (shares / 256).astype("float32")[:, None]
        return mixed, own * labels + (1 - own) * labels[partners]

    def _draw(self, size, rng):
        """`(partners, shares)`: each clip's partner, and its own share in 256ths."""
        partners = rng.permutation(size)
        shares = np.floor(rng.beta(self.alpha, self.alpha, size) * 256 + 0.5).astype("int64")
        spared = rng.random(size) >= self.probability
        return partners, np.where(spared | (partners == np.arange(size)), 256, shares)


def _blend(clip, partner, share, target):
    # Frame by frame: what is in between then stays in the processor's cache.
    for own, other, result in zip(clip, partner, target, strict=True):
        total = np.multiply(own, share, dtype="uint16")
        total += np.multiply(other, 256 - share, dtype="uint16")
        total += 128
        result[:] = total >> 8
