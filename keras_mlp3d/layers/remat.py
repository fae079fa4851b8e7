"""Blocks that compute their activations again in the backward pass instead of keeping them."""

import keras

from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.layers.mlp3d_block import MLP3DBlock
from keras_mlp3d.layers.switchable_time_mixing import SwitchableTimeMixing


def recompute_activations(block: MLP3DBlock) -> MLP3DBlock:
    """Make a block take less memory in training, and longer; its outputs stay the same.

    Nothing is sampled inside what is computed twice: a second sample would differ. So stochastic
    depth and the candidate of a `SwitchableTimeMixing` are sampled outside.

    Args:
        block: Block that is changed. Its configuration and its weights stay as they are.

    Returns:
        `block`.

    Example:

    >>> block = recompute_activations(MLP3DBlock({"kind": "shift_token", "group_size": 4}))
    >>> block(np.ones((1, 4, 3, 5, 8), "float32")).shape == (1, 4, 3, 5, 8)
    True
    """
    mix_tokens, mix_channels = block.mix_tokens, block.mix_channels
    mix_time = block.token_mixing.mix_time

    # A new function in every call: JAX keeps what it has traced by the identity of a function, with
    # the weights of that trace.
    def mix_tokens_again(inputs: Tensor) -> Tensor:
        if not isinstance(mix_time, SwitchableTimeMixing):
            return keras.remat(lambda inputs: mix_tokens(inputs))(inputs)

        def mix(inputs: Tensor, candidate: Tensor) -> Tensor:
            with mix_time.using(candidate):
                return mix_tokens(inputs)

        return keras.remat(mix)(inputs, mix_time.sample())

    def mix_channels_again(tokens: Tensor) -> Tensor:
        return keras.remat(lambda tokens: mix_channels(tokens))(tokens)

    # `setattr`, as type checkers allow no method to be replaced on one object.
    for name, function in (("mix_tokens", mix_tokens_again), ("mix_channels", mix_channels_again)):
        setattr(block, name, function)
    block.recomputes = True
    return block
