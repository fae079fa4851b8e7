"""The embedding, transitions, blocks and norms of a network, by the names its layers have."""

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
