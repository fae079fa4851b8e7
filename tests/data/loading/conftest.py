"""Videos that the tests of loading share, made once."""

import pytest
from data.loading.gray_clips import CLASSES
from data.make_videos import moving_frames, write_video

from keras_mlp3d.data import Manifest, VideoRow


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    """Seven clips, of each class in turn; clip k is gray 30 k, by which `which` tells it."""
    folder = tmp_path_factory.mktemp("clips")
    gradient = moving_frames(8, 24, 32) // 16
    for k in range(7):
        write_video(folder / f"{k}.mp4", gradient + 30 * k, crf=10)
    rows = [VideoRow(str(folder / f"{k}.mp4"), k % 2) for k in range(7)]
    return Manifest(rows, CLASSES, "train")


@pytest.fixture(scope="session")
def damaged(manifest, tmp_path_factory):
    """The same with an unreadable third clip."""
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_bytes(b"no video")
    rows = list(manifest.rows)
    rows[2] = VideoRow(str(broken), 0)
    return Manifest(rows, CLASSES, "train")
