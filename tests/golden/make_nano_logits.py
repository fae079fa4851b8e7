"""Makes nano_logits.npz: the logits of the preset mlp3d_nano, by the NumPy twin in float64.

To be run from `tests`, on any backend, when the preset's architecture changes:
`python -m golden.make_nano_logits`. The backend tells the shapes of the weights and no more.
"""

import pathlib

import numpy as np
from numpy_weights import fill, weights_of
from reference import network

from keras_mlp3d import MLP3D

FILE = pathlib.Path(__file__).with_name("nano_logits.npz")


def nano():
    """The network with weights that NumPy makes, alike everywhere."""
    return fill(MLP3D.from_preset("mlp3d_nano", load_weights=False), seed=7)


def clip(model):
    """(2, T, H, W, 3) uint8: pixels of the size that the preset is made for, wider than high."""
    frames, (height, width) = model.converter.num_frames, model.converter.image_size
    shape = (2, frames, height, width + 16, 3)
    return np.random.default_rng(7).integers(0, 256, shape, dtype="uint8")


def main():
    model = nano()
    schedule = [(mixing.kind, mixing.group_size) for mixing in model.backbone.schedule]
    pixels = clip(model).astype("float64")
    logits = network.logits(pixels, weights_of(model), model.backbone.depths, schedule)
    np.savez(FILE, logits=logits)


if __name__ == "__main__":
    main()
