"""`benchmarks/several_events.py`: what it writes, trains, prints and draws, on few clips."""

import importlib.util
import json
import re
import sys

import pytest

from keras_mlp3d.data import read_csv


@pytest.fixture
def program(root_dir):
    path = root_dir / "benchmarks" / "several_events.py"
    spec = importlib.util.spec_from_file_location("several_events", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_short_run(program, tmp_path, monkeypatch, capsys):
    options = ["--train-clips", "32", "--val-clips", "8", "--test-clips", "24", "--epochs", "2"]
    folders = ["--data", str(tmp_path / "data"), "--run", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["several_events.py", *options, *folders])
    program.main()
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "run" / "test.json").read_text())
    value = re.search(r"mean average precision ([\d.]+) \(95 % interval", printed)[1]
    assert float(value) == pytest.approx(content["mean_average_precision"], abs=6e-4)
    assert content["expected"] == 24
    for name in ("test.png", "clips.png"):
        assert (tmp_path / "run" / name).stat().st_size > 5000
    train, test = (
        read_csv(tmp_path / "data" / f"{split}.csv", split, label_separator="|")
        for split in ("train", "test")
    )
    assert {len(row.label) for row in train.rows} == {0, 1, 2, 3}
    assert train.class_names == ("blink", "pulse", "spin", "swing_x", "swing_y")
    assert not {row.path for row in train.rows} & {row.path for row in test.rows}
