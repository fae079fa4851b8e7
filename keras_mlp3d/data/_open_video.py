"""Opens whatever a path names: a video file, a folder of pictures, a record of a shard."""

import os

from keras_mlp3d.data._frame_folder import FrameFolder
from keras_mlp3d.data._records import is_record, open_record
from keras_mlp3d.data._video_file import is_path, remote_video
from keras_mlp3d.data._video_reader import VideoReader
from keras_mlp3d.data.remote import is_remote


def open_video(path):
    """The reader that fits; a context manager."""
    if not is_path(path):
        return VideoReader(path)
    if is_record(path):
        return open_record(path)
    if is_remote(path):
        return VideoReader(path, remote_video(path))
    return FrameFolder(path) if os.path.isdir(path) else VideoReader(path)
