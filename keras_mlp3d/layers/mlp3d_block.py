"""The MLP-3D block: token mixing, then the channel MLP, each behind a norm and with a shortcut.

Source: section 3.2, Eq. (1), Figure 1.
"""

from typing import Any

import keras

from keras_mlp3d._utils.checks import check_boolean, check_number
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.composite import CompositeLayer, call_sublayer, check_tokens
from keras_mlp3d.layers.linear import Dense
from keras_mlp3d.layers.stochastic_depth import StochasticDepth
from keras_mlp3d.layers.switchable_time_mixing import SwitchableTimeMixing
from keras_mlp3d.layers.token_mixing import TimeMixing, TokenMixing

LAYER_NORM_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class ChannelMLP(CompositeLayer):
    """Maps the channels of each token to `ratio` times as many, through an exact GELU, and back.

    Args:
        ratio: Hidden channels over input channels (4; MLP-3D-M has 8, 8, 4, 4 by stage).
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (..., C)

    Output shape:
        (..., C)

    Raises:
        ValueError: If `ratio` is no number above 0.

    Source:
        Section 3.2.

    Example:

    >>> layer = ChannelMLP(ratio=4)
    >>> layer(np.ones((1, 2, 4, 4, 8), "float32")).shape == (1, 2, 4, 4, 8)
    True
    >>> tuple(layer.expand.kernel.shape)
    (8, 32)
    """

    def __init__(self, ratio: float = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = check_number("ratio", ratio, above=0)

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        hidden = int(channels * self.ratio)
        options = {"dtype": self.dtype_policy}
        self.expand = Dense(hidden, activation="gelu", name="expand", **options)
        self.expand.build(input_shape)
        self.reduce = Dense(channels, name="reduce", **options)
        self.reduce.build((*input_shape[:-1], hidden))
        self.settle_parts()

    def call(self, inputs: Tensor) -> Tensor:
        return call_sublayer(self.reduce, call_sublayer(self.expand, inputs))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio}


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MLP3DBlock(CompositeLayer):
    """Y = TokenMixing(LN(X)) + X, then Z = ChannelMLP(LN(Y)) + Y.

    Args:
        time_mixing: Layer that mixes tokens in time, or its configuration; see `TokenMixing`.
        mlp_ratio: Hidden channels of the channel MLP over C.
        drop_path_rate: Rate of stochastic depth on both residual branches, in [0, 1).
        remat: Whether the activations of both branches are computed again in the backward pass
            instead of stored. The outputs stay the same.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tokens (B, T', H', W', C).
        training: Whether stochastic depth drops.

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or the group size does not fit T'.

    Source:
        Section 3.2, Eq. (1).

    Example:

    >>> block = MLP3DBlock({"kind": "shift_token", "group_size": 4})
    >>> block(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """

    def __init__(
        self,
        time_mixing: TimeMixing,
        mlp_ratio: float = 4,
        drop_path_rate: float = 0.0,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mlp_ratio = mlp_ratio
        self.drop_path_rate = drop_path_rate
        self.remat = check_boolean("remat", remat)
        options = {"dtype": self.dtype_policy}
        norm = {"epsilon": LAYER_NORM_EPSILON, **options}
        self.token_norm = keras.layers.LayerNormalization(name="token_norm", **norm)
        self.token_mixing = TokenMixing(time_mixing, name="token_mixing", **options)
        self.token_drop = StochasticDepth(drop_path_rate, name="token_drop", **options)
        self.channel_norm = keras.layers.LayerNormalization(name="channel_norm", **norm)
        self.channel_mlp = ChannelMLP(mlp_ratio, name="channel_mlp", **options)
        self.channel_drop = StochasticDepth(drop_path_rate, name="channel_drop", **options)

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape)
        for layer in (self.token_norm, self.token_mixing, self.channel_norm, self.channel_mlp):
            layer.build(input_shape)
        self.settle_parts()

    # No `training` argument: Keras passes it to the layers that sample, and torch.compile breaks
    # its graph at every layer that is called with keywords.
    def call(self, inputs: Tensor) -> Tensor:
        mix_tokens, mix_channels = self.mix_tokens, self.mix_channels
        if self.remat:
            mix_tokens, mix_channels = self._mix_tokens_again, self._mix_channels_again
        # Nothing is sampled inside what may be computed twice: a second sample would differ.
        tokens = inputs + _dropped(self.token_drop, mix_tokens(inputs))
        return tokens + _dropped(self.channel_drop, mix_channels(tokens))

    def mix_tokens(self, inputs: Tensor) -> Tensor:
        """Return the first residual branch of Eq. (1), TokenMixing(LN(X))."""
        return call_sublayer(self.token_mixing, call_sublayer(self.token_norm, inputs))

    def mix_channels(self, tokens: Tensor) -> Tensor:
        """Return the second residual branch of Eq. (1), ChannelMLP(LN(Y))."""
        return call_sublayer(self.channel_mlp, call_sublayer(self.channel_norm, tokens))

    # With a new function in every call: JAX keeps what it has traced by the identity of a function,
    # with the weights of that trace.
    def _mix_tokens_again(self, inputs: Tensor) -> Tensor:
        mix_time = self.token_mixing.mix_time
        if not isinstance(mix_time, SwitchableTimeMixing):
            return keras.remat(lambda inputs: self.mix_tokens(inputs))(inputs)

        def mix(inputs: Tensor, candidate: Tensor) -> Tensor:
            with mix_time.using(candidate):
                return self.mix_tokens(inputs)

        return keras.remat(mix)(inputs, mix_time.sample())

    def _mix_channels_again(self, tokens: Tensor) -> Tensor:
        return keras.remat(lambda tokens: self.mix_channels(tokens))(tokens)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "time_mixing": self.token_mixing.time_mixing_config(),
            "mlp_ratio": self.mlp_ratio,
            "drop_path_rate": self.drop_path_rate,
            "remat": self.remat,
        }


def _dropped(layer: StochasticDepth, mixed: Tensor) -> Tensor:
    # With rate 0 the layer returns its input: it is called only if a hook of PyTorch wants to know.
    if layer.rate or (_torch.is_eager() and _torch.has_hooks(layer)):
        return call_sublayer(layer, mixed)
    return mixed
