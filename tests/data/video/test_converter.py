"""Clips from files and arrays: which frames, what size, which part."""

import dataclasses
import json
import logging

import av
import numpy as np
import pytest
from data.make_videos import (
    moving_frames,
    write_damaged,
    write_frames,
    write_lossless,
    write_video,
)

from keras_mlp3d.data.video.converter import INTERPOLATIONS, VideoConverter
from keras_mlp3d.data.video.decode import VideoError, read_video
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.pictures import covering_size, spread_corners


def test_frames_and_windows_are_the_right_ones(tmp_path):
    frames = moving_frames(12, 48, 64)
    converter = VideoConverter(num_frames=4, image_size=(48, 48))
    clip = converter(write_lossless(tmp_path / "clip.mkv", frames))
    assert clip.dtype == np.uint8
    np.testing.assert_array_equal(clip, frames[[1, 4, 7, 10], :, 8:56])
    np.testing.assert_array_equal(converter(frames), clip)


def test_a_video_of_the_right_size_passes_untouched(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_frames(6, 48, 64))
    for crop in ("center", "none"):
        clip = VideoConverter(6, (48, 64), crop=crop)(path)
        np.testing.assert_array_equal(clip, read_video(path)[0])


def scaled_by_ffmpeg(path, height, width, interpolation):
    """All frames as FFmpeg's filter `scale` gives them, uint8 (frames, height, width, 3)."""
    flag = {"nearest": "neighbor"}.get(interpolation, interpolation)
    flags = f"{flag}+full_chroma_int+full_chroma_inp+accurate_rnd+bitexact"
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(template=stream),
            graph.add("scale", f"{width}:{height}:flags={flags}"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        for frame in file.decode(stream):
            graph.push(frame)
            frames.append(graph.pull().to_ndarray(format="rgb24"))
    return np.stack(frames)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("interpolation", sorted(INTERPOLATIONS))
def test_files_are_resized_as_ffmpeg_does(tmp_path, name, interpolation):
    # Gray, as the two place the half-sized planes of color differently by a fraction of a pixel.
    gray = np.repeat(moving_frames(9, 50, 70).mean(axis=-1, keepdims=True), 3, axis=-1)
    path = write_video(tmp_path / name, gray.astype("uint8"))
    converter = VideoConverter(5, (32, 40), interpolation=interpolation)
    expected = scaled_by_ffmpeg(path, 32, 45, interpolation)[[0, 2, 4, 6, 8], :, 2:42]
    np.testing.assert_array_equal(converter(path), expected)


def test_file_and_array_give_nearly_the_same(tmp_path):
    """They are resized in other colors, so soft pictures agree to rounding, edges do not."""
    rows, columns = np.mgrid[:60, :80] / 10
    light = 128 + 60 * np.sin(rows + np.arange(6)[:, None, None]) + 40 * np.cos(columns)
    soft = np.stack([light, 0.9 * light, 0.8 * light], axis=-1).astype("uint8")
    path = write_video(tmp_path / "clip.mp4", soft)
    converter = VideoConverter(6, (32, 40))
    clip, of_array = converter(path), converter(read_video(path)[0])
    difference = np.abs(clip.astype(int) - of_array)
    assert difference.max() <= 6
    assert difference.mean() < 1


def test_dense_sampling_and_stride(tmp_path):
    frames = moving_frames(20)
    converter = VideoConverter(4, (48, 64), sampling="dense", frame_stride=2)
    clip = converter(write_lossless(tmp_path / "clip.mkv", frames))
    np.testing.assert_array_equal(clip, frames[[6, 8, 10, 12]])


def test_short_videos_repeat_frames_decoded_once(tmp_path, monkeypatch):
    frames = moving_frames(3)
    path = write_lossless(tmp_path / "clip.mkv", frames)
    convert, converted = FileReader._picture, []

    def counted(self, frame, *fit):
        converted.append(frame.pts)
        return convert(self, frame, *fit)

    monkeypatch.setattr(FileReader, "_picture", counted)
    clip = VideoConverter(8, (48, 64))(path)
    np.testing.assert_array_equal(clip, frames[[0, 0, 0, 1, 1, 2, 2, 2]])
    assert len(converted) == 3


# Size and crop ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "crop", "short_side", "expected"),
    [
        ((240, 320), (128, 128), None, (128, 171)),  # 320 * 128 / 240 = 170.67
        ((320, 240), (128, 128), None, (171, 128)),
        ((128, 128), (128, 128), None, (128, 128)),
        ((80, 160), (64, 64), None, (64, 128)),
        ((100, 100), (64, 128), None, (128, 128)),
        ((240, 320), (112, 112), 128, (128, 171)),
        ((320, 240), (112, 112), 128, (171, 128)),
        ((240, 320), (128, 224), 128, (168, 224)),  # 128 would not cover 224 across
        ((2, 3), (64, 64), None, (64, 96)),
        ((1000, 3), (2, 2), None, (667, 2)),
    ],
)
def test_covering_size(size, crop, short_side, expected):
    assert covering_size(size, crop, short_side) == expected


@pytest.mark.parametrize(
    ("free", "crops", "expected"),
    [
        ((0, 43), 1, [(0, 21)]),
        ((0, 43), 3, [(0, 0), (0, 21), (0, 43)]),
        ((0, 43), 2, [(0, 0), (0, 43)]),
        ((43, 0), 3, [(0, 0), (21, 0), (43, 0)]),
        ((10, 43), 3, [(5, 0), (5, 21), (5, 43)]),
        ((0, 0), 3, [(0, 0)] * 3),
        ((0, 8), 5, [(0, 0), (0, 2), (0, 4), (0, 6), (0, 8)]),
    ],
)
def test_spread_corners(free, crops, expected):
    assert spread_corners(free, crops) == expected


def test_resize_sets_the_short_side():
    frames = moving_frames(2, 48, 96)
    whole = VideoConverter(2, (24, 48))(frames)
    part = VideoConverter(2, (16, 16), resize=24)(frames)
    np.testing.assert_array_equal(part, whole[:, 4:20, 16:32])


def test_no_crop_squeezes_the_whole_picture():
    frames = np.zeros((2, 40, 80, 3), "uint8")
    frames[:, :, :40], frames[:, :20] = 100, 200
    clip = VideoConverter(2, (20, 20), crop="none")(frames)
    assert clip.shape == (2, 20, 20, 3)
    np.testing.assert_array_equal(clip[:, 2:8], 200)
    np.testing.assert_array_equal(clip[:, 12:, 2:8], 100)
    np.testing.assert_array_equal(clip[:, 12:, 12:], 0)


@pytest.mark.parametrize("interpolation", sorted(set(INTERPOLATIONS) - {"nearest"}))
def test_reduction_does_not_alias(interpolation):
    rows, columns = np.mgrid[:96, :96]
    frames = np.repeat(((rows + columns) % 2 * 255).astype("uint8")[None, ..., None], 3, axis=-1)
    clip = VideoConverter(1, (24, 24), interpolation=interpolation)(frames)[0, 2:-2, 2:-2]
    assert np.abs(clip.astype(int) - 127.5).max() < 3


def test_bilinear_is_the_triangle_filter_as_wide_as_the_reduction():
    frames = np.random.default_rng(0).integers(0, 256, (1, 60, 90, 3), dtype="uint8")

    def weights(new, old):
        scale = old / new
        centers = (np.arange(new)[:, None] + 0.5) * scale
        triangle = np.maximum(0, 1 - np.abs(np.arange(old) + 0.5 - centers) / scale)
        return triangle / triangle.sum(axis=1, keepdims=True)

    expected = np.einsum("yh,xw,hwc->yxc", weights(20, 60), weights(30, 90), frames[0])
    clip = VideoConverter(1, (20, 30))(frames)[0].astype(float)
    assert np.abs(clip - expected)[1:-1, 1:-1].max() <= 1


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (60, 80)])
def test_flat_colors_stay_what_they_are(size):
    frames = np.empty((1, 48, 64, 3), "uint8")
    frames[:] = 255, 3, 90
    np.testing.assert_array_equal(
        VideoConverter(1, size)(frames), np.broadcast_to((255, 3, 90), (1, *size, 3))
    )


# Views ------------------------------------------------------------------------------------------


def test_views_are_clips_by_crops():
    frames = moving_frames(12, 48, 64)
    converter = VideoConverter(3, (48, 48), crop="random")
    views, indices = converter.views(frames, clips=2, crops=3)
    assert indices.tolist() == [[1, 5, 9], [3, 7, 11]]
    assert views.shape == (6, 3, 48, 48, 3)
    for clip in range(2):
        for crop, left in enumerate((0, 8, 16)):
            expected = frames[indices[clip], :, left : left + 48]
            np.testing.assert_array_equal(views[3 * clip + crop], expected)


def test_views_of_tall_videos_and_of_files(tmp_path):
    frames = moving_frames(5, 64, 48)
    views, _ = VideoConverter(5, (48, 48)).views(write_lossless(tmp_path / "a.mkv", frames), 1, 3)
    for view, top in zip(views, (0, 8, 16), strict=True):
        np.testing.assert_array_equal(view, frames[:, top : top + 48])


def test_one_view_is_the_call():
    frames = moving_frames(12)
    converter = VideoConverter(4, (32, 32))
    np.testing.assert_array_equal(converter.views(frames)[0][0], converter(frames))


def test_views_without_a_crop_are_alike():
    views, _ = VideoConverter(2, (24, 24), crop="none").views(moving_frames(4), crops=3)
    assert views.shape == (3, 2, 24, 24, 3)
    np.testing.assert_array_equal(views[0], views[2])


# Chance -----------------------------------------------------------------------------------------


def test_random_crops_and_frames_follow_the_generator():
    frames = moving_frames(24, 48, 64)
    converter = VideoConverter(4, (40, 40), crop="random", resize=48)
    clips = [converter(frames, np.random.default_rng(seed)) for seed in (1, 2, 1)]
    np.testing.assert_array_equal(clips[0], clips[2])
    assert (clips[0] != clips[1]).any()


def test_random_crops_lie_everywhere():
    rows, columns = np.mgrid[:12, :14].astype("uint8")
    frames = np.stack([np.stack([np.full_like(rows, t), rows, columns], -1) for t in range(6)])
    converter = VideoConverter(2, (8, 8), crop="random", resize=12)
    rng = np.random.default_rng(0)
    corners = [tuple(converter(frames, rng)[0, 0, 0].tolist()) for _ in range(300)]
    # (frame, top, left): a frame of the first segment, any of 5 x 7 places.
    times, tops, lefts = (set(values) for values in zip(*corners, strict=True))
    assert (times, tops, lefts) == (set(range(3)), set(range(5)), set(range(7)))


def test_a_generator_alone_moves_the_frames_only():
    frames = moving_frames(40, 48, 64)
    clip = VideoConverter(4, (48, 48))(frames, np.random.default_rng(3))
    taken = [int(np.flatnonzero((frames[:, :, 8:56] == f).all((1, 2, 3)))[0]) for f in clip]
    assert [t // 10 for t in taken] == [0, 1, 2, 3]
    assert taken != [5, 15, 25, 35]


# Files that are not what they say ---------------------------------------------------------------


def test_a_damaged_video_is_sampled_from_what_decodes(tmp_path, caplog):
    frames = moving_frames(16)
    path = write_damaged(tmp_path / "clip.mov", frames, first_bad=8)
    converter = VideoConverter(4, (48, 64))
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        np.testing.assert_array_equal(converter(path), frames[[1, 3, 5, 7]])
        views, indices = converter.views(path, clips=2)
    assert indices.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    np.testing.assert_array_equal(views[0], frames[[0, 2, 4, 6]])
    assert f"{path}: only the first 8 of its 16 frames can be decoded" in caplog.text


def test_real_damaged_video(shared_dir, caplog):
    path = str(shared_dir / "videos" / "no_timescale.mp4")
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        clip = VideoConverter(8, (240, 320))(path)
    np.testing.assert_array_equal(clip, read_video(path)[0])


def test_unreadable_files_say_so(tmp_path):
    converter = VideoConverter(4, (32, 32))
    with pytest.raises(FileNotFoundError, match="absent"):
        converter(tmp_path / "absent.mp4")
    path = write_damaged(tmp_path / "clip.mov", moving_frames(4), first_bad=0)
    with pytest.raises(VideoError, match="none of its 4 frames"):
        converter(path)


# Configuration ----------------------------------------------------------------------------------


def test_config_round_trip():
    converter = VideoConverter(8, [96, 112], "dense", 2, "random", 128, "bicubic")
    config = json.loads(json.dumps(converter.get_config()))
    assert config == {
        "num_frames": 8,
        "image_size": [96, 112],
        "sampling": "dense",
        "frame_stride": 2,
        "crop": "random",
        "resize": 128,
        "interpolation": "bicubic",
    }
    assert VideoConverter.from_config(config) == converter
    assert VideoConverter.from_config({}) == VideoConverter()
    assert VideoConverter.from_config(VideoConverter().get_config()) == VideoConverter()
    with pytest.raises(ValueError, match=r"no \['frames'\]; its arguments are \['num_frames'"):
        VideoConverter.from_config({"frames": 8})


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        VideoConverter().num_frames = 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 0}, "num_frames must be a positive integer, got 0"),
        ({"num_frames": "8"}, "num_frames.*got '8'"),
        ({"image_size": 128}, r"image_size must be 2 positive integers, got 128"),
        ({"image_size": (128, 0)}, r"image_size.*got \(128, 0\)"),
        ({"sampling": "sparse"}, "sampling must be one of.*uniform.*got 'sparse'"),
        ({"frame_stride": 0}, "frame_stride.*got 0"),
        ({"crop": "middle"}, "crop must be one of.*center.*got 'middle'"),
        ({"interpolation": "cubic"}, "interpolation must be one of.*got 'cubic'"),
        ({"resize": 100}, r"resize.*shorter side.*\(128, 128\), got 100"),
        ({"resize": 128, "crop": "none"}, "resize must be None if crop is 'none'"),
        ({"num_frames": 10**6}, "more than 4294967296 bytes"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        VideoConverter(**arguments)


@pytest.mark.parametrize(
    ("video", "came"),
    [
        (np.zeros((4, 8, 8), "uint8"), r"shape \(4, 8, 8\) of uint8"),
        (np.zeros((4, 8, 8, 1), "uint8"), r"shape \(4, 8, 8, 1\)"),
        (np.zeros((4, 8, 8, 3), "float32"), "float32"),
        (np.zeros((0, 8, 8, 3), "uint8"), "at least one frame"),
        ([1, 2], r"got \[1, 2\]"),
    ],
)
def test_wrong_videos(video, came):
    with pytest.raises(ValueError, match=rf"(frames|a video) must.*{came}"):
        VideoConverter(2, (8, 8))(video)


def test_random_crops_need_a_generator():
    with pytest.raises(ValueError, match="rng must be given if crop is 'random'"):
        VideoConverter(2, (8, 8), crop="random")(moving_frames(4))


def test_a_splinter_of_a_picture_is_not_blown_up(monkeypatch):
    monkeypatch.setattr("keras_mlp3d.data.video.pictures.MAX_PIXELS", 32 * 1000)
    with pytest.raises(ValueError, match="1 x 50 would be resized to 32 x 1600"):
        VideoConverter(2, (32, 32))(np.zeros((2, 1, 50, 3), "uint8"))


# Stretches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["uniform", "dense"])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1.0, 2.0, (8, 16)), (1.5, None, (12, 24)), (None, 0.5, (0, 4)), (2.0, 9.0, (16, 24))],
)
def test_a_stretch_is_like_a_video_of_its_own(tmp_path, sampling, start, end, expected):
    frames = moving_frames(24)
    path = write_lossless(tmp_path / "clip.mkv", frames, rate=8)
    converter = VideoConverter(3, (48, 64), sampling=sampling, frame_stride=2)
    part = frames[slice(*expected)]
    np.testing.assert_array_equal(converter(path, start=start, end=end), converter(part))
    drawn = converter(path, np.random.default_rng(5), start=start, end=end)
    np.testing.assert_array_equal(drawn, converter(part, np.random.default_rng(5)))
    views, indices = converter.views(path, clips=2, crops=3, start=start, end=end)
    expected_views, expected_indices = converter.views(part, clips=2, crops=3)
    np.testing.assert_array_equal(views, expected_views)
    np.testing.assert_array_equal(indices, expected_indices + expected[0])


def test_short_stretches_repeat_frames(tmp_path):
    frames = moving_frames(12)
    path = write_lossless(tmp_path / "clip.mkv", frames, rate=8)
    clip = VideoConverter(4, (48, 64))(path, start=0.5, end=0.75)
    np.testing.assert_array_equal(clip, frames[[4, 4, 5, 5]])


def test_a_damaged_stretch_is_taken_from_what_decodes(tmp_path, caplog):
    path = write_damaged(tmp_path / "clip.mov", moving_frames(16), first_bad=10)
    converter = VideoConverter(2, (48, 64))
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        _, indices = converter.views(path, start=1.0, end=2.0)
    assert indices.tolist() == [[8, 9]]
    assert "only the first 10 of its 16 frames" in caplog.text
    with pytest.raises(VideoError, match="only the first 10 of its 16 frames"):
        converter(path, start=1.25, end=2.0)


def test_stretches_that_no_video_has(tmp_path):
    path = write_lossless(tmp_path / "clip.mkv", moving_frames(12), rate=8)
    converter = VideoConverter(4, (48, 64))
    with pytest.raises(VideoError, match=r"clip\.mkv.*start must be within .* last 1\.5 s"):
        converter(path, start=1.5)
    with pytest.raises(VideoError, match=r"clip\.mkv.*end must be after start"):
        converter.views(path, start=1.0, end=0.5)
    with pytest.raises(ValueError, match="nothing says the frames per second"):
        converter(moving_frames(12), end=0.5)
    with pytest.raises(VideoError, match="nothing says the frames per second"):
        converter(write_frames(tmp_path / "7", moving_frames(3)), start=0.1)
