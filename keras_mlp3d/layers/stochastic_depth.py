"""Stochastic depth (drop path), per sample and scaled, and the one rule for its rates."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d._utils.types import Shape, Tensor


def stochastic_depth_rates(depths: Sequence[int], max_rate: float) -> tuple[tuple[float, ...], ...]:
    """Return the drop path rate of every block, stage by stage.

    The rate rises linearly from 0 at the first block to `max_rate` at the last.

    Args:
        depths: Number of blocks of each stage.
        max_rate: Rate of the last block, in [0, 1).

    Returns:
        Tuple with one tuple of rates per stage.

    Raises:
        ValueError: If `max_rate` is outside [0, 1).

    Source:
        Section 3.4; docs/reading.md (drop path).

    Example:

    >>> stochastic_depth_rates((1, 2), 0.2)
    ((0.0,), (0.1, 0.2))
    """
    check_number("max_rate", max_rate, minimum=0, below=1)
    rates = np.linspace(0, max_rate, sum(depths)).tolist() if sum(depths) > 1 else [0.0]
    ends = np.cumsum(depths).tolist()
    return tuple(tuple(rates[end - depth : end]) for depth, end in zip(depths, ends, strict=True))


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class StochasticDepth(keras.layers.Layer):
    """Drops the whole residual branch of a sample, and scales the kept ones by 1 / (1 - rate).

    Args:
        rate: Probability that a sample's branch is dropped in training, in [0, 1).
        seed: None, or an integer for repeatable samples.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor (B, ...).
        training: Whether to drop; otherwise the input is returned unchanged.

    Input shape:
        (B, ...)

    Output shape:
        That of the input.

    Raises:
        ValueError: If the rate is outside [0, 1).

    Source:
        Section 3.4, reference [20].

    Example:

    >>> x = np.ones((4, 2, 3), "float32")
    >>> y = np.array(StochasticDepth(0.5, seed=1)(x, training=True))
    >>> sorted(set(y.ravel().tolist())) in ([0.0], [2.0], [0.0, 2.0])
    True
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = float(check_number("rate", rate, minimum=0, below=1))
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        uniform = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        scale = ops.where(uniform >= self.rate, 1 / (1 - self.rate), 0.0)
        return inputs * ops.cast(scale, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
