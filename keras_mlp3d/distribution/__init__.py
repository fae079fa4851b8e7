"""Training on several devices, in one process or in many."""

from keras_mlp3d.distribution.distribute import Distribution, current_distribution, distribute

__all__ = ["Distribution", "current_distribution", "distribute"]
