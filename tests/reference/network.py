"""The whole network (sections 3.1 and 3.4): pixels 0..255 in, logits out, in inference."""

import numpy as np

from reference.basics import layer_norm, linear, part
from reference.block import block
from reference.stage_transition import stage_transition
from reference.tubelet_embedding import tubelet_embedding

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def backbone(clip, weights, depths, schedule, frames=4, **options):
    """(B, T, H, W, 3) -> normalized tokens, and the tokens behind each of the four stages.

    `schedule` holds (kind, group size) of every block; `frames` is the length of a tubelet.
    """
    x = (clip / 255 - MEAN) / STD
    x = tubelet_embedding(
        x, part(weights, "embedding"), window=(frames, 7, 7), strides=(frames, 4, 4)
    )
    pyramid, mixings = [], iter(schedule)
    for stage, depth in enumerate(depths, start=1):
        if stage > 1:
            x = stage_transition(x, part(weights, f"stage{stage}_transition/projection"))
        for number in range(1, depth + 1):
            kind, size = next(mixings)
            x = block(x, part(weights, f"stage{stage}_block{number}"), kind, size, **options)
        pyramid.append(x)
    return layer_norm(x, part(weights, "norm")), pyramid


def logits(clip, weights, depths, schedule, **options):
    """(B, T, H, W, 3) -> (B, classes): the mean over space and time, then one linear layer."""
    tokens, _ = backbone(clip, weights, depths, schedule, **options)
    return linear(tokens.mean(axis=(1, 2, 3)), part(weights, "head"))
