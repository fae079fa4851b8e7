"""Videos of two classes, a tiny preset, and a recipe of a second."""

import numpy as np
from data.make_videos import moving_frames, write_video

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import VideoConverter

RECIPE = {
    "epochs": 1,
    "warmup_epochs": 0.5,
    "batch_size": 4,
    "reference_batch_size": 4,
    "learning_rate": 0.01,
}


def write_videos(folder):
    """Writes dark and bright videos, four of each to train and three of each to validate."""
    frames = moving_frames(8, 40, 48) // 4
    for split, count in (("train", 4), ("val", 3)):
        for name, light in (("bright", 150), ("dark", 0)):
            target = folder / split / name
            target.mkdir(parents=True)
            for k in range(count):
                write_video(target / f"{k}.mp4", frames + np.uint8(light + 5 * k))
    return folder


def write_preset(folder):
    """Saves a classifier of three classes with four blocks, on clips of 16 frames."""
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2")
    converter = VideoConverter(num_frames=16, image_size=(32, 32))
    MLP3D(backbone, 3, converter=converter).save_to_preset(folder)
    return folder
