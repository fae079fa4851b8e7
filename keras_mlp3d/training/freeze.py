"""Freezing of a network's first stages."""

from keras_mlp3d.training._parts import EMBEDDING, NORM, stage_of, the_backbones


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
