"""Opens whatever a path names: a video file, a folder of pictures, a record of a shard."""

import os

from keras_mlp3d.data.video.container import is_path, remote_video
from keras_mlp3d.data.video.frame_folder import FrameFolder
from keras_mlp3d.data.video.reader import VideoReader
from keras_mlp3d.data.video.records import is_record, open_record
from keras_mlp3d.data.video.remote import is_remote

#: Endings by which a file in a folder is known as a video.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".vob", ".flv", ".wmv", ".asf", ".ogv", ".gif"),
)


def open_video(path):
    """The reader that fits; a context manager."""
    if not is_path(path):
        return VideoReader(path)
    if is_record(path):
        return open_record(path)
    if is_remote(path):
        return VideoReader(path, remote_video(path))
    return FrameFolder(path) if os.path.isdir(path) else VideoReader(path)
