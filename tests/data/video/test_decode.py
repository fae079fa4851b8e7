"""Videos written here, and the real and broken ones of the shared folder."""

import logging
import os
import pathlib
import pickle

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from data.make_videos import moving_frames, write_damaged, write_lossless, write_video

from keras_mlp3d.data.video import container, file_reader, packets
from keras_mlp3d.data.video.decode import VideoError, VideoInfo, probe_video, read_video
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.packets import Packets


def one_by_one(path):
    """Every frame, as PyAV's own loop decodes and converts it."""
    with av.open(path) as file:
        return np.stack(
            [f.to_ndarray(format="rgb24") for f in file.decode(file.streams.best("video"))]
        )


# What is read -----------------------------------------------------------------------------------


def test_lossless_frames_come_back_to_the_bit(tmp_path):
    frames = moving_frames(7, 30, 50)
    path = write_lossless(tmp_path / "clip.mkv", frames, rate=10)
    read, fps = read_video(path)
    np.testing.assert_array_equal(read, frames)
    assert read.dtype == np.uint8
    assert fps == 10.0
    assert probe_video(pathlib.Path(path)) == VideoInfo(7, 10.0, 30, 50, "ffv1", 0, 0.7)


@pytest.mark.parametrize(
    "indices", [[3], [6, 0, 3], [2, 2, 2], (5, 1, 5, 0), np.arange(7, dtype="uint8"), range(1, 6)]
)
def test_indices_in_any_order_and_repeated(tmp_path, indices):
    frames = moving_frames(7)
    path = write_lossless(tmp_path / "clip.mkv", frames)
    np.testing.assert_array_equal(read_video(path, indices)[0], frames[np.asarray(indices)])


def test_no_index_gives_no_frames_of_the_right_shape(tmp_path):
    path = write_lossless(tmp_path / "clip.mkv", moving_frames(3))
    assert read_video(path, [])[0].shape == (0, 48, 64, 3)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"g": 10, "bf": 3, "x264-params": "open-gop=0:scenecut=0"}),
        ("open.mp4", "libx264", {"g": 10, "bf": 3, "x264-params": "open-gop=1:scenecut=0"}),
        ("turning.mp4", "libx264", {"g": 12, "x264-params": "intra-refresh=1"}),
        ("matroska.mkv", "libx264", {"g": 10, "bf": 2}),
        ("hevc.mp4", "libx265", {"g": 10, "x265-params": "log-level=none:pools=none"}),
        ("vp9.webm", "libvpx-vp9", {"g": 10, "cpu-used": 8, "deadline": "realtime"}),
        ("mpeg4.mp4", "mpeg4", {"g": 10, "bf": 2}),
        ("old.avi", "mpeg4", {"g": 10}),
    ],
)
def test_skipping_changes_no_bit(tmp_path, monkeypatch, name, codec, options):
    path = write_video(tmp_path / name, moving_frames(60), codec, **options)
    expected = one_by_one(path)
    np.testing.assert_array_equal(read_video(path)[0], expected)
    np.testing.assert_array_equal(read_video(path, [59, 7])[0], expected[[59, 7]])
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", 0)  # as for large files
    starts = []
    decode = Packets.decoded

    def watched(self, start=0, *rest):
        starts.append(start)
        return decode(self, start, *rest)

    monkeypatch.setattr(Packets, "decoded", watched)
    for indices in ([59], [31], [0, 59], [9, 10, 11], [19, 20, 40, 41, 58], [28, 29, 30, 31, 32]):
        np.testing.assert_array_equal(read_video(path, indices)[0], expected[indices])
    monkeypatch.setattr(packets, "_KEPT_BYTES", 0)
    for indices in ([59], [5, 35, 55]):
        np.testing.assert_array_equal(read_video(path, indices)[0], expected[indices])
    assert (max(starts) >= 40) == (name != "turning.mp4"), starts


@pytest.mark.parametrize(("codec", "dropped"), [("libx264", True), ("mpeg4", False)])
def test_pictures_to_which_none_refers_are_dropped_and_no_bit_changes(
    tmp_path, monkeypatch, codec, dropped
):
    path = write_video(tmp_path / "clip.mp4", moving_frames(40), codec, bf=3, g=100)
    expected = one_by_one(path)
    indices = [0, 1, 5, 18, 19, 33, 38]
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", 0)
    np.testing.assert_array_equal(read_video(path, indices)[0], expected[indices])
    decode, counts = Packets.decoded, []

    def counted(self, *arguments):
        counts.append(0)
        for frame in decode(self, *arguments):
            counts[-1] += 1
            yield frame

    monkeypatch.setattr(Packets, "decoded", counted)
    with FileReader(path) as reader:
        assert [index for index, _ in reader.frames(indices)] == indices
        assert 7 < counts[-1] < 35 if dropped else counts[-1] >= 39
        assert reader.count() == 40  # the next reading drops nothing


def test_only_the_frames_asked_for_become_rgb(tmp_path, monkeypatch):
    path = write_lossless(tmp_path / "clip.mkv", moving_frames(20))
    converted = []
    picture = FileReader._picture
    monkeypatch.setattr(
        FileReader,
        "_picture",
        lambda self, frame, *fit: (converted.append(frame), picture(self, frame, *fit))[1],
    )
    read_video(path, [3, 5, 3])
    assert len(converted) == 2


# Color, depth, orientation ---------------------------------------------------------------------

PATCHES = np.zeros((2, 32, 32, 3), "uint8")
PATCHES[:, :16, :16] = 255
PATCHES[:, 16:, :16] = 255, 0, 0
PATCHES[:, 16:, 16:] = 0, 90, 255


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.ITU601, Colorspace.SMPTE240M])
def test_range_and_matrix_are_honoured(tmp_path, color_range, matrix):
    frames = [
        av.VideoFrame.from_ndarray(p, "rgb24").reformat(
            format="yuv444p", dst_colorspace=matrix, dst_color_range=color_range
        )
        for p in PATCHES
    ]

    def setup(stream):
        stream.codec_context.color_range = int(color_range)
        stream.codec_context.colorspace = frames[0].colorspace

    path = write_video(tmp_path / "clip.mp4", frames, pix_fmt="yuv444p", setup=setup, crf=0)
    read = read_video(path)[0].astype(int)
    assert np.abs(read - PATCHES).max() <= 3
    assert read.max() >= 253
    assert read.min() <= 2


def test_ten_bits_become_eight(tmp_path):
    frames = moving_frames(3)
    path = write_video(tmp_path / "clip.mkv", frames, codec="ffv1", pix_fmt="yuv444p10le")
    read = read_video(path)[0].astype(int)
    assert read.shape == frames.shape
    assert np.abs(read - frames).max() <= 2


@pytest.mark.parametrize(
    ("degrees", "mirror", "upright"),
    [
        (90, False, lambda p: np.rot90(p, 1)),
        (-90, False, lambda p: np.rot90(p, -1)),
        (180, False, lambda p: np.rot90(p, 2)),
        (0, True, lambda p: p[:, ::-1]),
        (45, False, lambda p: p),
    ],
)
def test_rotation_is_applied(tmp_path, degrees, mirror, upright):
    picture = np.zeros((32, 48, 3), "uint8")
    picture[:16, :24], picture[:16, 24:], picture[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = write_video(
        tmp_path / "clip.mp4",
        np.stack([picture] * 2),
        pix_fmt="yuv444p",
        setup=lambda stream: stream.set_display_rotation(degrees, hflip=mirror),
        crf=0,
    )
    read, _ = read_video(path)
    assert np.abs(read[1].astype(int) - upright(picture)).max() <= 4
    info = probe_video(path)
    assert (info.height, info.width) == upright(picture).shape[:2]
    assert info.rotation == {45: 0, 0: 180}.get(degrees, degrees)  # a mirroring reads as 180


def test_a_change_of_size_is_scaled_to_the_first(tmp_path):
    parts = [
        pathlib.Path(write_video(tmp_path / f"{height}.h264", moving_frames(4, height, 2 * height)))
        for height in (48, 64)
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, _ = read_video(path)
    assert frames.shape == (8, 48, 96, 3)
    assert np.abs(frames[4].astype(int) - frames[0]).mean() < 10  # the same picture, scaled


def test_the_default_stream_is_read_else_the_first(tmp_path):
    path = str(tmp_path / "clip.mkv")
    with av.open(path, "w") as file:
        streams = []
        for height in (32, 64):
            stream = file.add_stream("mpeg4", rate=8)
            stream.height, stream.width, stream.pix_fmt = height, height, "yuv420p"
            streams.append(stream)
        for stream in streams:
            picture = np.zeros((stream.height, stream.width, 3), "uint8")
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        for stream in streams:
            file.mux(stream.encode(None))
    assert read_video(path)[0].shape == (1, 32, 32, 3)


# What is refused --------------------------------------------------------------------------------


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such video file.*absent\.mp4"):
        read_video(tmp_path / "absent.mp4")
    with pytest.raises(VideoError, match="directory"):
        probe_video(tmp_path)
    with pytest.raises(ValueError, match=r"a video must be a path, .*got 3"):
        read_video(3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        read_video(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("content", [b"", b"words, not pictures\n" * 50, bytes(5000)])
def test_what_is_no_video(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4.*cannot be opened") as caught:
        read_video(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("name", "playlist"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_files_that_name_other_files_are_refused(tmp_path, name, playlist):
    write_video(tmp_path / "clip.mp4", moving_frames(3))
    (tmp_path / name).write_text(playlist)
    with pytest.raises(VideoError, match="cannot be opened"):
        read_video(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    path = str(tmp_path / "sound.mp4")
    with av.open(path, "w") as file:
        stream = file.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "float32"), "fltp", "mono")
        sound.sample_rate = 8000
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        probe_video(path)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([5], "frame 5 was asked for, and its frames are 0 to 4"),
        ([0, -1], "frame -1 was asked for"),
        ([0.0], "indices must be a flat sequence of integers.*float64"),
        ([[1]], r"indices must be a flat sequence.*\(1, 1\)"),
        ([True], "indices must be a flat sequence.*bool"),
    ],
)
def test_wrong_indices(tmp_path, indices, message):
    path = write_video(tmp_path / "clip.mp4", moving_frames(5))
    with pytest.raises(ValueError, match=message):
        read_video(path, indices)


def test_a_result_too_large_is_refused_before_it_is_allocated(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_frames(5))
    size = 48 * 64 * 3
    assert len(read_video(path, max_bytes=5 * size)[0]) == 5
    with pytest.raises(VideoError, match=f"{5 * size} bytes, over max_bytes \\({5 * size - 1}\\)"):
        read_video(path, max_bytes=5 * size - 1)
    with pytest.raises(VideoError, match="max_bytes"):
        read_video(path, [0] * 6, max_bytes=5 * size)


def test_pictures_too_large_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", moving_frames(2))
    monkeypatch.setattr(container, "MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(VideoError, match="64 x 48, more than 3071 pixels"):
        read_video(path)


def test_damage_ends_the_video(tmp_path, caplog):
    frames = moving_frames(9)
    path = write_damaged(tmp_path / "clip.mov", frames, first_bad=6)
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        assert probe_video(path).num_frames == 6
        read, _ = read_video(path)
    np.testing.assert_array_equal(read, frames[:6])
    assert f"{path}: only the first 6 of its 9 frames can be decoded" in caplog.text
    np.testing.assert_array_equal(read_video(path, [5, 1])[0], frames[[5, 1]])
    with pytest.raises(VideoError, match="only the first 6 of its 9 frames") as caught:
        read_video(path, [0, 7])
    assert caught.value.num_decodable == 6


def test_nothing_decodes(tmp_path):
    path = write_damaged(tmp_path / "clip.mov", moving_frames(4), first_bad=0)
    for call in (probe_video, read_video, lambda p: read_video(p, [2])):
        with pytest.raises(VideoError, match="none of its 4 frames can be decoded"):
            call(path)


def test_a_file_cut_short_gives_what_is_there(tmp_path):
    frames = moving_frames(30)
    whole = pathlib.Path(write_lossless(tmp_path / "whole.mkv", frames))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    read, _ = read_video(cut)
    assert 5 < len(read) < 25
    np.testing.assert_array_equal(
        read[:-1], frames[: len(read) - 1]
    )  # the last may be half a frame


def test_errors_survive_a_process_boundary():
    error = pickle.loads(pickle.dumps(VideoError("clip.mp4", "it is a poem", 3)))
    assert str(error) == "cannot read the video 'clip.mp4': it is a poem"
    assert (error.path, error.reason, error.num_decodable) == ("clip.mp4", "it is a poem", 3)


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_and_files_stay_flat(tmp_path):
    good = write_video(tmp_path / "good.mp4", moving_frames(8))
    bad = write_damaged(tmp_path / "bad.mov", moving_frames(8), first_bad=4)

    def use(times):
        for _ in range(times):
            read_video(good, [1, 7])
            with pytest.raises(VideoError):
                read_video(bad, [7])
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/fd"))

    megabytes, files = use(50)
    later_megabytes, later_files = use(150)
    assert later_files == files
    assert later_megabytes - megabytes < 8  # one leaked decoder a clip would be 150 MB


# The shared folder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "info"),
    [
        ("nasa_13013.mp4", VideoInfo(390, 30000 / 1001, 270, 480, "h264", 0)),
        ("av1_video.mkv", VideoInfo(125, 25.0, 360, 640, "av1", 0)),
        ("h265_10bits.mp4", VideoInfo(30, 30.0, 200, 200, "hevc", 0)),
        ("bt709_full_range.mp4", VideoInfo(30, 30.0, 720, 1280, "h264", 0)),
        ("mpeg4_with_audio.avi", VideoInfo(164, 25.0, 240, 320, "mpeg4", 0)),
        ("sar_1024_765.mp4", VideoInfo(300, 30.0, 256, 340, "h264", 0)),
        ("video_rotation_90.mp4", VideoInfo(1, 24.0, 100, 60, "h264", -90)),
        ("webm.webm", VideoInfo(1, None, 8, 8, "vp8", 0)),
        ("no_timescale.mp4", VideoInfo(8, 2500 / 83, 240, 320, "h264", 0)),
    ],
)
def test_real_videos(shared_dir, name, info):
    path = str(shared_dir / "videos" / name)
    assert probe_video(path) == info
    last = min(info.num_frames, 8) - 1
    frames, fps = read_video(path, [last, 0])
    assert frames.shape == (2, info.height, info.width, 3)
    assert fps == info.fps


def test_real_damage_and_real_skips(shared_dir):
    path = str(shared_dir / "videos" / "no_timescale.mp4")
    assert read_video(path)[0].shape == (8, 240, 320, 3)
    with pytest.raises(VideoError, match="only the first 8 of its 182 frames"):
        read_video(path, [100])
    path = str(shared_dir / "videos" / "nasa_13013.mp4")
    indices = [0, 251, 389]
    np.testing.assert_array_equal(read_video(path, indices)[0], one_by_one(path)[indices])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("invalid_userdata.mp4", "holds no frames, though its header promises 5544"),
        ("AudioVideoInterleave.avi", "holds no frames"),
        ("bipbop_cbcs_video_init.mp4", "holds no frames"),
        ("chunk_out_of_range.mp4", "cannot be opened as a video"),
        ("FlashVideo.flv", "cannot be opened as a video"),
        ("Mpeg4.mp4", "no video stream"),
        ("afconvert-aac-0.5s.mp4", "no video stream"),
        ("audio_only.mp3", "no video stream"),
    ],
)
def test_real_failures(shared_dir, name, reason):
    path = str(shared_dir / "videos" / name)
    for call in (probe_video, read_video, lambda p: read_video(p, [0])):
        with pytest.raises(VideoError, match=reason) as caught:
            call(path)
        assert name in str(caught.value)
