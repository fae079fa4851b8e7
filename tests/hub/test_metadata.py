"""Entries of `metadata.json`: those of others are read with suspicion, one's own are checked."""

import json

import numpy as np
import pytest

from keras_mlp3d.hub.metadata import plain_metadata, read_metadata

METRIC = {"name": "top-1 accuracy", "value": 0.5, "dataset": "clips", "split": "test"}
NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]


@pytest.mark.parametrize("number", NOT_FINITE)
def test_in_metadata_none_stands_for_a_number_that_is_not_finite(number, tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text('{"macs": 3, "training": {"loss": [1.5, ' + number + "]}}")
    assert read_metadata(path) == {"macs": 3, "training": {"loss": [1.5, None]}}


def test_a_number_that_the_package_reads_must_be_one(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text('{"parameter_count": NaN}')
    with pytest.raises(ValueError, match="'parameter_count' cannot be"):
        read_metadata(path)


def test_numbers_of_numpy_become_plain():
    given = {"metrics": ({**METRIC, "value": np.float32(0.5)},), "macs": np.int64(7)}
    given["image_size"] = np.array([32, 32])
    plain = plain_metadata(given)
    assert plain == {"metrics": [METRIC], "macs": 7, "image_size": [32, 32]}
    assert json.loads(json.dumps(plain)) == plain
    assert type(plain["metrics"][0]["value"]) is float


@pytest.mark.parametrize(
    "metrics", [None, [], [{"name": "top-1", "value": None}], [METRIC | {"interval": [0.4, 0.6]}]]
)
def test_metrics(metrics):
    assert plain_metadata({"metrics": metrics}) == {"metrics": metrics}


@pytest.mark.parametrize("key", ["metrics", "reported"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"top-1": 0.5},
        [{"top-1": 0.5}],
        [METRIC, {"name": "top-5"}],
        [METRIC, {"value": 0.5}],
        [METRIC | {"value": "0.5"}],
        [METRIC | {"value": True}],
        [METRIC | {"value": np.array([0.5])}],
        [0.5],
        "0.5",
        0.5,
    ],
)
def test_metrics_of_another_form(key, wrong):
    with pytest.raises(
        ValueError, match=f"'{key}' must be a list of dicts.*'name'.*'value'.*; got"
    ):
        plain_metadata({key: wrong})


@pytest.mark.parametrize("wrong", ["clips", [3], {"clips": 1}])
def test_datasets_of_another_form(wrong):
    with pytest.raises(ValueError, match="'datasets' must be a list of names"):
        plain_metadata({"datasets": wrong})


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"metrics": [METRIC | {"value": np.float64("nan")}]}, r"metrics\[0\]\['value'\]"),
        ({"search": {"C": [1.0, float("inf")]}}, r"search\['C'\]\[1\]"),
        ({"loss": np.array([[1, np.nan]])}, r"loss\[0\]\[1\]"),
        ({"loss": float("-inf")}, "loss"),
    ],
)
def test_a_number_that_is_not_finite_is_named(entry, path):
    with pytest.raises(ValueError, match=f"entry {path} must be a finite number, got (nan|-?inf)"):
        plain_metadata({"license": "mit", **entry})


def test_what_json_does_not_know_is_named():
    with pytest.raises(TypeError, match=r"entry 'training' must hold only strings, .*serializable"):
        plain_metadata({"license": "mit", "training": {"data": object()}})
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="entry 'search' must hold only strings"):
        plain_metadata({"search": circle})
