"""Video in: decoding, sampling, conversion to clips, loading a folder of classes.

Nothing here imports TensorFlow.
"""

import importlib

from keras_mlp3d.data.converter import VideoConverter
from keras_mlp3d.data.decode import VideoError, VideoInfo, probe_video, read_video
from keras_mlp3d.data.loader import VideoFolder

__all__ = [
    "VideoConverter",
    "VideoError",
    "VideoFolder",
    "VideoInfo",
    "motion_shapes",
    "probe_video",
    "read_video",
]


def __getattr__(name):
    # Not imported above: `python -m keras_mlp3d.data.motion_shapes` would then run it twice.
    if name == "motion_shapes":
        return importlib.import_module("keras_mlp3d.data.motion_shapes")
    raise AttributeError(f"module 'keras_mlp3d.data' has no attribute {name!r}")
