"""What a network costs: multiply-accumulates and parameters, layer by layer, without running it."""

from keras_mlp3d.cost.count import Cost, LayerCost, count

__all__ = ["Cost", "LayerCost", "count"]
