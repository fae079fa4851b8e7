"""Finds the most confident wrong answers of a network, with frames of the videos."""

import dataclasses
import logging

import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.data import ShardError, VideoConverter, VideoError, probe_video
from keras_mlp3d.inference.evaluation import Evaluation
from keras_mlp3d.inference.multi_label_evaluation import MultiLabelEvaluation

_logger = logging.getLogger("keras_mlp3d")

_HEIGHT = 160  # of the frames, in pixels


@dataclasses.dataclass(frozen=True)
class WrongAnswer:
    """A video that a network classifies wrongly.

    Args:
        path: The video file, as in the manifest.
        right: Name of its true class.
        answer: Name of the class with the highest score.
        score: That score, from 0 to 1.
        frames: Some frames of the video, uint8 (T, H, W, 3).

    Example:

    >>> frames = np.zeros((6, 90, 160, 3), "uint8")
    >>> WrongAnswer("a.mp4", "jump", "run", 0.75, frames)
    WrongAnswer(path='a.mp4', right='jump', answer='run', score=0.75)
    """

    path: str
    right: str
    answer: str
    score: float
    frames: np.ndarray = dataclasses.field(repr=False, compare=False)


def wrong_answers(
    evaluation: Evaluation, count: int = 12, num_frames: int = 6
) -> tuple[list[WrongAnswer], str]:
    """Return the wrong answers with the highest scores, and a sentence about their number.

    Args:
        evaluation: `Evaluation`.
        count: Largest number of answers.
        num_frames: Number of frames per video, evenly spaced, small and not cropped.

    Returns:
        List of `WrongAnswer`, the most confident first, and the sentence: the first arguments of
        `plots.plot_wrong_answers`. Videos that have become unreadable are left out, and the
        sentence says so.

    Raises:
        ValueError: If videos may have several labels.

    Example:

    >>> from keras_mlp3d.inference import Evaluation, VideoResult
    >>> results = [VideoResult("a.mp4", None, None, label=0, best=0, score=0.75, rank=1)]
    >>> wrong_answers(Evaluation(("run", "jump"), np.array([1, 0]), results, ()))
    ([], 'no wrong answer on 1 video')
    """
    check_integer("count", count)
    check_integer("num_frames", num_frames)
    if isinstance(evaluation, MultiLabelEvaluation):
        raise ValueError(
            "Wrong answers need one class per video, and these videos may have several, or none: "
            "plots.plot_average_precision shows which classes are hard."
        )
    wrong = [video for video in evaluation.predictions if video.rank > 1]
    names, answers, gone = evaluation.class_names, [], 0
    for video in sorted(wrong, key=lambda video: -video.score):
        if len(answers) == count:
            break
        try:
            frames = _frames(video, num_frames)
        except (VideoError, ShardError, OSError) as error:
            _logger.warning("%r is not shown: %s", video.path, error)
            gone += 1
            continue
        right, answer = names[video.label], names[video.best]
        answers.append(WrongAnswer(video.path, right, answer, video.score, frames))
    return answers, _sentence(len(answers), len(wrong), evaluation.decoded, gone)


def _frames(video, num_frames):
    source = video.path if video.source is None else video.source
    information = probe_video(source)
    scale = min(1.0, _HEIGHT / information.height)
    size = [max(1, round(scale * side)) for side in (information.height, information.width)]
    converter = VideoConverter(num_frames, size, crop="none")
    return converter(source, start=video.start, end=video.end)


def _sentence(shown, wrong, videos, gone):
    where = "1 video" if videos == 1 else f"{videos:,} videos"
    if not wrong:
        return f"no wrong answer on {where}"
    answers = "1 wrong answer" if wrong == 1 else f"{wrong:,} wrong answers"
    which = f"{shown} of " if shown < wrong else ""
    order = ", the most confident first" if wrong > 1 else ""
    left_out = f"; {gone} can no longer be read" if gone else ""
    return f"{which}{answers} on {where}{order}{left_out}"
