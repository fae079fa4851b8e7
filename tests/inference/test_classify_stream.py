"""The newest window of a stream: over loopback, at the pace of a camera."""

import contextlib
import http.server
import importlib
import io
import itertools
import socket
import threading
import time

import av
import numpy as np
import pytest
from data.make_videos import moving_frames, write_video

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Frames, VideoConverter, VideoError, read_video
from keras_mlp3d.inference import classify_stream
from keras_mlp3d.inference.score_views import score_views

module = importlib.import_module("keras_mlp3d.inference.classify_stream")
RATE, SIDE = 20, 48


def network():
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "short_range:1")
    return MLP3D(backbone, 3, converter=VideoConverter(4, (32, 32)))


def frame(number):
    """Brighter with every frame, so that a clip shows which frames it is of."""
    return np.full((SIDE, SIDE, 3), 4 * number % 256, "uint8")


def test_pictures_are_taken_at_equal_steps_of_time():
    """Half a second at 100 frames a second, then two seconds at 4: four fifths are of the rest."""
    times = [*np.arange(50) / 100, *(0.5 + np.arange(9) / 4)]
    shown = module._even(times, [*range(50), *range(50, 59)])
    assert len(shown) == 59
    assert shown == sorted(shown)
    assert sum(place < 50 for place in shown) == pytest.approx(59 * 0.5 / 2.5, abs=2)
    steady = list(range(20))
    assert module._even([place / RATE for place in steady], steady) is steady
    assert module._even([0.0], steady[:1]) == [0]


@pytest.mark.parametrize("turn", [None, 90, 180, 270])
def test_frames_are_upright(tmp_path, turn):
    turned = None if turn is None else lambda stream: stream.set_display_rotation(turn)
    path = write_video(tmp_path / "a.mp4", moving_frames(3, 32, 48), setup=turned)
    pictures, _ = read_video(path, [0])
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        np.testing.assert_array_equal(module._upright(frame), pictures[0])


def encoded(count):
    """The packets of a stream of `count` frames, as bytes."""
    sink, parts = io.BytesIO(), []
    with av.open(sink, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=RATE, width=SIDE, height=SIDE)
        stream.pix_fmt, stream.gop_size, stream.max_b_frames = "yuv420p", 1, 0
        for number in itertools.count():
            picture = av.VideoFrame.from_ndarray(frame(number), "rgb24") if number < count else None
            container.mux(stream.encode(picture))
            parts.append(sink.getvalue())
            sink.seek(0)
            sink.truncate()
            if picture is None:
                break
    return [*parts, sink.getvalue()]


@contextlib.contextmanager
def served(parts, pause=1 / RATE, status=200, ends=True):
    """Sends the parts one after the other, with a pause between them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(status)
            how = ("Transfer-Encoding", "chunked") if ends else ("Content-Length", str(10**6))
            self.send_header(*how)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for part in (part for part in parts if part):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if ends else part)
                    time.sleep(pause)
                if ends:
                    self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/camera"
    finally:
        server.shutdown()
        server.server_close()


def test_windows_of_a_camera(monkeypatch):
    model, clips = network(), []

    def recorded(model, views, size):
        clips.append(views[0])
        return score_views(model, views, size)

    monkeypatch.setattr(module, "score_views", recorded)
    with served(encoded(40)) as address:
        windows = list(classify_stream(model, address, window=0.5, hop=0.25))
    assert len(windows) >= 2
    ends = [end for _, end, _ in windows]
    assert ends[-1] == pytest.approx(39 / RATE)  # the last one is what there was in the end
    assert all(later - end >= 0.25 - 1e-6 for end, later in itertools.pairwise(ends[:-1]))
    for (start, end, scores), clip in zip(windows, clips, strict=True):
        assert end - start == pytest.approx(0.5)
        newest = round(end * RATE)
        seen = Frames([frame(number) for number in range(newest - 10, newest + 1)], RATE)
        expected = model.converter(seen)
        # They were compressed; frames that follow each other differ by 4.
        np.testing.assert_allclose(clip.astype(int), expected.astype(int), atol=1)
        np.testing.assert_array_equal(scores, score_views(model, clip[None], 1)[0])
        assert scores.sum() == pytest.approx(1)


def test_a_stream_shorter_than_a_window():
    with served(encoded(8)) as address:
        [(start, end, _)] = classify_stream(network(), address, window=5.0)
    assert (start, end) == (0, pytest.approx(7 / RATE))


def test_a_stream_that_breaks_off():
    with served(encoded(20), ends=False) as address:
        windows = classify_stream(network(), address, window=0.3, hop=0.1)
        ends = []
        with pytest.raises(VideoError, match=r"127\.0\.0\.1"):  # noqa: PT012
            for _, end, _ in windows:
                ends.append(end)
    assert ends[-1] > 0.5  # what came before is not lost


def test_a_slow_network_sees_the_newest_window():
    model = network()
    score_views(model, np.zeros((1, 4, 32, 32, 3), "uint8"), 1)  # compiled before the camera runs
    with served(encoded(60)) as address:
        ends = []
        for _, end, _ in classify_stream(model, address, window=0.3, hop=0.05):
            ends.append(end)
            time.sleep(0.5)
    assert len(ends) >= 3
    lags = np.diff(ends)
    assert lags.mean() > 0.3  # not the 0.05 of each hop


def test_a_camera_that_is_let_go():
    windows = classify_stream(network(), "udp://127.0.0.1:1", window=0.2)
    windows.close()  # nothing was opened yet
    with served(encoded(200)) as address:
        windows = classify_stream(network(), address, window=0.2, hop=0.1)
        next(windows)
        windows.close()
        names = [thread.name for thread in threading.enumerate()]
    assert "keras_mlp3d stream" not in names


def test_memory_is_that_of_a_window(monkeypatch):
    monkeypatch.setattr(module, "_MAX_BYTES", 6 * SIDE * SIDE * 3)
    feed = module._Feed(None, window=5.0)
    for number in range(100):
        if number % feed._every == 0:
            feed._add(number / RATE, frame(number))
        assert len(feed._frames) <= 6
    times, pictures = feed.newest(4.0, -1.0)
    assert feed._every > 1
    assert np.ptp(times) > 2.5  # of the whole window, only fewer frames
    assert [int(picture.max()) for picture in pictures] == [
        int(frame(round(second * RATE)).max()) for second in times
    ]


def test_a_camera_that_turns(monkeypatch):
    feed = module._Feed(None, window=5.0)
    feed._add(0.0, np.zeros((4, 6, 3), "uint8"))
    feed._add(0.1, np.zeros((6, 4, 3), "uint8"))
    assert [picture.shape for picture in feed.newest(0.1, -1.0)[1]] == [(6, 4, 3)]


@pytest.mark.parametrize(
    ("parts", "status"),
    [([b"<html>no camera</html>" * 50], 200), ([], 200), ([b"not found"], 404)],
)
def test_no_stream(parts, status):
    with served(parts, 0, status) as address:
        windows = classify_stream(network(), address)
        with pytest.raises(VideoError, match=r"127\.0\.0\.1"):
            next(windows)


def test_a_camera_that_sends_nothing(monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(VideoError, match=r"it sent nothing for 0\.5 seconds"):
            next(classify_stream(network(), address))


def test_nobody_answers():
    with pytest.raises(VideoError, match=r"127\.0\.0\.1:1"):
        next(classify_stream(network(), "http://127.0.0.1:1/camera"))


@pytest.mark.parametrize(
    "source",
    [
        -1,
        True,
        1.5,
        None,
        "",
        "video.mp4",
        "file:///etc/passwd",
        "concat:a|b",
        "/dev/../etc/passwd",
    ],
)
def test_wrong_sources(source):
    with pytest.raises(ValueError, match="source must be the number of a camera"):
        classify_stream(network(), source)


@pytest.mark.parametrize(("name", "value"), [("window", 0), ("hop", -1.0)])
def test_wrong_times(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        classify_stream(network(), 0, **{name: value})


@pytest.mark.parametrize(
    ("platform", "source", "expected"),
    [
        ("linux", 1, ("/dev/video1", "v4l2")),
        ("linux", "/dev/video0", ("/dev/video0", "v4l2")),
        ("darwin", 0, ("0", "avfoundation")),
        ("win32", "video=Camera", ("video=Camera", "dshow")),
        ("linux", "RTSP://host/live", ("RTSP://host/live", None)),
    ],
)
def test_addresses(monkeypatch, platform, source, expected):
    monkeypatch.setattr(module.sys, "platform", platform)
    assert module._address_of(source)[:2] == expected


def test_a_number_on_windows(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "win32")
    with pytest.raises(ValueError, match="give 'video=NAME'"):
        module._address_of(0)
