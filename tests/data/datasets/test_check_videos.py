"""Every file decoded, every error told, in order and with bounded memory."""

import csv
import pathlib
import threading

import pytest
from data.make_videos import (
    moving_frames,
    write_damaged,
    write_frames,
    write_lossless,
    write_video,
)

from keras_mlp3d.data import (
    Manifest,
    VideoCheck,
    VideoRow,
    check_videos,
    read_csv,
    write_check_report,
)
from keras_mlp3d.data.datasets.truncation import missing_bytes
from keras_mlp3d.data.video.file_reader import FileReader


def manifest_of(*rows):
    rows = [row if isinstance(row, VideoRow) else VideoRow(row, 0) for row in rows]
    return Manifest(rows, ["x"], "val")


@pytest.mark.parametrize("workers", [1, 3, None])
def test_good_and_bad_files_in_order(tmp_path, workers):
    (tmp_path / "notes.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    paths = [
        write_video(tmp_path / "a.mp4", moving_frames(9)),
        write_damaged(tmp_path / "b.mov", moving_frames(9), first_bad=5),
        str(tmp_path / "notes.mp4"),
        write_frames(tmp_path / "7", moving_frames(3)),
        str(tmp_path / "gone.mp4"),
        str(tmp_path / "empty"),
        write_video(tmp_path / "d.webm", moving_frames(4), "libvpx-vp9", deadline="realtime"),
        write_damaged(tmp_path / "e.mov", moving_frames(4), first_bad=0),
    ]
    checks = list(check_videos(manifest_of(*paths), workers))
    assert [(check.path, check.codec, check.frames) for check in checks] == [
        (path, *found)
        for path, found in zip(
            paths,
            [
                ("h264", 9),
                ("png", 5),
                ("", 0),
                ("mjpeg", 3),
                ("", 0),
                ("", 0),
                ("vp9", 4),
                ("png", 0),
            ],
            strict=True,
        )
    ]
    errors = [check.error for check in checks]
    assert [bool(error) for error in errors] == [
        path not in (paths[0], paths[3], paths[6]) for path in paths
    ]
    for number, words in (
        (1, "only the first 5 of its 9 frames can be decoded; a frame cannot be decoded"),
        (2, "cannot be opened as a video"),
        (4, "no such video file"),
        (5, "a directory without numbered JPEG pictures"),
        (7, "none of its 4 frames can be decoded"),
    ):
        assert words in errors[number]


def test_a_file_is_decoded_once_and_its_stretches_are_looked_at(tmp_path, monkeypatch):
    path = write_lossless(tmp_path / "a.mkv", moving_frames(16), rate=8)
    other = write_lossless(tmp_path / "b.mkv", moving_frames(8), rate=8)
    counted, count = [], FileReader.count
    monkeypatch.setattr(
        FileReader, "count", lambda self: (counted.append(self.path), count(self))[1]
    )
    rows = [VideoRow(path, 0, 0, 1), VideoRow(other, 0), VideoRow(path, 0, 1, 2)]
    assert list(check_videos(manifest_of(*rows), 1)) == [
        VideoCheck(path, "ffv1", 16),
        VideoCheck(other, "ffv1", 8),
    ]
    assert counted == [path, other]
    [check] = check_videos(manifest_of(rows[0], VideoRow(path, 0, 2.5)), 1)
    assert (check.frames, check.error) == (
        16,
        "`start` must lie within the video, received 2.5 s: its 16 frames last 2 s",
    )


def test_no_picture_becomes_rgb(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", moving_frames(9))
    monkeypatch.setattr(FileReader, "_picture", None)
    assert next(check_videos(manifest_of(path), 1)).frames == 9


def test_no_more_than_a_few_files_are_under_way(monkeypatch):
    started = []
    monkeypatch.setattr("os.path.exists", lambda path: started.append(path))
    checks = check_videos(manifest_of(*(f"{i}.mp4" for i in range(200))), 2)
    assert not started
    assert next(checks).path == "0.mp4"
    assert len(started) <= 10
    checks.close()
    assert len(started) <= 10
    assert not [t for t in threading.enumerate() if t.name.startswith("keras_mlp3d-check")]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_wrong_arguments(workers):
    with pytest.raises(ValueError, match="`workers` must be a whole number of at least 1"):
        check_videos(manifest_of("a.mp4"), workers)
    with pytest.raises(ValueError, match=r"`manifest` must be a Manifest, received 'a\.csv'"):
        check_videos("a.csv")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "ffv1", {"pix_fmt": "bgr0"}),
        ("a.webm", "libvpx-vp9", {"deadline": "realtime"}),
        ("a.avi", "mpeg4", {}),
        ("a.mov", "png", {"pix_fmt": "rgb24"}),
    ],
)
def test_a_file_that_breaks_off(tmp_path, name, codec, options):
    path = pathlib.Path(write_video(tmp_path / name, moving_frames(20), codec, **options))
    assert [check.error for check in check_videos(manifest_of(path), 1)] == [""]
    data = path.read_bytes()
    assert missing_bytes(path) == 0
    for kept in (len(data) * 2 // 3, len(data) - 1):
        path.write_bytes(data[:kept])
        short = missing_bytes(path)
        if name != "a.mov":
            assert short == len(data) - kept
        [check] = check_videos(manifest_of(path), 1)
        assert check.error
    path.write_bytes(data + bytes(99))
    assert missing_bytes(path) == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", 0),
        (b"\0" * 99, 0),
        (b"\x1a\x45\xdf\xa3", 0),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7, 0),  # size left open
        (b"\x1a\x45\xdf\xa3\x81\0\x18\x53\x80\x67\x40\x05ab", 3),
        (b"RIFF\x0a\0\0\0AVI ab", 4),
        (b"RIFF\xff\xff\xff\xffAVI ab", 0),
        (b"\0\0\0\x08ftyp\0\0\0\x0amdata", 1),
        (b"\0\0\0\x08ftyp\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abc", 1),
        (b"\0\0\0\x08ftyp\0\0\0\0mdata", 0),  # to the end
        (b"\0\0\0\x08ftyp\0\0\0\x0afreea", 0),
        (b"\0\0\0\x08free" * 20_000, 0),
    ],
)
def test_missing_bytes(tmp_path, content, expected):
    (tmp_path / "a").write_bytes(content)
    assert missing_bytes(tmp_path / "a") == expected


def test_report(tmp_path, monkeypatch):
    report = tmp_path / "report.csv"
    checks = [VideoCheck('a, "b"\n.mp4', "h264", 3), VideoCheck("c.mp4", "", 0, "gone, alas")]
    write_check_report(checks, report)
    with open(report, newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "codec", "frames", "error"],
            ['a, "b"\n.mp4', "h264", "3", ""],
            ["c.mp4", "", "0", "gone, alas"],
        ]
    before = report.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_check_report(checks[:1], report)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]


def test_real_videos(shared_dir, tmp_path):
    videos = shared_dir / "videos"
    files = sorted(p for p in videos.iterdir() if p.suffix not in (".md", ".mp3"))
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"{p},x\n" for p in files))
    manifest = read_csv(tmp_path / "list.csv")
    checks = {check.path.rpartition("/")[2]: check for check in check_videos(manifest)}
    whole = {name: check.frames for name, check in checks.items() if not check.error}
    assert whole == {
        "av1_video.mkv": 125,
        "bt709_full_range.mp4": 30,
        "h265_10bits.mp4": 30,
        "mpeg4_with_audio.avi": 164,
        "nasa_13013.mp4": 390,
        "sar_1024_765.mp4": 300,
        "video_rotation_90.mp4": 1,
        "webm.webm": 1,
    }
    assert checks["no_timescale.mp4"].frames == 8
    assert "only the first 8 of" in checks["no_timescale.mp4"].error
    assert "promises 5544" in checks["invalid_userdata.mp4"].error
