"""`benchmarks/training_time.py` prints the machine's rates and a row for each network."""

import importlib
import re
import sys

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="what it predicts is a step on PyTorch"
)


@pytest.mark.parametrize("remat", [(), ("--remat",)])
def test_a_short_run(remat, root_dir, monkeypatch, capsys):
    monkeypatch.syspath_prepend(root_dir / "benchmarks")
    for name in ("cells", "forward", "training_time"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("training_time")
    monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(module, "ENTRIES", 1000)
    networks = ("mlp3d_nano", "mlp3d_xs")
    module.main(
        ["--networks", *networks, "--frames", "16", "--size", "32", "--rounds", "2", *remat]
    )
    rates, *rows = capsys.readouterr().out.splitlines()
    assert all(float(number) > 0 for number in re.findall(r"[0-9.e-]+[0-9]|[0-9]", rates))
    for network, row in zip(networks, rows, strict=True):
        assert row.startswith(f"{network} 16x32x32 batch 1: ")
        number = r"([0-9.]+)"
        found = re.search(
            rf": {number} \({number} to {number}\) s, predicted {number}, ratio {number} "
            rf"\(products alone {number}\)$",
            row,
        )
        measured, least, most, predicted, ratio, products = map(float, found.groups())
        assert least <= measured <= most
        assert products <= ratio == pytest.approx(predicted / measured, abs=0.2 * ratio + 0.01)
