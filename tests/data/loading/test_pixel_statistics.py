"""Mean and standard deviation of a data set's pixels."""

import numpy as np
import pytest

from keras_mlp3d.data import Frames, Manifest, VideoConverter, VideoRow, pixel_statistics

CONVERTER = VideoConverter(num_frames=4, image_size=(32, 32), crop="none")


def manifest(clips, *paths):
    rows = [VideoRow(Frames(clip, fps=4, name=f"clip {i}"), 0) for i, clip in enumerate(clips)]
    return Manifest([*rows, *(VideoRow(path, 0) for path in paths)], ["run"], "train")


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    tops = rng.integers(40, 256, (7, 1, 1, 1, 3))
    return (rng.random((7, 4, 32, 32, 3)) * tops).astype("uint8")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_numbers_are_those_of_all_pixels(clips, workers):
    found = pixel_statistics(manifest(clips), CONVERTER, workers=workers)
    values = clips.reshape(-1, 3) / 255
    assert found.pixel_mean == tuple(values.mean(axis=0).round(4))
    assert found.pixel_std == tuple(values.std(axis=0).round(4))
    assert (found.videos, found.unreadable) == (7, {})


def test_some_videos_stand_for_all(clips):
    found = pixel_statistics(manifest(clips), CONVERTER, max_videos=3)
    values = clips[[0, 2, 4]].reshape(-1, 3) / 255
    assert found.pixel_mean == tuple(values.mean(axis=0).round(4))
    assert found.videos == 3


def test_unreadable_videos_are_named(clips, tmp_path, caplog):
    (tmp_path / "damaged.mp4").write_bytes(b"no video")
    videos = manifest(clips, tmp_path / "damaged.mp4", tmp_path / "absent.mp4")
    found = pixel_statistics(videos, CONVERTER)
    assert found.pixel_mean == pixel_statistics(manifest(clips), CONVERTER).pixel_mean
    assert found.videos == 7
    assert len(found.unreadable) == 2
    for name in ("damaged.mp4", "absent.mp4"):
        assert any(name in known for known in found.unreadable)
        assert f"{name}: " in caplog.text


def test_several_rows_of_one_file(clips, tmp_path):
    absent = [VideoRow(tmp_path / "absent.mp4", 0, start=i, end=i + 1) for i in range(3)]
    readable = manifest(clips).rows
    with pytest.raises(ValueError, match=r"None of 3 videos can be read; the first is '.*absent"):
        pixel_statistics(Manifest(absent, ["run"], "train"), CONVERTER)
    found = pixel_statistics(Manifest([*readable, *absent], ["run"], "train"), CONVERTER)
    assert found.pixel_mean == pixel_statistics(manifest(clips), CONVERTER).pixel_mean
    assert (found.videos, len(found.unreadable)) == (7, 1)


def test_a_converter_for_training_crops_the_center(clips):
    smaller = {"num_frames": 4, "image_size": (16, 16), "resize": None}
    random, center = (
        pixel_statistics(manifest(clips), VideoConverter(**smaller, crop=crop))
        for crop in ("random", "center")
    )
    assert random == center


def test_nothing_to_measure(clips, tmp_path):
    with pytest.raises(ValueError, match=r"None of 1 videos can be read; the first is '.*absent"):
        pixel_statistics(manifest([], tmp_path / "absent.mp4"), CONVERTER)
    clips[..., 1] = 9
    with pytest.raises(ValueError, match="the 7 videos have the same green"):
        pixel_statistics(manifest(clips), CONVERTER)
    with pytest.raises(ValueError, match="max_videos must be a positive integer, got 0"):
        pixel_statistics(manifest(clips), CONVERTER, max_videos=0)
