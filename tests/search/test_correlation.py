"""Rank correlation against values worked out by hand, and the comparison behind it."""

import json
import math

import pytest

from keras_mlp3d.search import Correlation, correlation, spearman


@pytest.mark.parametrize(
    ("one", "other", "rho"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [30, 20, 10], -1.0),
        # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15).
        ([0.1, 0.2, 0.3, 0.4], [0.6, 0.5, 0.9, 0.8], 0.6),
        # Differences of the ranks -1, 1, -2, 1, 1: 1 - 6 * 8 / (5 * 24).
        ([1, 2, 3, 4, 5], [2, 1, 5, 3, 4], 1 - 6 * (1 + 1 + 4 + 1 + 1) / 120),
        # Ties: ranks 1 2.5 2.5 4 against 1 2 3 4; covariance 4.5, variances 4.5 and 5.
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5)),
        # Ranks 2 2 2 4 against 1.5 3.5 1.5 3.5: 2 / sqrt(3 * 4).
        ([5, 5, 5, 6], [0, 1, 0, 1], 2 / math.sqrt(12)),
    ],
)
def test_spearman(one, other, rho):
    assert spearman(one, other) == pytest.approx(rho, abs=1e-12)
    assert spearman(other, one) == pytest.approx(rho, abs=1e-12)
    assert spearman([math.exp(value) for value in one], other) == pytest.approx(rho, abs=1e-12)


def test_where_all_are_equal_there_is_no_rank():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    found = Correlation(("a", "b"), ("x", "y"), (0.5, 0.5), (0.1, 0.2))
    assert found.to_dict()["rho"] is None


@pytest.mark.parametrize(("one", "other"), [([1], [1]), ([1, 2], [1, 2, 3]), ([], [])])
def test_what_has_no_rank_correlation(one, other):
    with pytest.raises(ValueError, match="one and other must have the same length of at least 2"):
        spearman(one, other)


SCHEDULES = {"a": "shift_token:2", "b": "shift_token:4", "c": "long_range:2"}
REAL = {"shift_token:2": 0.5, "shift_token:4": 0.75, "long_range:2": 0.625}
ESTIMATED = {"shift_token:2": 0.25, "shift_token:4": 0.125, "long_range:2": 0.375}


def test_estimates_against_real_accuracies(tmp_path):
    path, seen = tmp_path / "correlation.json", []
    found = correlation(SCHEDULES, ESTIMATED.get, REAL.get, path, lambda *state: seen.append(state))
    assert found.estimated == (0.25, 0.125, 0.375)
    assert found.real == (0.5, 0.75, 0.625)
    assert found.rho == -0.5
    assert seen == [(0, 3, "a"), (1, 3, "b"), (2, 3, "c"), (3, 3, None)]
    content = json.loads(path.read_text())
    assert content == found.to_dict()
    assert content["networks"][2] == {
        "name": "c", "schedule": "long_range:2", "estimated": 0.375, "real": 0.625,
    }  # fmt: skip


def test_what_was_measured_before_an_interruption_is_written(tmp_path):
    def measure(schedule):
        if schedule == "long_range:2":
            raise KeyboardInterrupt
        return REAL[schedule]

    with pytest.raises(KeyboardInterrupt):
        correlation(SCHEDULES, ESTIMATED.get, measure, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert [row["real"] for row in content["networks"]] == [0.5, 0.75]
    assert content["rho"] == -1.0


def test_one_schedule_is_too_few():
    with pytest.raises(ValueError, match="at least two schedules, got 1"):
        correlation({"a": "shift_token:2"}, ESTIMATED.get, REAL.get)
