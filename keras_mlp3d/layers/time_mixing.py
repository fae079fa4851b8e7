"""Grouped time mixing (GTM): linear maps over groups of tokens at different times.

Top to bottom: the kinds of groups, how tokens are grouped and put back, the matrix of Eq. (5), and
the layer.

Source: section 3.3, Eqs. (3) to (5), Algorithm 1.
"""

from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_boolean, check_integer
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.adaptable import AdaptableLayer
from keras_mlp3d.layers.composite import check_tokens
from keras_mlp3d.layers.linear import GlorotUniform, linear, reshape, roll, take

#: Kinds that divide the T' tokens in time into T' / S groups of S.
GROUPED_KINDS = ("short_range", "long_range", "shift_window")
#: Every kind of time mixing: the three above, circularly shifted tokens, and Eq. (3).
KINDS = (*GROUPED_KINDS, "shift_token", "full")


def check_group_size(kind: str, group_size: int | None, time: int | None = None) -> None:
    """Raise ValueError for an unknown kind, or a group size that does not fit the tokens in time.

    Example:

    >>> check_group_size("long_range", 3, time=8)
    Traceback (most recent call last):
    ...
    ValueError: group_size=3 of kind 'long_range' does not divide 8 tokens in time; sizes that \
do: 1, 2, 4, 8.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind of time mixing {kind!r}; expected one of {list(KINDS)}.")
    if kind == "full":
        if group_size is not None:
            raise ValueError(
                f"kind='full' mixes all tokens: group_size must be None, got {group_size!r}."
            )
        return
    check_integer(f"group_size of kind {kind!r}", group_size)
    if kind in GROUPED_KINDS and time is not None and time % group_size:
        sizes = ", ".join(str(s) for s in range(1, time + 1) if time % s == 0)
        raise ValueError(
            f"group_size={group_size} of kind {kind!r} does not divide {time} tokens in time; "
            f"sizes that do: {sizes}."
        )


def group_time(x: Tensor, kind: str, group_size: int) -> Tensor:
    """Concatenate the tokens of each temporal group along the channels.

    Args:
        x: Tokens (B, T', H', W', C), T' divisible by S.
        kind: "short_range" (consecutive tokens), "long_range" (tokens T'/S apart) or
            "shift_window" (short-range on tokens rolled by S // 2 in time).
        group_size: Group size S.

    Returns:
        Tensor (B, T'/S, H', W', S C); the token's position in its group is the outer index of
        the last axis.

    Example:

    >>> x = np.arange(4.0).reshape(1, 4, 1, 1, 1)
    >>> np.array(group_time(x, "long_range", 2)).reshape(2, 2).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    batch, time, height, width, channels = ops.shape(x)
    groups = time // group_size
    if kind == "shift_window":
        x = roll(x, group_size // 2, axis=1)
    if kind == "long_range":
        x = ops.reshape(x, (batch, group_size, groups, height, width, channels))
        x = ops.transpose(x, (0, 2, 3, 4, 1, 5))
    else:
        x = ops.reshape(x, (batch, groups, group_size, height, width, channels))
        x = ops.transpose(x, (0, 1, 3, 4, 2, 5))
    return reshape(x, (batch, groups, height, width, group_size * channels))


def ungroup_time(x: Tensor, kind: str, group_size: int) -> Tensor:
    """Put grouped tokens back in their places: the inverse of `group_time`."""
    batch, groups, height, width, channels = ops.shape(x)
    channels = channels // group_size
    x = ops.reshape(x, (batch, groups, height, width, group_size, channels))
    x = ops.transpose(x, (0, 4, 1, 2, 3, 5) if kind == "long_range" else (0, 1, 4, 2, 3, 5))
    x = reshape(x, (batch, groups * group_size, height, width, channels))
    return roll(x, -(group_size // 2), axis=1) if kind == "shift_window" else x


def interval_matrix(kernel: Tensor, size: int, center: int) -> Tensor:
    """Build the matrix that maps a whole group from the matrices shared by time interval.

    Args:
        kernel: Tensor (n, C, filters): the matrix w_Δ at index Δ + center.
        size: Group size S.
        center: Index of w_0.

    Returns:
        Tensor (S C, S filters): w_Δ between an input and an output token Δ places later.

    Source:
        Section 3.3, Eq. (5).

    Example:

    >>> kernel = np.array([-1, 0, 1], "float32").reshape(3, 1, 1)
    >>> np.array(interval_matrix(kernel, 2, center=1)).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    place = ops.arange(size, dtype="int32")
    blocks = take(kernel, center + place[None, :] - place[:, None])
    matrix = ops.transpose(blocks, (0, 2, 1, 3))  # (S, C, S, filters)
    return ops.reshape(matrix, (size * kernel.shape[1], size * kernel.shape[2]))


def shift_mix(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map each token and the S - 1 before it, circularly, by a matrix each, and add the results.

    Args:
        x: Tokens (B, T', H', W', C).
        kernel: Tensor (S, C, filters): the matrix of the token i steps back at index i.
        bias: None or tensor (filters,).

    Source:
        Section 3.3, Algorithm 1 (shift-token).

    Example:

    >>> x = np.array([1, 10, 100], "float32").reshape(1, 3, 1, 1, 1)
    >>> kernel = np.array([1, 2], "float32").reshape(2, 1, 1)
    >>> np.array(shift_mix(x, kernel)).ravel().tolist()
    [201.0, 12.0, 120.0]
    """
    size, channels, filters = kernel.shape
    if keras.config.backend() == "torch":
        tokens = _torch.concatenate_earlier(x, size)
        return linear(tokens, ops.reshape(kernel, (size * channels, filters)), bias)
    # One product for all matrices, then the shifts: XLA adds the shifted parts in one pass, and
    # nothing larger than `x` is kept for the gradient.
    parts = ops.matmul(x, ops.reshape(ops.transpose(kernel, (1, 0, 2)), (channels, size * filters)))
    parts = [parts[..., i * filters : (i + 1) * filters] for i in range(size)]
    outputs = sum(roll(part, i, axis=1) if i else part for i, part in enumerate(parts))
    return outputs if bias is None else outputs + bias


def mix_groups(
    x: Tensor, kernel: Tensor, bias: Tensor | None = None, *, kind: str, size: int, center: int
) -> Tensor:
    """Mix tokens in time by matrices shared by time interval.

    Args:
        x: Tokens (B, T', H', W', C).
        kernel: Tensor (n, C, filters): the matrix w_Δ at index Δ + center.
        bias: None or tensor (filters,).
        kind: "short_range", "long_range", "shift_window" or "shift_token".
        size: Group size S; it must divide T', for all kinds except shift-token.
        center: Index of w_0; the kernel must hold every interval that kind and size need.

    Source:
        Section 3.3, Eqs. (4) and (5), Algorithm 1.

    Example:

    >>> x = np.array([1, 10, 100, 1000], "float32").reshape(1, 4, 1, 1, 1)
    >>> kernel = np.array([0, 1, 2], "float32").reshape(3, 1, 1)
    >>> np.array(mix_groups(x, kernel, kind="short_range", size=2, center=1)).ravel().tolist()
    [1.0, 12.0, 100.0, 1200.0]
    """
    if size == 1:
        return linear(x, kernel[center], bias)
    if kind == "shift_token":
        return shift_mix(x, kernel[center : center + size], bias)
    if bias is not None:
        bias = ops.tile(bias, size)
    outputs = linear(group_time(x, kind, size), interval_matrix(kernel, size, center), bias)
    return ungroup_time(outputs, kind, size)


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class GroupedTimeMixing(AdaptableLayer):
    """Mixes tokens in time, within groups of S tokens, channels included.

    The kinds differ in which tokens form a group:

    - "short_range": S consecutive tokens.
    - "long_range": S tokens that are T'/S apart.
    - "shift_window": short-range on tokens rolled by S // 2 in time, and rolled back. (Algorithm 1
      rolls back by `-S//2`, which in Python is one step too many for an odd S.)
    - "shift_token": each token with the S - 1 before it, circularly.
    - "full": all tokens, Eq. (3); the clip length is then fixed when the layer is built.

    With `share_weights` (Eq. (5)) one matrix w_Δ serves every pair of tokens Δ places apart: Δ is
    the place of the output token minus the place of the input token. Shift-token maps token t - i
    by w_i.

    Args:
        kind: One of the five kinds above.
        group_size: Group size S; 1 mixes no time. None for "full" alone.
        share_weights: Whether to share weights by time interval.
        max_group_size: None, or M >= S: the kernel then holds w_Δ for all |Δ| < M and serves every
            kind and size up to M. Needs `share_weights`.
        use_bias: Whether to add a bias, which starts at zero.
        kernel_initializer: Initializer of the kernel; None for `GlorotUniform`.
        bias_initializer: Initializer of the bias.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        kernel: Shared: (2 S - 1, C, C), w_Δ at index Δ + S - 1; (S, C, C) for shift-token, w_i at
            index i; (2 M - 1, C, C), w_Δ at index Δ + M - 1, with `max_group_size` M. Unshared:
            (S C, S C), or (S C, C) for shift-token. Inputs are row vectors: y = x · W.
        bias: (C,), or (S C,) for unshared weights of grouped kinds; None without bias.
        size: S; for "full" the number of tokens in time that the layer was built for.

    Input shape:
        (B, T', H', W', C); S divides T', for all kinds except shift-token.

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or S does not fit T'; the message lists sizes that do.

    Source:
        Section 3.3, Eqs. (3), (4), (5), Algorithm 1; docs/reading.md (time bias, layout of the
        kernel).

    Example:

    >>> layer = GroupedTimeMixing("short_range", 4)
    >>> layer(np.ones((1, 8, 2, 2, 3), "float32")).shape == (1, 8, 2, 2, 3)
    True
    >>> tuple(layer.kernel.shape)
    (7, 3, 3)
    """

    def __init__(
        self,
        kind: str,
        group_size: int | None = None,
        share_weights: bool = True,
        max_group_size: int | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_group_size(kind, group_size)
        check_boolean("share_weights", share_weights)
        if max_group_size is not None:
            check_integer("max_group_size", max_group_size)
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

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape)
        time, channels = input_shape[1], input_shape[-1]
        check_group_size(self.kind, self.group_size, time)
        if self.kind == "full" and time is None:
            raise ValueError(
                "kind='full' needs a fixed number of tokens in time, got None: give the model an "
                "input_shape with a fixed clip length."
            )
        self.size = size = time if self.kind == "full" else self.group_size
        shift = self.kind == "shift_token"
        if self.max_group_size is not None:
            if size > self.max_group_size:
                raise ValueError(
                    f"kind='full' on {size} tokens in time needs max_group_size of at least "
                    f"{size}, got {self.max_group_size}."
                )
            shape: tuple[int, ...] = (2 * self.max_group_size - 1, channels, channels)
        elif self.share_weights:
            shape = (size if shift else 2 * size - 1, channels, channels)
        else:
            shape = (size * channels, channels if shift else size * channels)
        self.add_kernel(shape, self.kernel_initializer)
        if self.use_bias:
            grouped = not (self.share_weights or shift)
            self.bias = self.add_weight(
                name="bias",
                shape=(size * channels if grouped else channels,),
                initializer=self.bias_initializer,
            )

    @property
    def center(self) -> int:
        """Index of w_0 in the shared kernel."""
        if self.max_group_size is not None:
            return self.max_group_size - 1
        return 0 if self.kind == "shift_token" else self.size - 1

    def call(self, inputs: Tensor) -> Tensor:
        time = inputs.shape[1]
        if isinstance(time, int):  # an export leaves it open: None, or a symbol
            check_group_size(self.kind, self.group_size, time)
            if self.kind == "full" and time != self.size:
                raise ValueError(
                    f"kind='full' was built for {self.size} tokens in time, got {time}."
                )
        kind = "short_range" if self.kind == "full" else self.kind
        kernel = ops.convert_to_tensor(self.kernel)
        if self.share_weights:
            return mix_groups(
                inputs, kernel, self.bias, kind=kind, size=self.size, center=self.center
            )
        if kind == "shift_token":
            kernel = ops.reshape(kernel, (self.size, -1, kernel.shape[-1]))
            return shift_mix(inputs, kernel, self.bias)
        outputs = linear(group_time(inputs, kind, self.size), kernel, self.bias)
        return ungroup_time(outputs, kind, self.size)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        check_group_size(self.kind, self.group_size, input_shape[1])
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
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
