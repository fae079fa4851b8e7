"""Folders of numbered JPEG pictures, read as videos are."""

import logging
import pathlib

import numpy as np
import pytest
from data.make_videos import jpeg, moving_frames, write_frames

from keras_mlp3d.data.video import frame_folder
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.data.video.decode import VideoError, VideoInfo, probe_video, read_video
from keras_mlp3d.data.video.frame_folder import FrameFolder

FRAMES = moving_frames(6, 48, 64)


@pytest.fixture
def folder(tmp_path):
    path = pathlib.Path(write_frames(tmp_path / "7", FRAMES))
    (path / "notes.txt").write_text("no picture")
    (path / "12.jpg").mkdir()
    return path


def test_pictures_come_in_the_order_of_their_numbers(folder):
    assert probe_video(folder) == VideoInfo(6, None, 48, 64, "mjpeg", 0)
    read, fps = read_video(folder)
    assert fps is None
    assert read.shape == FRAMES.shape
    difference = np.abs(read.astype(int) - FRAMES)
    assert difference.mean() < 2
    # The blue of a frame tells which it is: steps of 33.
    blue = read[:, 40, 40, 2].astype(int)
    assert np.abs(blue - FRAMES[:, 40, 40, 2]).max() <= 3
    np.testing.assert_array_equal(read_video(folder, [5, 0, 5])[0], read[[5, 0, 5]])


def test_a_converter_takes_a_folder(folder):
    converter = VideoConverter(3, (48, 48))
    np.testing.assert_array_equal(converter(folder), converter(read_video(folder)[0]))
    assert converter.views(str(folder), clips=2, crops=3)[0].shape == (6, 3, 48, 48, 3)


def test_only_pictures_asked_for_are_decoded(folder, monkeypatch):
    decoded, decode = [], FrameFolder._decode
    monkeypatch.setattr(
        FrameFolder,
        "_decode",
        lambda self, index: (decoded.append(self.picture_name(index)), decode(self, index))[1],
    )
    read_video(folder, [4])
    assert decoded == ["00001.jpg", "00005.jpg"]  # the first tells the size


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_colors_have_full_range(tmp_path, pix_fmt):
    colors = np.zeros((5, 32, 32, 3), "uint8")
    colors[:] = np.array(
        [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 90, 255], [90, 200, 30]], "uint8"
    )[:, None, None]
    read, _ = read_video(write_frames(tmp_path / "a", colors, pix_fmt=pix_fmt))
    assert np.abs(read.astype(int) - colors).max() <= 3


def test_a_picture_of_another_size_is_scaled_to_the_first(folder):
    (folder / "00002.jpg").write_bytes(jpeg(np.full((96, 32, 3), 200, "uint8")))
    read, _ = read_video(folder)
    assert read.shape == FRAMES.shape
    assert np.abs(read[1].astype(int) - 200).max() <= 2


@pytest.mark.parametrize("first", [0, 1, 17])
def test_numbers_start_anywhere_and_need_no_zeros(tmp_path, first):
    folder = pathlib.Path(write_frames(tmp_path / "a", moving_frames(12)[:, :8, :8], first))
    for path in list(folder.iterdir()):
        path.rename(folder / f"{int(path.stem)}.JPEG")
    blue = read_video(folder)[0][:, 4, 4, 2].astype(int)
    assert (np.diff(blue) > 8).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "00003.jpg").unlink(), "number 3 of its numbered pictures is missing"),
        (lambda f: (f / "3.jpg").write_bytes(b""), "two of its pictures have the number 3"),
        (lambda f: (f / "999999999.jpg").write_bytes(b""), "number 7 .* is missing"),
        (lambda f: [p.unlink() for p in f.glob("0*.jpg")], "without numbered JPEG pictures"),
    ],
)
def test_wrong_folders_are_named(folder, change, message):
    change(folder)
    with pytest.raises(VideoError, match=message) as info:
        read_video(folder)
    assert info.value.path == str(folder)


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"\xff\xd8" * 99]
)
def test_damage_ends_the_video_and_is_told(folder, damage, caplog):
    picture = folder / "00004.jpg"
    picture.write_bytes(damage(picture.read_bytes()))
    with pytest.raises(VideoError, match=r"only the first 3 of its 6 frames.*00004\.jpg") as info:
        read_video(folder, [3, 5])
    assert info.value.num_decodable == 3
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        assert len(read_video(folder)[0]) == 3
        clip = VideoConverter(3, (48, 64))(folder)
    assert "only the first 3 of its 6 frames can be decoded" in caplog.text
    np.testing.assert_array_equal(clip, read_video(folder, [0, 1, 2])[0])


def test_no_picture_at_all(folder):
    for picture in folder.glob("0*.jpg"):
        picture.write_bytes(b"no picture")
    with pytest.raises(VideoError, match="none of its 6 frames can be decoded"):
        probe_video(folder)


def test_limits(folder, monkeypatch):
    with pytest.raises(VideoError, match="max_bytes"):
        read_video(folder, max_bytes=6 * 48 * 64 * 3 - 1)
    monkeypatch.setattr(frame_folder, "_MAX_PICTURE_BYTES", 100)
    with pytest.raises(VideoError, match=r"00001\.jpg has more than 100 bytes"):
        read_video(folder)


def test_a_header_that_claims_a_huge_picture(folder):
    path = folder / "00001.jpg"
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(VideoError, match="none of its 6 frames"):
        read_video(folder)
