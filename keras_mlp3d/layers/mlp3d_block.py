"""The MLP-3D block: token mixing, then the channel MLP, each behind a norm and beside a shortcut.

Source: section 3.2, Eq. (1), Figure 1.
"""

import keras

from keras_mlp3d.layers._checks import check_tokens
from keras_mlp3d.layers._sublayer import call_sublayer
from keras_mlp3d.layers.channel_mlp import ChannelMLP
from keras_mlp3d.layers.stochastic_depth import StochasticDepth
from keras_mlp3d.layers.token_mixing import TokenMixing

LAYER_NORM_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MLP3DBlock(keras.layers.Layer):
    """Y = TokenMixing(LN(X)) + X, then Z = ChannelMLP(LN(Y)) + Y.

    Args:
        kind: Kind of time mixing; see `GroupedTimeMixing`.
        group_size: Group size S of the time mixing; None for "full" alone.
        mlp_ratio: Hidden channels of the channel MLP over C.
        share_weights: Whether the time mixing shares its weights by time interval.
        max_group_size: None, or the largest group size that the shared kernel serves.
        drop_path_rate: Rate of stochastic depth on both residual branches, in [0, 1).
        time_bias: Whether the time mixing has a bias.
        candidates: None, or pairs (kind, group size) that the time mixing can be switched to; see
            `ChosenTimeMixing`.
        random_mixing: Probability that a training step draws another candidate.
        remat: Whether activations are computed again in the backward pass instead of kept.
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

    >>> block = MLP3DBlock("shift_token", 4)
    >>> block(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """

    def __init__(
        self,
        kind,
        group_size=None,
        mlp_ratio=4,
        share_weights=True,
        max_group_size=None,
        drop_path_rate=0.0,
        time_bias=True,
        candidates=None,
        random_mixing=0.0,
        remat=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind = kind
        self.group_size = group_size
        self.mlp_ratio = mlp_ratio
        self.share_weights = share_weights
        self.max_group_size = max_group_size
        self.drop_path_rate = drop_path_rate
        self.time_bias = time_bias
        self.candidates = candidates
        self.random_mixing = random_mixing
        self.remat = remat
        options = {"dtype": self.dtype_policy}
        self.token_norm = keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, name="token_norm", **options
        )
        self.token_mixing = TokenMixing(
            kind,
            group_size,
            share_weights=share_weights,
            max_group_size=max_group_size,
            time_bias=time_bias,
            candidates=candidates,
            random_mixing=random_mixing,
            name="token_mixing",
            **options,
        )
        self.token_drop = StochasticDepth(drop_path_rate, name="token_drop", **options)
        self.channel_norm = keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, name="channel_norm", **options
        )
        self.channel_mlp = ChannelMLP(mlp_ratio, name="channel_mlp", **options)
        self.channel_drop = StochasticDepth(drop_path_rate, name="channel_drop", **options)

    def build(self, input_shape):
        check_tokens(self, input_shape)
        for layer in (self.token_norm, self.token_mixing, self.channel_norm, self.channel_mlp):
            layer.build(input_shape)

    # No `training` argument: Keras hands it on to what draws by itself, and torch.compile breaks
    # its graph at every layer that is called with keywords.
    def call(self, inputs):
        # Before what is computed twice: a second draw would be another one.
        draws = self.remat and self.candidates is not None
        drawn = (self.token_mixing.mix_time.draw(),) if draws else ()
        mixed = self._kept_or_computed_again(self._mix_tokens)(inputs, *drawn)
        if self.drop_path_rate:
            mixed = self.token_drop(mixed)
        tokens = inputs + mixed
        mixed = self._kept_or_computed_again(self._mix_channels)(tokens)
        if self.drop_path_rate:
            mixed = self.channel_drop(mixed)
        return tokens + mixed

    def _mix_tokens(self, inputs, *drawn):
        return call_sublayer(self.token_mixing, call_sublayer(self.token_norm, inputs), *drawn)

    def _mix_channels(self, tokens):
        return call_sublayer(self.channel_mlp, call_sublayer(self.channel_norm, tokens))

    def _kept_or_computed_again(self, function):
        return keras.remat(function) if self.remat else function

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "group_size": self.group_size,
            "mlp_ratio": self.mlp_ratio,
            "share_weights": self.share_weights,
            "max_group_size": self.max_group_size,
            "drop_path_rate": self.drop_path_rate,
            "time_bias": self.time_bias,
            "candidates": self.candidates and [list(pair) for pair in self.candidates],
            "random_mixing": self.random_mixing,
            "remat": self.remat,
        }
