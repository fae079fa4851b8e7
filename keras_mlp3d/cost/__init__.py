"""What a network costs, layer by layer, without running it.

Multiply-accumulates and parameters, and the memory of a training step.
"""

from keras_mlp3d.cost.count import Cost, LayerCost, count
from keras_mlp3d.cost.kept_tensors import LayerMemory
from keras_mlp3d.cost.training_step import TrainingStep, largest_batch, training_step

__all__ = [
    "Cost",
    "LayerCost",
    "LayerMemory",
    "TrainingStep",
    "count",
    "largest_batch",
    "training_step",
]
