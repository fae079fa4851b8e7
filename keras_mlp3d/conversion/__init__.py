"""Weights of the 2-D network: public checkpoint -> `CycleMLP`, `CycleMLP` -> `MLP3D`."""

from keras_mlp3d.conversion.cycle_mlp import load_cyclemlp
from keras_mlp3d.conversion.inflate import inflate
from keras_mlp3d.conversion.released import make_weights
from keras_mlp3d.models.preset_model import weight_makers

__all__ = ["inflate", "load_cyclemlp"]

weight_makers[:] = [make_weights]
