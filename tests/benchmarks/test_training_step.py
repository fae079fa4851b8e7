"""`benchmarks/training_step.py` trains the networks that it compares, and prints a row for each."""

import importlib
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
    rows = [line.split(" over plain ") for line in capsys.readouterr().out.splitlines()]
    names = [row[0].split("  ")[0].strip() for row in rows]
    assert [name.partition("0.")[0].strip() for name in names] == [
        "train_on_batch",
        "with Keras's AdamW",
        "ours in a loop",
        "plain",
    ]
    assert rows[-1][1].startswith("1.00")
    assert all(float(row[1].split()[0]) > 0 for row in rows)
