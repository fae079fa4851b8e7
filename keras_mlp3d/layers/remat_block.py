"""A block that computes its activations again in the backward pass instead of keeping them."""

import keras

from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.layers.mlp3d_block import MLP3DBlock
from keras_mlp3d.layers.switchable_time_mixing import SwitchableTimeMixing


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class RematBlock(MLP3DBlock):
    """An `MLP3DBlock` that takes less memory in training, and longer: its outputs are the same.

    Nothing is sampled inside what is computed twice: a second sample would differ. So stochastic
    depth and the candidate of a `SwitchableTimeMixing` are sampled outside.

    Args:
        time_mixing: Layer that mixes tokens in time, or its configuration; see `TokenMixing`.
        mlp_ratio: Hidden channels of the channel MLP over C.
        drop_path_rate: Rate of stochastic depth on both residual branches, in [0, 1).
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', H', W', C)

    Example:

    >>> block = RematBlock({"kind": "shift_token", "group_size": 4})
    >>> block(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """

    def mix_tokens(self, inputs: Tensor) -> Tensor:
        mix_tokens = super().mix_tokens
        mix_time = self.token_mixing.mix_time
        if not isinstance(mix_time, SwitchableTimeMixing):
            return keras.remat(mix_tokens)(inputs)

        def mix(inputs: Tensor, candidate: Tensor) -> Tensor:
            with mix_time.using(candidate):
                return mix_tokens(inputs)

        return keras.remat(mix)(inputs, mix_time.sample())

    def mix_channels(self, tokens: Tensor) -> Tensor:
        return keras.remat(super().mix_channels)(tokens)
