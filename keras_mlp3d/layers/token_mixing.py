"""Token mixing: the weighted summation of mixing along width, height and time.

Source: section 3.2, Eq. (2).
"""

import keras
from keras import ops

from keras_mlp3d.layers._checks import check_positive_integer, check_tokens
from keras_mlp3d.layers._dense import Dense
from keras_mlp3d.layers._sublayer import call_sublayer
from keras_mlp3d.layers.chosen_time_mixing import ChosenTimeMixing
from keras_mlp3d.layers.cycle_fc import CycleFC
from keras_mlp3d.layers.grouped_time_mixing import GroupedTimeMixing


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class TokenMixing(keras.layers.Layer):
    """Mixes tokens along width and height (Cycle FC) and time (GTM), and sums the three by weight.

    The weights are split attention: softmax over the three branches of an MLP (C -> C / 4 -> 3 C)
    of the mean over all tokens of their sum; each scales its branch channel by channel. A linear
    layer follows. (The paper cites reference [17] for the weighted summation; that this is meant,
    and the order width, height, time in the 3 C vector, is our reading.)

    Args:
        kind: Kind of time mixing; see `GroupedTimeMixing`.
        group_size: Group size S of the time mixing; None for "full" alone.
        share_weights: Whether the time mixing shares its weights by time interval.
        max_group_size: None, or the largest group size that the shared kernel serves.
        cycle_kernel_size: Kernel size of the two Cycle FCs.
        reduction: The weights' MLP has C // reduction hidden channels, at least one.
        time_bias: Whether the time mixing has a bias.
        candidates: None, or pairs (kind, group size) that the time mixing can be switched to; see
            `ChosenTimeMixing`.
        random_mixing: Probability that a training step draws another candidate.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tokens.
        candidate: None, or the index of the candidate to use, an int32 tensor; see
            `ChosenTimeMixing`.

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or the group size does not fit T'.

    Source:
        Section 3.2, Eq. (2).

    Example:

    >>> layer = TokenMixing("long_range", 2)
    >>> layer(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """

    def __init__(
        self,
        kind,
        group_size=None,
        share_weights=True,
        max_group_size=None,
        cycle_kernel_size=3,
        reduction=4,
        time_bias=True,
        candidates=None,
        random_mixing=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind = kind
        self.group_size = group_size
        self.share_weights = share_weights
        self.max_group_size = max_group_size
        self.cycle_kernel_size = check_positive_integer("cycle_kernel_size", cycle_kernel_size)
        self.reduction = check_positive_integer("reduction", reduction)
        self.time_bias = time_bias
        self.candidates = candidates
        self.random_mixing = random_mixing
        options = {"use_bias": time_bias, "dtype": self.dtype_policy, "name": "mix_time"}
        if candidates is None:
            self.mix_time = GroupedTimeMixing(
                kind,
                group_size,
                share_weights=share_weights,
                max_group_size=max_group_size,
                **options,
            )
        else:
            self.mix_time = ChosenTimeMixing(kind, group_size, candidates, random_mixing, **options)

    def build(self, input_shape):
        check_tokens(self, input_shape)
        channels = input_shape[-1]
        options = {"kernel_size": self.cycle_kernel_size, "dtype": self.dtype_policy}
        self.mix_width = CycleFC(channels, axis="width", name="mix_width", **options)
        self.mix_height = CycleFC(channels, axis="height", name="mix_height", **options)
        for branch in (self.mix_width, self.mix_height, self.mix_time):
            branch.build(input_shape)
        hidden = max(1, channels // self.reduction)
        self.squeeze = Dense(
            hidden,
            activation="gelu",
            dtype=self.dtype_policy,
            name="squeeze",
        )
        self.squeeze.build((input_shape[0], channels))
        self.excite = Dense(
            3 * channels,
            dtype=self.dtype_policy,
            name="excite",
        )
        self.excite.build((input_shape[0], hidden))
        self.projection = Dense(
            channels,
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(input_shape)

    def branch_weights(self, mean):
        """Returns the weight of each branch and channel.

        Args:
            mean: Mean over all tokens of the sum of the three branches, (B, C).

        Returns:
            Three tensors (B, 1, 1, 1, C); the softmax is taken in float32.
        """
        logits = call_sublayer(self.excite, call_sublayer(self.squeeze, mean))
        logits = ops.transpose(ops.reshape(logits, (-1, mean.shape[-1], 3)), (0, 2, 1))
        weights = ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=1), self.compute_dtype)
        weights = ops.reshape(weights, (-1, 3, 1, 1, 1, mean.shape[-1]))
        return weights[:, 0], weights[:, 1], weights[:, 2]

    def call(self, inputs, candidate=None):
        width, height = (
            call_sublayer(layer, inputs) for layer in (self.mix_width, self.mix_height)
        )
        if self.candidates is None:
            time = call_sublayer(self.mix_time, inputs)
        else:
            time = self.mix_time(inputs, candidate)
        # The mean of the sum, without making the sum.
        mean = sum(ops.mean(branch, axis=(1, 2, 3)) for branch in (width, height, time))
        of_width, of_height, of_time = self.branch_weights(mean)
        mixed = width * of_width + height * of_height + time * of_time
        return call_sublayer(self.projection, mixed)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "group_size": self.group_size,
            "share_weights": self.share_weights,
            "max_group_size": self.max_group_size,
            "cycle_kernel_size": self.cycle_kernel_size,
            "reduction": self.reduction,
            "time_bias": self.time_bias,
            "candidates": self.candidates and [list(pair) for pair in self.candidates],
            "random_mixing": self.random_mixing,
        }
