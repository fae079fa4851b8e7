"""Which wrong answers are looked at, and the frames that are read for them."""

import numpy as np
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.inference import Evaluation, VideoResult, wrong_answers

NAMES = ("fall", "jump", "run")


def evaluation_of(results):
    counts = np.bincount([video.label for video in results], minlength=3)
    return Evaluation(NAMES, counts, results, ())


def test_the_most_confident_come_first_with_frames_of_their_stretch(tmp_path):
    frames = moving_frames(20, 36, 60)
    write_lossless(tmp_path / "a.mkv", frames, rate=10)
    path = str(tmp_path / "a.mkv")
    results = [
        VideoResult(path, None, None, label=0, best=0, score=0.99, rank=1),
        VideoResult(path, None, None, label=1, best=0, score=0.5, rank=2),
        VideoResult(path, 1.0, 2.0, label=2, best=1, score=0.75, rank=3),
    ]
    answers, words = wrong_answers(evaluation_of(results), num_frames=5)
    assert words == "2 wrong answers on 3 videos, the most confident first"
    assert [(a.right, a.answer, a.score) for a in answers] == [
        ("run", "jump", 0.75),
        ("jump", "fall", 0.5),
    ]
    assert answers[0].frames.shape == (5, 36, 60, 3)
    for answer, expected in zip(answers, (frames[11:20:2], frames[2:20:4]), strict=True):
        np.testing.assert_array_equal(answer.frames, expected)
    shown, words = wrong_answers(evaluation_of(results), count=1)
    assert (len(shown), words) == (1, "1 of 2 wrong answers on 3 videos, the most confident first")


def test_large_frames_are_made_small_without_a_change_of_form(tmp_path):
    write_lossless(tmp_path / "a.mkv", moving_frames(2, 320, 200))
    wrong = VideoResult(str(tmp_path / "a.mkv"), None, None, label=0, best=1, score=0.5, rank=2)
    [answer], words = wrong_answers(evaluation_of([wrong]), num_frames=2)
    assert answer.frames.shape == (2, 160, 100, 3)
    assert words == "1 wrong answer on 1 video"


def test_a_video_that_is_gone_is_left_out_and_the_next_one_shown(tmp_path, caplog):
    (tmp_path / "damaged.mkv").write_bytes(b"no video")
    write_lossless(tmp_path / "a.mkv", moving_frames(4, 32, 32))
    names = ("gone.mkv", "damaged.mkv", "a.mkv", "a.mkv")
    wrong = [
        VideoResult(str(tmp_path / name), None, None, label=0, best=1, score=0.9 - k / 10, rank=2)
        for k, name in enumerate(names)
    ]
    [answer], words = wrong_answers(evaluation_of(wrong), count=1)
    assert (answer.path, answer.score) == (wrong[2].path, wrong[2].score)
    assert words == (
        "1 of 4 wrong answers on 4 videos, the most confident first; 2 can no longer be read"
    )
    assert "gone.mkv' is not shown" in caplog.text
    assert "damaged.mkv' is not shown" in caplog.text
    answers, words = wrong_answers(evaluation_of(wrong[:2]))
    assert (answers, words.split("; ")[1]) == ([], "2 can no longer be read")
