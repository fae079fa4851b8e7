"""Augmentation of training clips: the same change for all frames of a clip.

The random numbers of a clip come from a NumPy generator that is seeded by (seed, epoch, index).
NumPy and FFmpeg's scaler change the pixels, in integer arithmetic. The clips are therefore the same
on every Keras backend, with every loader and any number of threads. Keras's image layers are not
used: they sample again for each frame, from one generator that all threads share, and the same
seed gave different clips on PyTorch and on TensorFlow. Nothing here imports Keras.
"""

from keras_mlp3d.data.augment.augmenter import Augmenter
from keras_mlp3d.data.augment.batch_augmentation import BatchAugmentation
from keras_mlp3d.data.augment.erasing import CellErasing, FrameErasing, RandomErasing
from keras_mlp3d.data.augment.generators import batch_generator, clip_generator
from keras_mlp3d.data.augment.horizontal_flip import HorizontalFlip
from keras_mlp3d.data.augment.mixing import CutMix, MixUp
from keras_mlp3d.data.augment.rand_augment import RandAugment
from keras_mlp3d.data.augment.random_resized_crop import RandomResizedCrop
from keras_mlp3d.data.augment.smooth_labels import smooth_labels
from keras_mlp3d.data.augment.speed_change import SpeedChange

__all__ = [
    "Augmenter",
    "BatchAugmentation",
    "CellErasing",
    "CutMix",
    "FrameErasing",
    "HorizontalFlip",
    "MixUp",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "SpeedChange",
    "batch_generator",
    "clip_generator",
    "smooth_labels",
]
