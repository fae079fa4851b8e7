"""Augmentation of training clips: one draw for all frames of a clip, another for each clip.

NumPy draws, from a generator made of (seed, epoch, index), and NumPy and FFmpeg's scaler move the
pixels, in whole numbers. So clips are the same on every Keras backend, from every loader, in any
number of threads. Keras's image layers do not serve here: they draw anew for each frame, from one
generator that all threads share, and with one seed gave other clips on PyTorch than on TensorFlow.
Nothing here imports Keras.
"""

from keras_mlp3d.data.augment.augmenter import Augmenter
from keras_mlp3d.data.augment.batch_augmentation import BatchAugmentation
from keras_mlp3d.data.augment.cut_mix import CutMix
from keras_mlp3d.data.augment.generators import batch_generator, clip_generator
from keras_mlp3d.data.augment.horizontal_flip import HorizontalFlip
from keras_mlp3d.data.augment.mix_up import MixUp
from keras_mlp3d.data.augment.rand_augment import RandAugment
from keras_mlp3d.data.augment.random_erasing import RandomErasing
from keras_mlp3d.data.augment.random_resized_crop import RandomResizedCrop
from keras_mlp3d.data.augment.smooth_labels import smooth_labels

__all__ = [
    "Augmenter",
    "BatchAugmentation",
    "CutMix",
    "HorizontalFlip",
    "MixUp",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "batch_generator",
    "clip_generator",
    "smooth_labels",
]
