"""`benchmarks/training_step.py` trains the networks that it compares, and prints a row for each."""

import importlib
import re
import sys

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="it compares with a network of PyTorch alone"
)


def test_a_short_run(root_dir, monkeypatch, capsys):
    monkeypatch.syspath_prepend(root_dir / "benchmarks")
    for name in ("forward", "plain_torch", "training_step"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("training_step")
    module.main(["--batch", "1", "--size", "32", "--rounds", "1"])
    rows = [line.split(", over ") for line in capsys.readouterr().out.splitlines()]
    assert [re.split(r"\d", row[0])[0].strip() for row in rows] == [
        *("train_on_batch", "with Keras's AdamW", "ours in a loop", "plain", "plain, fused"),
    ]
    ratios = [[text.split() for text in row[1:]] for row in rows]
    for place, (over_plain, over_fused) in enumerate(ratios):
        assert (over_plain[0], over_fused[:2]) == ("plain", ["plain,", "fused"])
        assert (float(over_plain[1]) == 1) == (place == 3)
        assert (float(over_fused[2]) == 1) == (place == 4)
