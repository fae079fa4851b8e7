"""Videos: decoding, sampling, conversion to clips, data sets, loading, augmentation.

Nothing here imports TensorFlow, and Keras is imported for a `VideoLoader` alone: a process that
decodes needs neither.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.backend import import_keras
from keras_mlp3d.data import augment
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.data.datasets.check import VideoCheck, check_videos, write_check_report
from keras_mlp3d.data.datasets.csv import read_csv
from keras_mlp3d.data.datasets.folder import read_folder
from keras_mlp3d.data.datasets.from_tables import from_dataframe, from_datasets
from keras_mlp3d.data.datasets.kinetics import read_kinetics
from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow
from keras_mlp3d.data.datasets.read_manifest import read_manifest
from keras_mlp3d.data.datasets.shards.read import ShardError, read_shards
from keras_mlp3d.data.datasets.shards.write import ShardReport, write_shards
from keras_mlp3d.data.datasets.something import read_something_v1, read_something_v2
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.pixel_statistics import PixelStatistics, pixel_statistics
from keras_mlp3d.data.video.converter import VideoConverter, Views
from keras_mlp3d.data.video.decode import (
    VideoError,
    VideoInfo,
    frame_times,
    probe_video,
    read_video,
)
from keras_mlp3d.data.video.sources import Frames

if TYPE_CHECKING:  # what `__getattr__` imports when it is first asked for
    from keras_mlp3d.data.datasets import motion_shapes
    from keras_mlp3d.data.loading.pipeline import make_dataset
    from keras_mlp3d.data.loading.video_loader import VideoLoader

__all__ = [
    "Augmenter",
    "ClipSource",
    "Frames",
    "Manifest",
    "PixelStatistics",
    "ShardError",
    "ShardReport",
    "VideoCheck",
    "VideoConverter",
    "VideoError",
    "VideoInfo",
    "VideoLoader",
    "VideoRow",
    "Views",
    "augment",
    "check_videos",
    "frame_times",
    "from_dataframe",
    "from_datasets",
    "make_dataset",
    "motion_shapes",
    "pixel_statistics",
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


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a name when it is first asked for: one that needs Keras, or that few need."""
        if name == "motion_shapes":
            return importlib.import_module("keras_mlp3d.data.datasets.motion_shapes")
        if name not in __all__:
            raise AttributeError(f"module 'keras_mlp3d.data' has no attribute {name!r}")
        import_keras()
        from keras_mlp3d.data.loading.pipeline import make_dataset
        from keras_mlp3d.data.loading.video_loader import VideoLoader

        globals().update(VideoLoader=VideoLoader, make_dataset=make_dataset)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
