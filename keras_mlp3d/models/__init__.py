"""The networks: MLP-3D, its backbone, its two-path form, and the 2-D CycleMLP it starts from."""

from keras_mlp3d.models.cycle_mlp import CycleMLP
from keras_mlp3d.models.frame_cycle_mlp import FrameCycleMLP
from keras_mlp3d.models.mlp3d import MLP3D
from keras_mlp3d.models.mlp3d_backbone import MLP3DBackbone
from keras_mlp3d.models.schedule import Mixing, parse_schedule
from keras_mlp3d.models.switchable import extract
from keras_mlp3d.models.two_path import TwoPathMLP3D

__all__ = [
    "MLP3D",
    "CycleMLP",
    "FrameCycleMLP",
    "MLP3DBackbone",
    "Mixing",
    "TwoPathMLP3D",
    "extract",
    "parse_schedule",
]
