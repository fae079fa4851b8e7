"""What the page refuses, and the sentence that says so: by packets, before anything is decoded."""

import itertools
import math
import pathlib
import types

import numpy as np
import pytest
from data.make_videos import jpeg, moving_frames, write_video

from keras_mlp3d.app import Limits, Refused, limits
from keras_mlp3d.app.limits import Watch, check_video, in_bytes
from keras_mlp3d.data import read_video
from keras_mlp3d.data.video import file_reader
from keras_mlp3d.data.video.sources import Watched


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """20 frames at 8 per second: 2.5 s."""
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", moving_frames(20))


def sentence(path, **options):
    with pytest.raises(Refused) as error:
        check_video(str(path), Limits(**options))
    text = str(error.value)
    assert text[0].isupper()
    assert text.endswith(".")
    assert str(path) not in text  # the page names no folder of the server
    return text


def test_the_size_of_a_video(video):
    size = check_video(video, Limits(max_frames=20, max_seconds=2.5))
    assert size.frames == 20
    assert size.seconds == pytest.approx(2.5, abs=0.01)


def test_each_limit_has_its_sentence(video):
    assert "more than 19 frames" in sentence(video, max_frames=19)
    assert "lasts more than 2.25 seconds" in sentence(video, max_seconds=2.25)
    assert sentence(video, max_bytes=1000).endswith(
        "at most 1 kB are taken. Choose a shorter video."
    )


def test_the_pixels_of_all_frames(video, monkeypatch):
    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", 20 * 48 * 64)
    check_video(video, Limits())
    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", 20 * 48 * 64 - 1)
    assert "too many pixels: 20 of its pictures of 64 x 48" in sentence(video)


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """10 frames of 64 x 48, and then 10 of 192 x 144: nine times as many pixels."""
    folder = tmp_path_factory.mktemp("growing")
    parts = [
        write_video(folder / f"{height}.ts", moving_frames(10, height, width))
        for height, width in ((48, 64), (144, 192))
    ]
    path = folder / "both.ts"
    path.write_bytes(b"".join(pathlib.Path(part).read_bytes() for part in parts))
    return str(path)


@pytest.mark.parametrize("small", [0, 2**25])  # pixels of files that are decoded whole
@pytest.mark.parametrize("threads", [1, 2])
def test_pictures_count_by_their_true_size_while_they_are_decoded(
    growing, monkeypatch, small, threads
):
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", small)
    true = 10 * 48 * 64 + 10 * 144 * 192

    def read():
        watched = Watched(growing, Watch(growing, math.inf))
        for _ in range(2):  # a frame that is decoded again counts once
            frames, _ = read_video(watched, range(20), threads=threads)
        return frames

    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", true)
    assert check_video(growing, Limits()).frames == 20
    assert read().shape == (20, 48, 64, 3)
    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", true - 1)
    assert check_video(growing, Limits()).frames == 20  # by the first size, they are few
    with pytest.raises(Refused, match="too many pixels: its pictures change their size") as error:
        read()
    assert growing not in str(error.value)


@pytest.mark.parametrize("small", [0, 2**25])
def test_nothing_is_decoded_after_the_time(video, monkeypatch, small):
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", small)
    watch, calls = Watch(video, until=100.0), []
    monkeypatch.setattr(limits.time, "monotonic", lambda: 98.5 + len(calls))

    def counted(frames):
        calls.append(frames)
        watch(frames)

    with pytest.raises(Refused, match="The time for one video is over before it is decoded"):
        read_video(Watched(video, counted), range(20))
    assert len(calls) == 2  # the packet after which the time was over is the last


def test_several_frames_of_one_packet_count_each(monkeypatch):
    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", 5 * 8)
    watch = Watch("a.mp4", math.inf)
    frame = types.SimpleNamespace(pts=0, width=4, height=2)
    late = types.SimpleNamespace(pts=None, width=4, height=2)
    for frames in ([frame, frame], [], [frame, frame], [late], [late], [late]):
        watch(frames)
    with pytest.raises(Refused, match="too many pixels"):
        watch([late])


def test_no_packet_is_read_after_the_limit(video, monkeypatch):
    read = []
    packets_of = limits.packets_of

    def counted(container, stream):
        for packet in packets_of(container, stream):
            read.append(packet)
            yield packet

    monkeypatch.setattr(limits, "packets_of", counted)
    sentence(video, max_frames=5)
    assert len(read) == 6


def test_files_that_are_no_videos(tmp_path, video):
    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    picture = jpeg(moving_frames(1)[0])
    assert sentence(file("empty.mp4", b"")) == "The file is empty: it has no bytes."
    assert sentence(file("a.jpg", picture)) == "The file is a picture (JPEG), not a video."
    assert "(PNG)" in sentence(file("a.mp4", b"\x89PNG\r\n\x1a\n" + bytes(50)))
    assert "(WebP)" in sentence(file("b.mp4", b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(50)))
    noise = np.random.default_rng(0).bytes(4000)
    assert sentence(file("noise.mp4", noise)).startswith("The file is unreadable: it cannot be")
    assert sentence(tmp_path / "absent.mp4").startswith("The file cannot be read: No such file")
    with open(video, "rb") as whole:
        assert sentence(file("half.mp4", whole.read()[:400])).startswith("The file is unreadable:")


def test_a_video_of_one_frame(tmp_path):
    one = write_video(tmp_path / "one.mp4", moving_frames(1))
    assert sentence(one) == "The file holds a single picture. A video has at least two."


def test_damage_in_the_middle_is_left_to_the_reader(video, monkeypatch):
    packets_of = limits.packets_of

    def damaged(container, stream):
        yield from itertools.islice(packets_of(container, stream), 7)
        raise OSError("damage")

    monkeypatch.setattr(limits, "packets_of", damaged)
    assert check_video(video, Limits()).frames == 7


def test_a_video_whose_packets_have_no_times(video, monkeypatch):
    class Bare:
        pts = dts = duration = None

    monkeypatch.setattr(limits, "packets_of", lambda *_: iter([Bare()] * 4))
    assert check_video(video, Limits()) == (4, 0.0)


@pytest.mark.parametrize(
    "options",
    [{"max_bytes": 0}, {"max_seconds": -1}, {"max_frames": 1.5}, {"max_wait": float("inf")}],
)
def test_limits_are_positive_numbers(options):
    [name] = options
    with pytest.raises(ValueError, match=name):
        Limits(**options)


def test_numbers_of_bytes_as_text():
    given = (1, 999, 1000, 1_234_567, 999_999_999, 2_000_000_000)
    texts = ["1 bytes", "999 bytes", "1 kB", "1.23 MB", "1000 MB", "2 GB"]
    assert [in_bytes(count) for count in given] == texts
