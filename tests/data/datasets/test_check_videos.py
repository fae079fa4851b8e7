"""Every file decoded, every error told, in order and with bounded memory."""

import contextlib
import csv
import io
import os
import pathlib
import threading
import time

import pytest
from data.make_videos import (
    moving_frames,
    write_damaged,
    write_frames,
    write_lossless,
    write_video,
)

from keras_mlp3d.data import (
    Frames,
    Manifest,
    VideoCheck,
    VideoRow,
    check_videos,
    read_csv,
    write_check_report,
)
from keras_mlp3d.data.datasets.truncation import missing_bytes
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.sources import LazySource


def manifest_of(*rows):
    rows = [row if isinstance(row, VideoRow) else VideoRow(row, 0) for row in rows]
    return Manifest(rows, ["x"], "val")


@pytest.mark.parametrize(("workers", "isolate"), [(1, True), (3, True), (None, False)])
def test_good_and_bad_files_in_order(tmp_path, workers, isolate):
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
    checks = list(check_videos(manifest_of(*paths), workers, isolate=isolate))
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
    checks = list(check_videos(manifest_of(*rows), 1, isolate=False))
    assert [(check.path, check.frames, check.error) for check in checks] == [
        (path, 16, ""),
        (other, 8, ""),
    ]
    assert counted == [path, other]
    [found] = check_videos(manifest_of(rows[0], VideoRow(path, 0, 2.5)), 1)
    assert (found.frames, found.error) == (
        16,
        "start must be within the video, got 2.5 s: its 16 frames last 2 s",
    )


def test_no_picture_becomes_rgb(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", moving_frames(9))
    monkeypatch.setattr(FileReader, "_picture", None)
    assert next(check_videos(manifest_of(path), 1, isolate=False)).frames == 9


def test_no_more_than_a_few_files_are_under_way(monkeypatch):
    started = []
    monkeypatch.setattr("os.path.exists", lambda path: started.append(path))
    checks = check_videos(manifest_of(*(f"{i}.mp4" for i in range(200))), 2, isolate=False)
    assert not started
    assert next(checks).path == "0.mp4"
    assert len(started) <= 10
    checks.close()
    assert len(started) <= 10
    assert not [t for t in threading.enumerate() if t.name.startswith("keras_mlp3d-check")]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_wrong_workers(workers):
    with pytest.raises(ValueError, match="workers must be a positive integer, got"):
        check_videos(manifest_of("a.mp4"), workers)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"manifest must be a data.Manifest, got str"):
        check_videos("a.csv")
    for limit in (0, 0.5, float("nan"), float("inf"), -1):
        with pytest.raises(ValueError, match="time_limit must be a number of at least 1, got"):
            check_videos(manifest_of("a.mp4"), time_limit=limit)
    for limit in ("60", None, True):
        with pytest.raises(ValueError, match="time_limit must be a number of at least 1"):
            check_videos(manifest_of("a.mp4"), time_limit=limit)


# Files that do worse than fail ------------------------------------------------------------------

#: What stands in for FFmpeg in the child, by the file's name: it crashes, hangs, raises.
DREADFUL = r"""
import ctypes, os
from keras_mlp3d._utils.child_process import serve
from keras_mlp3d.data.datasets import check_file

opened, real = [], check_file.open_video

def open_video(source):
    name = os.path.basename(source)
    opened.append(name)
    if name == "crash.mkv" or (name == "late.mkv" and "spoils.mkv" in opened):
        os.kill(os.getpid(), 11)
    if name == "hang.mkv":
        ctypes.CDLL(None).sleep(600)
    if name == "exit.mkv":
        os._exit(7)
    if name in errors:
        raise errors[name]
    return real(source)

errors = {
    "index.mkv": IndexError("list index out of range"),
    "memory.mkv": MemoryError(),
    "system.mkv": OSError(5, "Input/output error"),
    "text.mkv": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
}
check_file.open_video = open_video
serve(check_file.check_file)
"""


@pytest.fixture
def dreadful(tmp_path, monkeypatch):
    """Function that writes whole videos of some names and checks them, where names decide."""
    monkeypatch.setattr("keras_mlp3d.data.datasets.check._PROGRAM", DREADFUL)

    def checked(*names, workers=1, **options):
        paths = [write_lossless(tmp_path / name, moving_frames(4, 16, 16)) for name in names]
        checks = list(check_videos(manifest_of(*paths), workers, **options))
        assert [found.path for found in checks] == paths
        return [(found.frames, found.error) for found in checks]

    return checked


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_gets_its_check_whatever_it_does(dreadful, workers):
    expected = {
        "a.mkv": (4, ""),
        "crash.mkv": (0, "it crashes the process that decodes it (SIGSEGV)"),
        "b.mkv": (4, ""),
        "index.mkv": (0, "IndexError: list index out of range"),
        "memory.mkv": (0, "MemoryError"),
        "system.mkv": (0, "Input/output error"),
        "exit.mkv": (0, "it crashes the process that decodes it (exit code 7)"),
        "hang.mkv": (0, "it hangs: no progress for 1 s while it was read and decoded"),
        "text.mkv": (0, "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: "
                     "invalid start byte"),
        "c.mkv": (4, ""),
    }  # fmt: skip
    assert dreadful(*expected, workers=workers, time_limit=1) == [*expected.values()]


def test_any_error_of_a_thread_is_the_files(tmp_path, monkeypatch):
    def failing(source):
        raise IndexError("list index out of range")

    monkeypatch.setattr("keras_mlp3d.data.datasets.check_file.open_video", failing)
    [found] = check_videos(manifest_of("a.mkv"), 1, isolate=False)
    assert (found.frames, found.error) == (0, "IndexError: list index out of range")


def test_a_file_does_not_pay_for_the_one_before_it(dreadful):
    assert dreadful("spoils.mkv", "late.mkv", "a.mkv") == [(4, "")] * 3


def test_no_process_is_left(dreadful, tmp_path):
    before = children()
    dreadful("a.mkv", "crash.mkv", "b.mkv", workers=2)
    path = write_lossless(tmp_path / "hang.mkv", moving_frames(4, 16, 16))
    checks = check_videos(manifest_of(str(tmp_path / "a.mkv"), path), 2)
    assert next(checks).frames == 4
    start = time.monotonic()
    checks.close()
    assert time.monotonic() - start < 5
    assert children() <= before
    assert not [t for t in threading.enumerate() if t.name.startswith("keras_mlp3d-check")]


def children():
    """Process ids of this process's children that run."""
    found = set()
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z" and int(parent) == os.getpid():
                found.add(stat.parent.name)
    return found


def test_relative_paths_survive_a_change_of_folder(tmp_path, monkeypatch):
    for name in "ab":
        write_lossless(tmp_path / f"{name}.mkv", moving_frames(4, 16, 16))
    monkeypatch.chdir(tmp_path)
    checks = check_videos(manifest_of("a.mkv", "b.mkv"), 1)
    first = next(checks)
    monkeypatch.chdir("/")
    assert [(found.path, found.frames) for found in (first, *checks)] == [
        ("a.mkv", 4),
        ("b.mkv", 4),
    ]


def test_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9\n.mkv")
    path = write_lossless(tmp_path / "a.mkv", moving_frames(4, 16, 16))
    os.rename(path, tmp_path / name)
    checks = list(check_videos(manifest_of(str(tmp_path / name)), 1))
    assert [(found.path, found.frames) for found in checks] == [(str(tmp_path / name), 4)]
    write_check_report(checks, tmp_path / "report.csv")
    assert b"caf\xe9\n.mkv" in (tmp_path / "report.csv").read_bytes()
    with open(tmp_path / "report.csv", newline="", errors="surrogateescape") as file:
        assert [row[0] for row in csv.reader(file)] == ["file", str(tmp_path / name)]


def test_videos_in_memory(tmp_path, monkeypatch):
    """Bytes are decoded in the child, where they may crash; frames need no decoding."""
    monkeypatch.setattr(
        "keras_mlp3d.data.datasets.check._PROGRAM",
        DREADFUL.replace("name = os.path.basename(source)", BYTES),
    )
    path = write_lossless(tmp_path / "a.mkv", moving_frames(4, 16, 16))
    content = pathlib.Path(path).read_bytes()

    def failing():
        raise KeyError("image")

    rows = [
        VideoRow(content, 0),
        VideoRow(content + b"crash", 0),
        VideoRow(io.BytesIO(content + b" "), 0),
        VideoRow(moving_frames(5, 16, 16), 0),
        VideoRow(list(moving_frames(6, 16, 16)), 0),
        VideoRow(Frames(moving_frames(7, 16, 16), fps=8, name="camera"), 0, start=0.5),
        VideoRow(LazySource("row 1", lambda: content), 0),
        VideoRow(LazySource("row 2", lambda: path), 0),
        VideoRow(LazySource("row 3", failing), 0),
        VideoRow(b"no video", 0),
    ]
    for isolate in (True, False):
        rows = rows if isolate else [rows[0], *rows[2:]]
        checks = list(check_videos(manifest_of(*rows), 2, isolate=isolate))
        assert [found.path for found in checks] == [row.name for row in rows]
        frames = [4, 0, 4, 5, 6, 7, 4, 4, 0, 0]
        assert [found.frames for found in checks] == (frames if isolate else [4, *frames[2:]])
        errors = [found.error for found in checks if found.error]
        if isolate:
            assert errors.pop(0) == "it crashes the process that decodes it (SIGSEGV)"
        assert "it cannot be fetched (" in errors[0]
        assert "image" in errors[0]
        assert "cannot be opened as a video" in errors[1]
        assert len(errors) == 2


BYTES = """name = "crash.mkv" if isinstance(source, bytes) and source.endswith(b"crash") else "" """


# Reports ----------------------------------------------------------------------------------------


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
        [found] = check_videos(manifest_of(path), 1)
        assert found.error
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
    checks = [
        VideoCheck('a, "b"\n.mp4', "h264", 3, promised=3, note="read in order"),
        VideoCheck("c.mp4", "", 0, "gone, alas"),
    ]
    write_check_report(checks, report)
    with open(report, newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "codec", "frames", "error", "promised", "note"],
            ['a, "b"\n.mp4', "h264", "3", "", "3", "read in order"],
            ["c.mp4", "", "0", "gone, alas", "", ""],
        ]
    before = report.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*report\.csv'$"):
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
