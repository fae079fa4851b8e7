"""The network's layers, on tokens (B, T', H', W', C)."""

from keras_mlp3d.layers.channel_mlp import ChannelMLP
from keras_mlp3d.layers.chosen_time_mixing import ChosenTimeMixing
from keras_mlp3d.layers.cycle_fc import CycleFC
from keras_mlp3d.layers.glorot_uniform import GlorotUniform
from keras_mlp3d.layers.grouped_time_mixing import GroupedTimeMixing
from keras_mlp3d.layers.mlp3d_block import MLP3DBlock
from keras_mlp3d.layers.pixel_normalization import PixelNormalization
from keras_mlp3d.layers.stage_transition import StageTransition
from keras_mlp3d.layers.stochastic_depth import StochasticDepth, stochastic_depth_rates
from keras_mlp3d.layers.subtract_mean import SubtractMean
from keras_mlp3d.layers.token_mixing import TokenMixing
from keras_mlp3d.layers.tubelet_embedding import TubeletEmbedding

__all__ = [
    "ChannelMLP",
    "ChosenTimeMixing",
    "CycleFC",
    "GlorotUniform",
    "GroupedTimeMixing",
    "MLP3DBlock",
    "PixelNormalization",
    "StageTransition",
    "StochasticDepth",
    "SubtractMean",
    "TokenMixing",
    "TubeletEmbedding",
    "stochastic_depth_rates",
]
