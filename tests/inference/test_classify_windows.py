"""Scores over time: each window as its part of the video alone, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from data.make_videos import moving_frames, write_damaged, write_lossless
from inference.test_classify import CONVERTER, NAMES, logits_of, quick, softmax, tiny_model

from keras_mlp3d.data import Frames, VideoConverter, VideoError
from keras_mlp3d.data.video.file_reader import FileReader
from keras_mlp3d.data.video.reader import Reader
from keras_mlp3d.inference import classify_windows
from keras_mlp3d.inference.windows import clips_of_windows, window_times


@pytest.fixture
def model():
    return quick(tiny_model(class_names=NAMES))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Seven seconds at ten frames a second, wider than high."""
    return write_lossless(
        tmp_path_factory.mktemp("videos") / "wide.mkv", moving_frames(70, 36, 60), rate=10
    )


@pytest.mark.parametrize("converter", [
    CONVERTER,
    VideoConverter(8, (32, 32), sampling="dense", frame_stride=2),
    VideoConverter(40, (32, 40), crop="none"),
    VideoConverter(8, (32, 32), crop="random", resize=40),
], ids=["uniform", "dense", "more frames than a window", "random"])  # fmt: skip
@pytest.mark.parametrize(("window", "hop"), [(2.0, 0.5), (1.0, 1.0), (0.5, 2.0), (1.3, 0.7)])
def test_each_clip_is_that_of_its_part(video, converter, window, hop):
    found = list(clips_of_windows(converter, video, window, hop))
    assert [[start, end] for start, end, _ in found] == window_times(7.0, window, hop).tolist()
    for start, end, clip in found:
        expected = converter.read(video, start=start, end=end).frames[0]
        np.testing.assert_array_equal(clip, expected)


@pytest.mark.parametrize(
    ("duration", "window", "hop", "expected"),
    [
        (7.0, 2.0, 2.5, [(0.0, 2.0), (2.5, 4.5), (5.0, 7.0)]),
        (7.1, 2.0, 2.5, [(0.0, 2.0), (2.5, 4.5), (5.0, 7.0), (5.1, 7.1)]),
        (2.0, 2.0, 0.1, [(0.0, 2.0)]),
        (0.4, 2.0, 0.1, [(0.0, 0.4)]),
        (1.0, 0.3, 0.1, [(round(k / 10, 6), round(k / 10 + 0.3, 6)) for k in range(8)]),
    ],
)
def test_times(duration, window, hop, expected):
    assert window_times(duration, window, hop).tolist() == [list(pair) for pair in expected]


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_scores_are_those_of_each_part(model, video, batch_size):
    found = list(classify_windows(model, video, 2.0, 0.7, batch_size))
    assert len(found) == 9
    for start, end, scores in found:
        clip = CONVERTER(video, start=start, end=end)
        expected = softmax(logits_of(clip[None]))[0]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    assert len(set(model.batches)) == 1  # one compilation


def test_a_frame_is_decoded_once(video, monkeypatch):
    pictures, picture = [], Reader._picture

    def counted(self, frame, *arguments):
        pictures.append(1)
        return picture(self, frame, *arguments)

    monkeypatch.setattr(Reader, "_picture", counted)
    windows = list(clips_of_windows(VideoConverter(20, (32, 32)), video, 2.0, 0.1))
    assert len(windows) == 51
    assert len(pictures) == 70


def test_memory_does_not_grow_with_the_length(model):
    """Frames are given as one array, so that only what the windows keep is counted.

    The clips of all windows are 78 million bytes. The numbers of their frames may be kept.
    """

    def peak(seconds):
        video = Frames(np.zeros((10 * seconds, 64, 64, 3), "uint8"), fps=10)
        tracemalloc.start()
        try:
            windows = sum(1 for _ in classify_windows(model, video, 2.0, 0.5, batch_size=4))
            assert windows == 2 * seconds - 3
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(400) < peak(40) + 300_000


def test_frames_need_a_rate(model):
    frames = np.zeros((30, 32, 32, 3), "uint8")
    with pytest.raises(VideoError, match="frames per second"):
        list(classify_windows(model, frames))
    found = list(classify_windows(model, frames, fps=10))
    assert [window.start for window in found] == [0.0, 0.5, 1.0]


def test_of_a_damaged_video_what_decodes_is_classified(model, tmp_path, caplog):
    """At eight frames a second, the first forty last five seconds."""
    damaged = write_damaged(tmp_path / "damaged.mov", moving_frames(60, 64, 64), first_bad=40)
    found = list(classify_windows(model, damaged, 1.0, 0.5, batch_size=4))
    assert [[start, end] for start, end, _ in found] == window_times(5.0, 1.0, 0.5).tolist()
    assert "only the first 40 of its 60 frames" in caplog.text
    for start, end, scores in found:
        expected = softmax(logits_of(CONVERTER(damaged, start=start, end=end)[None]))[0]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


def test_an_error_costs_no_window_before_it(model, video, monkeypatch):
    frames = Reader.frames

    def failing(self, indices, *arguments):
        for index, picture in frames(self, indices, *arguments):
            if index >= 40:
                raise VideoError(self.path, "the disk is gone")
            yield index, picture

    monkeypatch.setattr(Reader, "frames", failing)
    windows, found = classify_windows(model, video, 1.0, 0.5, batch_size=4), []
    with pytest.raises(VideoError, match="the disk is gone"):
        found.extend(iter(lambda: next(windows), None))
    assert [window.start for window in found] == [0.5 * place for place in range(7)]


def test_it_can_be_closed(model, video, monkeypatch):
    closed, close = [], FileReader.close
    windows = classify_windows(model, video, 1.0, 0.1, batch_size=2)
    next(windows)
    monkeypatch.setattr(FileReader, "close", lambda self: (closed.append(1), close(self)))
    windows.close()
    assert closed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be a number above 0, got 0"),
        ({"hop": -1}, "hop must be a number above 0, got -1"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
    ],
)
def test_wrong_arguments_are_refused_at_once(model, video, arguments, message):
    with pytest.raises(ValueError, match=message):
        classify_windows(model, video, **arguments)
    with pytest.raises(ValueError, match="has no converter"):
        classify_windows(tiny_model(converter=None), video)
    with pytest.raises(ValueError, match="more than 1,048,576 are refused"):
        window_times(1e6, 1.0, 0.1)
