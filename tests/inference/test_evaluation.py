"""What an `Evaluation` derives from its predictions, the interval, and the file that it writes."""

import json
import math

import numpy as np
import pytest

from keras_mlp3d.inference import Evaluation, VideoResult, wilson_interval

NAMES = ("fall", "jump", "run")


def result(label, best, rank, path="a.mp4"):
    return VideoResult(path, None, None, label, best, 0.5, rank)


@pytest.fixture
def evaluation():
    results = [result(0, 0, 1), result(0, 2, 2), result(2, 0, 6), result(2, 2, 1)]
    failed = [("b.mp4", "it is empty"), ("c.mp4", "no such video file")]
    return Evaluation(NAMES, [2, 1, 2], results, failed, "ab12", "val", clips=4, crops=3)


# Where the fraction is 0, 1/2 or 1 the formula is short: z² / (n + z²) and z / (2 √(n + z²)).
@pytest.mark.parametrize(
    ("correct", "total", "bounds"),
    [
        (5, 10, (0.236593, 0.763407)),
        (0, 10, (0.0, 0.277533)),
        (10, 10, (0.722467, 1.0)),
        (np.int64(1), np.int64(1), (0.206549, 1.0)),
    ],
)
def test_wilson_interval(correct, total, bounds):
    np.testing.assert_allclose(wilson_interval(correct, total), bounds, atol=1e-6)


def test_wilson_bounds_solve_their_equation():
    """Each bound p is as far from the measured fraction as 1.96 standard errors at p are."""
    for correct, total in ((1, 300), (211, 300), (299, 300), (7, 19_000)):
        for bound in wilson_interval(correct, total):
            error = math.sqrt(bound * (1 - bound) / total)
            assert abs(bound - correct / total) / error == pytest.approx(1.959964, abs=1e-5)


def test_no_interval_of_nothing():
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3), (1.5, 3), (True, 3), (1, None)])
def test_counts_that_are_none(counts):
    with pytest.raises(
        ValueError, match=r"must (be an integer of at least 0|not exceed total), got"
    ):
        wilson_interval(*counts)


def test_failed_videos_count_as_wrong_and_beside(evaluation):
    # One of the two that failed has no row: nobody knows its class.
    assert (evaluation.expected, evaluation.decoded) == (6, 4)
    assert (evaluation.top1, evaluation.top1_of_decoded) == (2 / 6, 2 / 4)
    assert (evaluation.top5, evaluation.top5_of_decoded) == (3 / 6, 3 / 4)
    assert evaluation.top1_interval == wilson_interval(2, 6)
    assert evaluation.top1_of_decoded_interval == wilson_interval(2, 4)
    assert evaluation.top5_interval == wilson_interval(3, 6)
    assert evaluation.top5_of_decoded_interval == wilson_interval(3, 4)


def test_confusion_and_classes(evaluation):
    assert evaluation.confusion.dtype == np.int64
    assert evaluation.confusion.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert evaluation.class_accuracies == (0.5, 0.0, 0.5)
    classes = evaluation.to_dict()["classes"]
    assert classes[1] == {
        "name": "jump", "expected": 1, "decoded": 0, "correct": 0, "accuracy": 0.0,
        "accuracy_of_decoded": None,
    }  # fmt: skip


def test_a_video_that_vanishes_is_an_error():
    with pytest.raises(ValueError, match="has 3 rows, 1 were decoded and 1 failed"):
        Evaluation(NAMES, [1, 1, 1], [result(0, 0, 1)], [("b.mp4", "empty")])
    with pytest.raises(ValueError, match="has 1 rows, 1 were decoded and 0 failed"):
        Evaluation(NAMES, [0, 1, 0], [result(0, 0, 1)], [])


def test_json_holds_everything(evaluation, tmp_path):
    path = tmp_path / "out.json"
    path.write_text("an earlier result")
    evaluation.write_json(path)
    content = json.loads(path.read_text())
    assert content == json.loads(json.dumps(evaluation.to_dict()))
    assert content["digest"] == "ab12"
    assert (content["split"], content["clips"], content["crops"]) == ("val", 4, 3)
    assert content["top1"] == 2 / 6
    assert content["top1_interval"] == list(wilson_interval(2, 6))
    assert content["failed"][0] == {"path": "b.mp4", "reason": "it is empty"}
    assert content["confusion"] == evaluation.confusion.tolist()
    assert content["predictions"][1] == {
        "path": "a.mp4", "start": None, "end": None, "label": "fall", "best": "run", "score": 0.5,
        "rank": 2,
    }  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_json_never_holds_nan(tmp_path):
    nothing = Evaluation(NAMES, [0, 2, 0], [], [("a.mp4", "empty"), ("b.mp4", "empty")])
    assert (nothing.top1, nothing.top1_of_decoded) == (0.0, None)
    assert nothing.class_accuracies == (None, 0.0, None)
    nothing.write_json(tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert (content["top5_of_decoded"], content["top5_of_decoded_interval"]) == (None, None)
    # A score that is no number is refused, and what was there stays.
    broken = VideoResult("a.mp4", None, None, 0, 0, math.nan, 1)
    with pytest.raises(ValueError, match="JSON"):
        Evaluation(NAMES, [1, 0, 0], [broken], []).write_json(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == content
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_where_no_file_can_go(evaluation, tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"):
        evaluation.write_json(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent' does not exist"):
        evaluation.write_json(tmp_path / "absent" / "out.json")
