"""Video in: decoding, sampling, conversion to clips, loading a folder of classes.

Nothing here imports TensorFlow.
"""

import importlib

from keras_mlp3d.data import augment
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.data.check_videos import VideoCheck, check_videos, write_check_report
from keras_mlp3d.data.clip_source import ClipSource
from keras_mlp3d.data.converter import VideoConverter
from keras_mlp3d.data.decode import VideoError, VideoInfo, probe_video, read_video
from keras_mlp3d.data.loader import VideoFolder
from keras_mlp3d.data.manifest import Manifest, VideoRow
from keras_mlp3d.data.pipeline import make_dataset
from keras_mlp3d.data.readers import (
    read_csv,
    read_folder,
    read_kinetics,
    read_manifest,
    read_something_v1,
    read_something_v2,
)
from keras_mlp3d.data.shard import ShardReport, write_shards
from keras_mlp3d.data.tfrecord import ShardError, read_shards
from keras_mlp3d.data.video_loader import VideoLoader

__all__ = [
    "Augmenter",
    "ClipSource",
    "Manifest",
    "ShardError",
    "ShardReport",
    "VideoCheck",
    "VideoConverter",
    "VideoError",
    "VideoFolder",
    "VideoInfo",
    "VideoLoader",
    "VideoRow",
    "augment",
    "check_videos",
    "make_dataset",
    "motion_shapes",
    "probe_video",
    "read_csv",
    "read_folder",
    "read_kinetics",
    "read_manifest",
    "read_shards",
    "read_something_v1",
    "read_something_v2",
    "read_video",
    "write_check_report",
    "write_shards",
]


def __getattr__(name):
    # Not imported above: `python -m keras_mlp3d.data.motion_shapes` would then run it twice.
    if name == "motion_shapes":
        return importlib.import_module("keras_mlp3d.data.motion_shapes")
    raise AttributeError(f"module 'keras_mlp3d.data' has no attribute {name!r}")
