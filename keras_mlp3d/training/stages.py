"""The stages of a network, by the names of its layers, and freezing of the first ones."""

import re

_STAGE = re.compile(r"stage([1-4])_(transition|block[1-9][0-9]*)")
EMBEDDING, NORM = "embedding", "norm"


def stage_of(name):
    """Returns the stage that a layer of that name belongs to, 1 to 4, or None."""
    match = _STAGE.fullmatch(name)
    return match and int(match[1])


def is_block(name):
    """Returns whether that is the name of a block."""
    match = _STAGE.fullmatch(name)
    return bool(match) and match[2] != "transition"


def backbones(model):
    """Returns the functional models, `model` itself or inside it, that hold the four stages."""
    layers = [layer for layer in getattr(model, "layers", ()) if layer is not model]
    if {stage_of(layer.name) for layer in layers} >= {1, 2, 3, 4}:
        return [model]
    return [part for layer in layers for part in backbones(layer)]


def the_backbones(model):
    """Returns `backbones(model)`; raises ValueError if there is none."""
    found = backbones(model)
    if not found:
        raise ValueError(
            "Expected a network of this package, or a model around one, with layers 'embedding' "
            f"and 'stage1_block1' to 'stage4_...'; {getattr(model, 'name', model)!r} has none."
        )
    return found


def freeze(model, stages):
    """Makes the embedding and the first stages of a network untrainable, and the others trainable.

    Norms and biases of a frozen stage are frozen with it; stochastic depth in it goes on. Call it
    before `compile`, and again with another number to thaw.

    Args:
        model: `MLP3D`, `MLP3DBackbone`, `TwoPathMLP3D` (both paths), `CycleMLP`, or a model around
            one of them.
        stages: How many of the four stages are frozen. With 0 nothing is, the embedding neither;
            with 4 the network's last norm is frozen too, which leaves the classifier.

    Returns:
        The model.

    Raises:
        ValueError: If `stages` is no whole number from 0 to 4, or the model has no such stages.

    Example:

    >>> from keras_mlp3d import MLP3D
    >>> model = freeze(MLP3D.from_preset("mlp3d_nano", load_weights=False), 4)
    >>> [weight.path for weight in model.trainable_variables]
    ['head/kernel', 'head/bias']
    """
    if isinstance(stages, bool) or not isinstance(stages, int) or not 0 <= stages <= 4:
        raise ValueError(f"stages must be a whole number from 0 to 4, got {stages!r}.")
    for backbone in the_backbones(model):
        for layer in backbone.layers:
            stage = {EMBEDDING: 1, NORM: 4}.get(layer.name, stage_of(layer.name))
            if stage is not None:
                layer.trainable = stage > stages
    return model
