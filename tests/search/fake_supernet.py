"""A supernet without weights, for what only needs its interface."""

import types

import numpy as np


class FakeBackbone:
    """Notes every choice."""

    def __init__(self, candidates):
        self.candidates, self.history, self.current = tuple(candidates), [], None

    def set_choices(self, schedule):
        self.current = [self.candidates.index(mixing) for mixing in schedule]
        self.history.append(self.current)


class FakeSupernet(types.SimpleNamespace):
    """Is right on a clip of brightness b where the choices' places add up to b or more."""

    def __init__(self, candidates, class_names=None, converter=None):
        super().__init__(
            name="fake",
            backbone=FakeBackbone(candidates),
            activation=None,
            class_names=class_names,
            num_classes=2,
            converter=converter,
            shapes=[],
        )

    def predict_on_batch(self, clips):
        self.shapes.append((clips.shape, clips.dtype))
        light = clips[:, 0, 0, 0, 0]
        right = light <= sum(self.backbone.current)
        logits = np.stack([np.zeros(len(clips)), np.where(right, 1.0, -1.0)], axis=1)
        return logits.astype("float32")


def bright_clips(lights):
    """Clips (N, 4, 32, 32, 3), each of one brightness; the right class is the second."""
    clips = np.zeros((len(lights), 4, 32, 32, 3), "uint8")
    clips[:] = np.asarray(lights, "uint8")[:, None, None, None, None]
    return clips, np.ones(len(lights), "int32")
