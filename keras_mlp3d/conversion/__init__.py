"""Weights of the 2-D network: public checkpoint -> `CycleMLP`, `CycleMLP` -> `MLP3D`."""

from keras_mlp3d.conversion.cycle_mlp import load_cyclemlp
from keras_mlp3d.conversion.inflate import inflate

__all__ = ["inflate", "load_cyclemlp"]
