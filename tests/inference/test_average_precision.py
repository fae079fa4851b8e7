"""Average precision against plain loops: ties, no video of a class, all of them; its interval."""

import json

import numpy as np
import pytest
from reference import average_precision as reference

from keras_mlp3d.inference import (
    Evaluation,
    MultiLabelEvaluation,
    MultiLabelResult,
    average_precision,
    wrong_answers,
)
from keras_mlp3d.inference.average_precision import mean_average_precision_interval


def rng_of(number):
    return np.random.default_rng([11, number])


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("unscored", [0, 3])
def test_against_the_twin(levels, unscored):
    """Few levels make many ties."""
    for number in range(30):
        rng = rng_of(number)
        count = int(rng.integers(1, 25))
        labels, scores = rng.integers(0, 2, count), rng.integers(0, levels, count) / levels
        wanted = reference.average_precision(labels.tolist(), scores.tolist(), unscored)
        found = average_precision(labels, scores, unscored)
        assert found is None if wanted is None else found == pytest.approx(wanted, abs=1e-12)


def test_by_hand():
    assert average_precision([1, 0, 1], [3, 2, 1]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0, 1], [0.5, 0.5]) == 0.5  # a tie: whatever the order
    assert average_precision([1, 0], [0.5, 0.5]) == 0.5
    assert average_precision([1, 1, 1], [0.1, 0.5, 0.2]) == 1.0  # all videos have the class
    assert average_precision([1, 1, 0], [0.3, 0.3, 0.3]) == pytest.approx(2 / 3)
    assert average_precision([0, 0], [0.1, 0.2]) is None  # none has it
    assert average_precision([], []) is None
    assert average_precision([], [], unscored=2) == 0.0
    assert average_precision([1, 0], [0.9, 0.1], unscored=1) == 0.5


def test_the_order_of_videos_does_not_matter():
    labels, scores = rng_of(1).integers(0, 2, 40), rng_of(2).integers(0, 4, 40)
    order = rng_of(3).permutation(40)
    first, second = (
        average_precision(labels, scores),
        average_precision(labels[order], scores[order]),
    )
    assert first == pytest.approx(second, abs=1e-12)


def test_scores_at_random_are_near_the_share():
    rng = rng_of(0)
    labels = rng.random(20_000) < 0.2
    assert average_precision(labels, rng.random(20_000)) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5], r"got shapes \(2,\) and \(1,\)"),
        ([[1, 0]], [[0.5, 0.1]], "one per video"),
        ([2, 0], [0.5, 0.1], "as many booleans"),
        ([1, 0], [0.5, np.nan], "scores must be finite"),
    ],
)
def test_refusals(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        average_precision(labels, scores)


class TestInterval:
    def test_each_sample_is_that_of_repeated_videos(self):
        """The bounds are percentiles of the twin's values on the same samples."""
        rng = rng_of(5)
        labels, scores = rng.random((12, 3)) < 0.4, rng.integers(0, 4, (12, 3)) / 4
        is_scored = np.arange(12) < 10
        found = mean_average_precision_interval(labels, scores, is_scored, resamples=50)
        again, means = np.random.default_rng(0).integers(12, size=(50, 12)), []
        for sample in again:
            there, gone = sample[is_scored[sample]], sample[~is_scored[sample]]
            mean = reference.mean_average_precision(
                labels[there].tolist() or [[]],
                scores[there].tolist() or [[]],
                labels[gone].sum(axis=0).tolist(),
            )
            means.append(mean)
        np.testing.assert_allclose(found, np.percentile(means, [2.5, 97.5]), atol=1e-12)

    def test_it_holds_the_value_and_shrinks(self):
        widths = []
        for count in (40, 4000):
            rng = rng_of(count)
            labels = rng.random((count, 2)) < 0.3
            scores = labels + rng.normal(size=(count, 2))
            low, high = mean_average_precision_interval(labels, scores, np.ones(count, bool))
            mean = np.mean([average_precision(labels[:, k], scores[:, k]) for k in range(2)])
            assert low < mean < high
            widths.append(high - low)
        assert widths[1] < widths[0] / 5

    def test_without_labels(self):
        nothing = np.zeros((3, 2))
        assert mean_average_precision_interval(nothing > 1, nothing, np.ones(3, bool)) is None


LABELS = [(0, 1), (), (1,), (0,)]
SCORES = np.array([[0.9, 0.6, 0.1], [0.2, 0.6, 0.3], [0.3, 0.7, 0.2], [0.1, 0.1, 0.5]])


def evaluation(**options):
    results = [
        MultiLabelResult(f"{k}.mp4", None, 2.0, LABELS[k], SCORES[k]) for k in range(len(LABELS))
    ]
    values = {"failed": (), "class_counts": np.array([2, 2, 0]), **options}
    return MultiLabelEvaluation(("run", "fast", "fall"), predictions=results, **values)


class TestEvaluation:
    def test_means_leave_out_classes_without_videos(self):
        found = evaluation()
        wanted = [
            reference.average_precision([k in labels for labels in LABELS], SCORES[:, k].tolist())
            for k in range(3)
        ]
        assert found.average_precisions[2] is None
        assert found.average_precisions[:2] == pytest.approx(wanted[:2])
        assert found.mean_average_precision == pytest.approx(sum(wanted[:2]) / 2)
        assert found.classes_without_videos == ("fall",)
        assert (found.expected, found.decoded) == (4, 4)
        low, high = found.mean_average_precision_interval
        assert 0 <= low <= found.mean_average_precision <= high <= 1

    def test_failed_videos_count_as_never_found(self):
        found = evaluation(
            failed=[("x.mp4", "empty"), ("y.mp4", "no file was found")],
            failed_labels=[(0, 2)],
            class_counts=[3, 2, 1],
        )
        whole = evaluation()
        assert found.average_precisions[0] == pytest.approx(whole.average_precisions[0] * 2 / 3)
        assert found.average_precisions[1:] == (whole.average_precisions[1], 0.0)
        assert found.average_precisions_of_decoded == whole.average_precisions
        assert found.mean_average_precision_of_decoded == whole.mean_average_precision
        assert (found.expected, found.decoded) == (6, 4)
        assert found.classes_without_videos == ()

    def test_no_label_at_all(self):
        results = [MultiLabelResult("a.mp4", None, None, (), np.array([0.5]))]
        found = MultiLabelEvaluation(("run",), [0], results, ())
        assert found.mean_average_precision is None
        assert found.mean_average_precision_interval is None
        assert found.to_dict()["mean_average_precision"] is None

    @pytest.mark.parametrize(
        "ask",
        [
            lambda found: found.top1,
            lambda found: found.top5_interval,
            lambda found: found.confusion,
            lambda found: found.class_accuracies,
            wrong_answers,
        ],
    )
    def test_what_needs_one_class_is_refused(self, ask):
        with pytest.raises(ValueError, match="one class per video, and these videos may have"):
            ask(evaluation())

    def test_counts_are_checked(self):
        with pytest.raises(ValueError, match=r"\[2, 2, 0\], got \[2, 1, 0\]"):
            evaluation(class_counts=[2, 1, 0])
        with pytest.raises(ValueError, match="failed_labels must be those of the 0 failed videos"):
            evaluation(failed_labels=[(0,)], class_counts=[3, 2, 0])

    def test_json(self, tmp_path):
        found = evaluation(
            failed=[("x.mp4", "empty")], failed_labels=[(1,)], class_counts=[2, 3, 0]
        )
        assert isinstance(found, Evaluation)
        found.write_json(tmp_path / "result.json")
        content = json.loads((tmp_path / "result.json").read_text())
        assert content == found.to_dict()
        assert content["mean_average_precision"] == found.mean_average_precision
        assert content["classes_without_videos"] == ["fall"]
        assert content["failed"] == [{"path": "x.mp4", "reason": "empty"}]
        assert content["classes"][1]["expected"] == 3
        assert content["classes"][1]["decoded"] == 2
        assert content["classes"][2]["average_precision"] is None
        assert content["predictions"][0] == {
            "path": "0.mp4",
            "start": None,
            "end": 2.0,
            "labels": ["run", "fast"],
            "scores": [0.9, 0.6, 0.1],
        }
