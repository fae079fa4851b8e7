"""From a video file to what the page shows, with a real network of the package."""

import logging
import pathlib
import time

import numpy as np
import pytest
from data.make_videos import moving_frames, write_video

from keras_mlp3d import inference
from keras_mlp3d.app import Limits, Networks, Refused, answers, limits
from keras_mlp3d.app import answers as answers_function
from keras_mlp3d.data.video.container import VideoError

PRESET = "mlp3d_nano_searched"


@pytest.fixture(scope="module")
def networks():
    return Networks([PRESET])


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """24 frames at 8 per second: 3 s."""
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", moving_frames(24))


@pytest.fixture
def module():
    """The module, whose name the function has in the package."""
    import sys

    return sys.modules[answers_function.__module__]


def test_a_short_video_gets_one_answer_with_the_scores_of_classify(networks, video):
    [answer] = answers(networks, PRESET, video, window=5.0)
    model = networks.run(PRESET, lambda model: model)
    [prediction] = inference.classify(model, video, crops=1)
    assert list(answer.scores) == list(prediction.labels)
    np.testing.assert_allclose(list(answer.scores.values()), prediction.scores, atol=1e-6)
    assert answer.text == (
        f"Of 20 classes, “{prediction.labels[0]}” has the highest score: "
        f"{100 * prediction.scores[0]:.1f} %."
    )
    assert answer.caption.startswith("What the network saw: 32 frames of 32 x 32 pixels, from 0.00")
    clip = model.converter(video)
    np.testing.assert_array_equal(answer.frames[:96:3, :96:3, :3], clip[0])
    assert answer.timeline is None
    assert not answer.is_error


def test_a_long_video_gets_the_scores_over_time(networks, video, monkeypatch, module):
    drawn = []
    with_timeline = module._with_timeline

    def kept(answer, windows, *rest):
        drawn.extend(windows)
        return with_timeline(answer, windows, *rest)

    monkeypatch.setattr(module, "_with_timeline", kept)
    first, second = answers(networks, PRESET, video, window=1.0)
    assert first.timeline is None
    assert second.timeline.shape[2] == 3
    assert (second.text, second.scores) == (first.text, first.scores)
    model = networks.run(PRESET, lambda model: model)
    expected = list(inference.classify_windows(model, video, window=1.0, hop=0.25))
    assert len(drawn) == len(expected) == 9
    for window, other in zip(drawn, expected, strict=True):
        assert window[:2] == other[:2]
        np.testing.assert_allclose(window.scores, other.scores, atol=1e-6)


def test_a_network_that_gets_busy_keeps_the_scores_that_are_there(networks, video, monkeypatch):
    calls, compute = [], networks.run

    def run(*arguments):
        calls.append(arguments)
        if len(calls) == 3:  # the clip, the first four windows, and now
            raise Refused("It is busy.")
        return compute(*arguments)

    monkeypatch.setattr(networks, "run", run)
    [_, last] = answers(networks, PRESET, video, window=0.5)
    assert last.text.endswith("The scores over time end at 0.9 s: It is busy.")
    assert last.timeline is not None
    assert not last.is_error


def test_no_window_is_scored_after_the_limit_of_time(networks, video, module):
    until = time.monotonic() - 1
    with pytest.raises(Refused, match="the time for one video is over"):
        module._windows(networks, PRESET, video, (0.5, 0.125), until)


def test_windows_that_fail_leave_the_answer(networks, video, monkeypatch, module):
    def fail(*_):
        raise VideoError(video, "its frames are gone")
        yield

    monkeypatch.setattr(module, "clips_of_windows", fail)
    first, last = answers(networks, PRESET, video, window=1.0)
    assert last.scores == first.scores
    assert last.text == (
        f"{first.text} No scores over time: The video cannot be decoded: its frames are gone."
    )


@pytest.mark.parametrize("content", [b"", b"no video", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_what_is_no_video_gets_a_sentence(networks, tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    [answer] = answers(networks, PRESET, str(path))
    assert answer.is_error
    assert answer.text.startswith("The file ")
    assert not answer.scores
    assert answer.frames is None
    assert str(tmp_path) not in answer.text


def test_a_video_above_a_limit_gets_a_sentence(networks, video):
    [answer] = answers(networks, PRESET, video, Limits(max_frames=3))
    assert answer.is_error
    assert "more than 3 frames" in answer.text


def test_an_error_of_the_program_shows_no_traceback_and_is_logged(
    networks, video, monkeypatch, caplog
):
    def fail(*_):
        raise RuntimeError(f"a secret of {video}")

    monkeypatch.setattr(networks, "run", fail)
    with caplog.at_level(logging.ERROR):
        [answer] = answers(networks, PRESET, video)
    assert answer.is_error
    assert answer.text == (
        "The program failed at this video (RuntimeError). Its log says more; other videos are not "
        "affected."
    )
    assert "a secret of" in caplog.text


def test_other_errors_of_a_request(networks, video):
    assert "does not offer" in next(answers(networks, "other", video)).text
    [answer] = answers(networks, PRESET, video, window=-1)
    assert answer.is_error
    assert pathlib.Path(video).exists()


def test_a_video_is_not_decoded_after_the_limit_of_time(networks, tmp_path, monkeypatch):
    video = write_video(tmp_path / "new.mp4", moving_frames(24))  # of which nothing is known yet
    monkeypatch.setattr(networks, "run", None)  # it is not asked
    [answer] = answers(networks, PRESET, video, Limits(max_wait=1e-9))
    assert answer.is_error
    assert answer.text.startswith("The time for one video is over before it is decoded.")


def test_a_video_that_decodes_slowly_keeps_the_scores_that_are_there(
    networks, video, monkeypatch, module
):
    check, over = limits.Watch.__call__, []

    def stopping(watch, frames):
        if over:
            watch._until = 0.0
        check(watch, frames)

    monkeypatch.setattr(limits.Watch, "__call__", stopping)
    found = answers(networks, PRESET, video, window=1.0)
    first = next(found)
    over.append(True)
    [last] = found
    assert last.scores == first.scores
    assert last.text.startswith(f"{first.text} No scores over time: The time for one video is over")


def test_a_video_whose_pictures_become_too_many_pixels(networks, tmp_path, monkeypatch):
    parts = [
        pathlib.Path(write_video(tmp_path / f"{height}.ts", moving_frames(8, height, 2 * height)))
        for height in (48, 96)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    monkeypatch.setattr(limits, "MAX_DECODED_PIXELS", 16 * 48 * 96)
    [answer] = answers(networks, PRESET, str(path))
    assert answer.is_error
    assert answer.text.startswith("The video has too many pixels: its pictures change their size")
    assert not answer.scores


def test_a_slow_network_is_not_waited_for_longer_than_the_limit(
    networks, video, monkeypatch, module
):
    monkeypatch.setattr(module, "score_views", lambda *_: time.sleep(2))
    begun = time.monotonic()
    [answer] = answers(networks, PRESET, video, Limits(max_wait=1))
    assert time.monotonic() - begun < 20
    assert answer.is_error
    assert "Try again in a while" in answer.text
