"""The layers of the network, on tokens (B, T', H', W', C)."""

from keras_mlp3d.layers.cycle_fc import CycleFC
from keras_mlp3d.layers.embedding import StageTransition, TubeletEmbedding
from keras_mlp3d.layers.linear import GlorotUniform
from keras_mlp3d.layers.mlp3d_block import ChannelMLP, MLP3DBlock
from keras_mlp3d.layers.pixels import MotionView, PixelNormalization, SubtractMean
from keras_mlp3d.layers.stochastic_depth import StochasticDepth, stochastic_depth_rates
from keras_mlp3d.layers.switchable_time_mixing import SwitchableTimeMixing
from keras_mlp3d.layers.time_mixing import GroupedTimeMixing
from keras_mlp3d.layers.token_mixing import TokenMixing

__all__ = [
    "ChannelMLP",
    "CycleFC",
    "GlorotUniform",
    "GroupedTimeMixing",
    "MLP3DBlock",
    "MotionView",
    "PixelNormalization",
    "StageTransition",
    "StochasticDepth",
    "SubtractMean",
    "SwitchableTimeMixing",
    "TokenMixing",
    "TubeletEmbedding",
    "stochastic_depth_rates",
]
