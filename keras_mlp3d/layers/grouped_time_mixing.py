"""Grouped time mixing (GTM): linear maps over groups of tokens at different times.

Source: section 3.3, Eqs. (3) to (5), Algorithm 1.
"""

import keras
import numpy as np
from keras import ops

from keras_mlp3d.layers._checks import check_positive_integer, check_tokens
from keras_mlp3d.layers.glorot_uniform import GlorotUniform
from keras_mlp3d.ops import (
    check_group_size,
    group_time,
    linear,
    mix_groups,
    shift_mix,
    ungroup_time,
)


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class GroupedTimeMixing(keras.layers.Layer):
    """Mixes tokens in time, within groups of S tokens, channels included.

    The kinds differ in which tokens form a group:

    - "short_range": S consecutive tokens.
    - "long_range": S tokens that lie T'/S apart.
    - "shift_window": short-range on tokens rolled by S // 2 in time, and rolled back. (Algorithm 1
      rolls back by `-S//2`, which in Python is one step too many for an odd S.)
    - "shift_token": every token with the S - 1 before it, circularly.
    - "full": all tokens, Eq. (3); the clip length is then fixed when the layer is built.

    With `share_weights` (Eq. (5)) one matrix w_Δ serves every pair of tokens Δ places apart, Δ
    being the place of the output token minus that of the input token; shift-token sends token
    t - i through w_i.

    The bias starts at zero and has C values with shared weights (as CycleMLP's channel mixing has
    none, the reading of Algorithm 1 is ours).

    Args:
        kind: One of the five kinds above.
        group_size: Group size S; 1 mixes no time. None for "full" alone.
        share_weights: Whether to share weights by time interval.
        max_group_size: None, or M >= S: the kernel then holds w_Δ for all |Δ| < M and serves every
            kind and size up to M. Needs `share_weights`.
        use_bias: Whether to add a bias.
        kernel_initializer: Initialiser of the kernel; None for `GlorotUniform`.
        bias_initializer: Initialiser of the bias.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        kernel: Shared: (2 S - 1, C, C), w_Δ at index Δ + S - 1; (S, C, C) for shift-token, w_i at
            index i; (2 M - 1, C, C), w_Δ at index Δ + M - 1, with `max_group_size` M. Unshared:
            (S C, S C), or (S C, C) for shift-token. Inputs are row vectors: y = x · W.
        bias: (C,), or (S C,) for unshared weights of grouped kinds; None without bias.

    Input shape:
        (B, T', H', W', C); T' divisible by S, for all kinds but shift-token.

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or S does not fit T'; the message lists sizes that do.

    Source:
        Section 3.3, Eqs. (3), (4), (5), Algorithm 1.

    Example:

    >>> layer = GroupedTimeMixing("short_range", 4)
    >>> layer(np.ones((1, 8, 2, 2, 3), "float32")).shape == (1, 8, 2, 2, 3)
    True
    >>> tuple(layer.kernel.shape)
    (7, 3, 3)
    """

    def __init__(
        self,
        kind,
        group_size=None,
        share_weights=True,
        max_group_size=None,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_group_size(kind, group_size)
        if max_group_size is not None:
            check_positive_integer("max_group_size", max_group_size)
            if not share_weights:
                raise ValueError(
                    "max_group_size needs share_weights=True: unshared weights of one size cannot "
                    f"serve another; got max_group_size={max_group_size}, share_weights=False."
                )
            if group_size is not None and group_size > max_group_size:
                raise ValueError(
                    f"group_size={group_size} is larger than max_group_size={max_group_size}."
                )
        self.kind = kind
        self.group_size = group_size
        self.share_weights = share_weights
        self.max_group_size = max_group_size
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer or GlorotUniform())
        self.bias_initializer = keras.initializers.get(bias_initializer)

    @property
    def chosen(self):
        """What is computed, as (kind, group size)."""
        return self.kind, self.group_size

    def build(self, input_shape):
        check_tokens(self, input_shape)
        time, channels = input_shape[1], input_shape[-1]
        check_group_size(self.kind, self.group_size, time)
        self._size = self._group_size_for(time)
        size = self._size
        shift = self.kind == "shift_token"
        if self.max_group_size is not None:
            if size > self.max_group_size:
                raise ValueError(
                    f"kind='full' on {size} tokens in time needs max_group_size of at least "
                    f"{size}, got {self.max_group_size}."
                )
            shape = (2 * self.max_group_size - 1, channels, channels)
        elif self.share_weights:
            shape = (size if shift else 2 * size - 1, channels, channels)
        else:
            shape = (size * channels, channels if shift else size * channels)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.bias = None
        if self.use_bias:
            grouped = not (self.share_weights or shift)
            self.bias = self.add_weight(
                name="bias",
                shape=(size * channels if grouped else channels,),
                initializer=self.bias_initializer,
            )

    def _group_size_for(self, time):
        if self.kind != "full":
            return self.group_size
        if time is None:
            raise ValueError(
                "kind='full' needs a fixed number of tokens in time, got None: give the model an "
                "input_shape with a fixed clip length."
            )
        return time

    @property
    def _center(self):
        """Index of w_0 in the shared kernel."""
        if self.max_group_size is not None:
            return self.max_group_size - 1
        return 0 if self.kind == "shift_token" else self._size - 1

    def intervals(self):
        """Returns the shared weights by time interval.

        Returns:
            NumPy array (n, C, C) and the interval Δ of its first entry; the others follow in
            steps of one. None for unshared weights, which have none.
        """
        if not self.share_weights:
            return None
        return ops.convert_to_numpy(self.kernel), self._interval_range()[0]

    def set_intervals(self, matrices, first=0):
        """Sets w_Δ for the given time intervals, and to zero for all others.

        With unshared weights, every block between places Δ apart becomes w_Δ.

        Args:
            matrices: Array (n, C, C): w_Δ for Δ = first, ..., first + n - 1.
            first: Interval Δ of the first matrix.

        Raises:
            ValueError: If the matrices are not C x C.
        """
        size = self._size
        channels = self.kernel.shape[-1] // (
            1 if self.share_weights or self.kind == "shift_token" else size
        )
        matrices = np.asarray(matrices)
        if matrices.ndim != 3 or matrices.shape[1:] != (channels, channels):
            raise ValueError(
                f"{self.name}: expected matrices of shape (n, {channels}, {channels}), got "
                f"{matrices.shape}."
            )
        known = {first + i: matrix for i, matrix in enumerate(matrices)}
        zero = np.zeros((channels, channels), matrices.dtype)
        if self.share_weights:
            own_first = self.intervals()[1]
            deltas = np.arange(own_first, own_first + self.kernel.shape[0])
            self.kernel.assign(np.stack([known.get(int(d), zero) for d in deltas]))
            return
        columns = 1 if self.kind == "shift_token" else size
        rows = [
            [known.get(i if columns == 1 else j - i, zero) for j in range(columns)]
            for i in range(size)
        ]
        self.kernel.assign(np.block(rows))

    def take_intervals(self, other):
        """Takes over the kernel of another time mixing, by time interval where the shapes differ.

        Args:
            other: `GroupedTimeMixing` of the same number of channels.

        Returns:
            Whether every weight of this layer had a counterpart in the other.
        """
        same_form = (self.kind == other.kind or self.max_group_size is not None) and (
            self.share_weights == other.share_weights
            and self.max_group_size == other.max_group_size
        )
        if same_form and tuple(self.kernel.shape) == tuple(other.kernel.shape):
            self.kernel.assign(ops.convert_to_numpy(other.kernel))  # a copy: JAX may delete theirs
            return True
        held = other.intervals()
        if held is None:
            return False
        matrices, first = held
        self.set_intervals(matrices, first)
        own_first, own_last = self._interval_range()
        return first <= own_first and own_last < first + len(matrices)

    def _interval_range(self):
        if self.max_group_size is not None:
            return 1 - self.max_group_size, self.max_group_size - 1
        return (0 if self.kind == "shift_token" else 1 - self._size), self._size - 1

    def call(self, inputs):
        time = inputs.shape[1]
        if time is not None:
            check_group_size(self.kind, self.group_size, time)
            if self.kind == "full" and time != self._size:
                raise ValueError(
                    f"kind='full' was built for {self._size} tokens in time, got {time}."
                )
        kind = "short_range" if self.kind == "full" else self.kind
        kernel = ops.convert_to_tensor(self.kernel)
        if self.share_weights:
            return mix_groups(
                inputs, kernel, self.bias, kind=kind, size=self._size, center=self._center
            )
        if kind == "shift_token":
            kernel = ops.reshape(kernel, (self._size, -1, kernel.shape[-1]))
            return shift_mix(inputs, kernel, self.bias)
        outputs = linear(group_time(inputs, kind, self._size), kernel, self.bias)
        return ungroup_time(outputs, kind, self._size)

    def compute_output_shape(self, input_shape):
        check_group_size(self.kind, self.group_size, input_shape[1])
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "group_size": self.group_size,
            "share_weights": self.share_weights,
            "max_group_size": self.max_group_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
