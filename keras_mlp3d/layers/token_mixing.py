"""Token mixing: the weighted summation of mixing along width, height and time.

Source: section 3.2, Eq. (2).
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers.composite import CompositeLayer, call_sublayer, check_tokens
from keras_mlp3d.layers.cycle_fc import CycleFC
from keras_mlp3d.layers.linear import Dense
from keras_mlp3d.layers.time_mixing import GroupedTimeMixing

#: What a block takes as time mixing: a layer, or its configuration.
TimeMixing: TypeAlias = "keras.layers.Layer | Mapping[str, Any]"


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class TokenMixing(CompositeLayer):
    """Mixes tokens along width and height (Cycle FC) and time, and sums the three by weight.

    The weights are split attention: softmax over the three branches of an MLP (C -> C / 4 -> 3 C)
    of the mean over all tokens of their sum. Each weight scales one channel of one branch. A
    linear layer follows.

    Args:
        time_mixing: Layer that mixes tokens in time, such as `GroupedTimeMixing("short_range",
            4)`; or its configuration: what `keras.saving.serialize_keras_object` makes of a
            layer, or a dictionary of the arguments of `GroupedTimeMixing`.
        cycle_kernel_size: Kernel size of the two Cycle FCs.
        reduction: The MLP of the weights has C // reduction hidden channels, at least one.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        mix_width, mix_height: The two `CycleFC`.
        mix_time: The time mixing.

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or the group size does not fit T'.

    Source:
        Section 3.2, Eq. (2); docs/reading.md (weighted summation).

    Example:

    >>> layer = TokenMixing({"kind": "long_range", "group_size": 2})
    >>> layer(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """

    def __init__(
        self,
        time_mixing: TimeMixing,
        cycle_kernel_size: int = 3,
        reduction: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mix_time = _get_time_mixing(time_mixing, name="mix_time", dtype=self.dtype_policy)
        self.cycle_kernel_size = check_integer("cycle_kernel_size", cycle_kernel_size)
        self.reduction = check_integer("reduction", reduction)

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape)
        channels = input_shape[-1]
        hidden = max(1, channels // self.reduction)
        options = {"dtype": self.dtype_policy}
        cycle = {"kernel_size": self.cycle_kernel_size, **options}
        self.mix_width = CycleFC(channels, axis="width", name="mix_width", **cycle)
        self.mix_height = CycleFC(channels, axis="height", name="mix_height", **cycle)
        self.squeeze = Dense(hidden, activation="gelu", name="squeeze", **options)
        self.excite = Dense(3 * channels, name="excite", **options)
        self.projection = Dense(channels, name="projection", **options)
        for branch in (self.mix_width, self.mix_height, self.mix_time):
            branch.build(input_shape)
        self.squeeze.build((input_shape[0], channels))
        self.excite.build((input_shape[0], hidden))
        self.projection.build(input_shape)
        self.settle_parts()

    def call(self, inputs: Tensor) -> Tensor:
        width = call_sublayer(self.mix_width, inputs)
        height = call_sublayer(self.mix_height, inputs)
        time = call_sublayer(self.mix_time, inputs)
        # The mean of the sum, without making the sum.
        mean = sum(ops.mean(branch, axis=(1, 2, 3)) for branch in (width, height, time))
        of_width, of_height, of_time = self.branch_weights(mean)
        mixed = width * of_width + height * of_height + time * of_time
        return call_sublayer(self.projection, mixed)

    def branch_weights(self, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weight of each branch and channel.

        Args:
            mean: Mean over all tokens of the sum of the three branches, (B, C).

        Returns:
            Three tensors (B, 1, 1, 1, C); the softmax is computed in float32.
        """
        logits = call_sublayer(self.excite, call_sublayer(self.squeeze, mean))
        logits = ops.transpose(ops.reshape(logits, (-1, mean.shape[-1], 3)), (0, 2, 1))
        weights = ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=1), self.compute_dtype)
        weights = ops.reshape(weights, (-1, 3, 1, 1, 1, mean.shape[-1]))
        return weights[:, 0], weights[:, 1], weights[:, 2]

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def time_mixing_config(self) -> dict[str, Any]:
        """Return the configuration of the time mixing, the same before and after `build`."""
        config = keras.saving.serialize_keras_object(self.mix_time)
        config.pop("build_config", None)
        return config

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "time_mixing": self.time_mixing_config(),
            "cycle_kernel_size": self.cycle_kernel_size,
            "reduction": self.reduction,
        }


def _get_time_mixing(time_mixing: TimeMixing, **defaults: Any) -> keras.layers.Layer:
    """Return the layer that `time_mixing` is or describes."""
    if isinstance(time_mixing, Mapping):
        if "class_name" in time_mixing:
            time_mixing = keras.saving.deserialize_keras_object(dict(time_mixing))
        else:
            time_mixing = GroupedTimeMixing(**{**defaults, **time_mixing})
    if not isinstance(time_mixing, keras.layers.Layer):
        raise ValueError(
            "time_mixing must be a layer such as GroupedTimeMixing('short_range', 4), or its "
            f"configuration, got {time_mixing!r}."
        )
    return time_mixing
