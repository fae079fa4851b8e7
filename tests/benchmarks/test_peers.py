"""`benchmarks/peers.py`: a short run with our networks, its arithmetic, and its page."""

import importlib
import json
import sys

import pytest
import torch

import keras_mlp3d as km

NETWORKS = ("mlp3d_nano", "mlp3d_xs")


@pytest.fixture
def peers(root_dir, monkeypatch):
    return fresh(root_dir, monkeypatch, "peers")


def fresh(root_dir, monkeypatch, name):
    """Imports a program and its neighbors as they are when it is started."""
    monkeypatch.syspath_prepend(root_dir / "benchmarks")
    for module in ("cells", "peer_networks", "peers", "peers_page", "device", "device_page"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(name)


def options_for(path, rounds=2):
    names = ["--networks", *NETWORKS, "--sizes", "16x32x32"]
    return [*names, "--rounds", str(rounds), "--threads", "1", "--output", str(path)]


def test_a_short_run_is_resumed_and_has_a_page(peers, tmp_path, monkeypatch, capsys):
    path = tmp_path / "peers.json"
    peers.main(options_for(path))
    found = json.loads(path.read_text())
    assert found["machine"]["torch"] == torch.__version__
    for name in NETWORKS:
        forward, step = (found["cells"][f"{task} 16x32x32 {name}"] for task in peers.TASKS)
        model = km.MLP3D.from_preset(name, load_weights=False, num_classes=400)
        assert forward["parameters"] == model.count_params()
        assert forward["macs"] == pytest.approx(
            km.cost.count(model, (16, 32, 32, 3)).macs, rel=0.02
        )
        assert 2 * forward["macs"] < step["macs"] <= 3 * forward["macs"]
        assert step["bytes"] >= forward["bytes"] > 0
        assert len(forward["seconds"]) == len(forward["product"]) == 2
    turns = [found["cells"][f"step 16x32x32 {name}"]["turns"] for name in NETWORKS]
    assert turns[0] == turns[1]

    # Nothing is measured again; what lacks a round is.
    monkeypatch.setattr(peers, "start", lambda *_: pytest.fail("it measures again"))
    peers.main(options_for(path))
    assert json.loads(path.read_text()) == found
    with pytest.raises(pytest.fail.Exception):
        peers.main(options_for(path, rounds=3))

    capsys.readouterr()
    peers.main(["--page", str(path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "peers.md")
    text = (tmp_path / "peers.md").read_text()
    assert text.count("| `mlp3d_nano` | 0.") == 2
    assert "accuracy is not compared" in " ".join(text.split())


class Fake:
    """In place of a process: its answers, and in the end its death."""

    def __init__(self, stopped, *answers):
        self.stopped, self.answers = stopped, list(answers)

    def ask(self, **request):
        if not self.answers:
            raise self.stopped("killed by SIGKILL")
        return self.answers.pop(0)


def test_one_that_dies_does_not_stop_the_others(peers, tmp_path):
    results = peers.Results(tmp_path / "peers.json", {})
    figure = {"seconds": 2.0, "product": 1e9}
    whole = {"bytes": 1, "parameters": 2, "macs": 3}
    children = {
        "dies": Fake(peers.Stopped, figure),
        "lives": Fake(peers.Stopped, figure, figure, whole),
        "ends badly": Fake(peers.Stopped, figure, figure),
    }
    cells = {name: results.cells.setdefault(name, {}) for name in children}
    peers.take_turns(results, cells, children, 2)
    saved = json.loads((tmp_path / "peers.json").read_text())["cells"]
    assert saved["dies"] == {**saved["dies"], "error": "killed by SIGKILL", "seconds": [2.0]}
    assert saved["ends badly"]["error"] == "killed by SIGKILL"
    assert saved["lives"]["seconds"] == [2.0, 2.0]
    assert saved["lives"]["macs"] == 3
    assert saved["lives"]["turns"][:1] == saved["dies"]["turns"]


def test_libraries_that_are_not_installed(peers, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        peers.main(["--output", str(tmp_path / "peers.json")])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.count("\n") == 1
    assert "swin3d_t, mvit_v2_s, s3d, r2plus1d_18: torchvision is not installed" in error
    assert "videomae_small: transformers is not installed. `make bench-peers`" in error
    assert not (tmp_path / "peers.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--networks", "mlp3d_xxs"], "There is no network 'mlp3d_xxs'"),
        (["--sizes", "16x224"], "'16x224' is not a size"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--page", "none.json"], "Cannot read none.json"),
    ],
)
def test_wrong_options(peers, capsys, options, words):
    with pytest.raises(SystemExit):
        peers.main(options)
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_attention_is_counted(peers):
    """The fused operator of the CPU, which PyTorch's counter leaves out."""
    tokens, width, heads = 10, 8, 3
    q = torch.ones(1, heads, tokens, width)
    macs = peers.count_macs(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert macs == 2 * heads * tokens * tokens * width
    weight = torch.ones(4, width, requires_grad=True)
    macs = peers.count_macs(lambda: torch.nn.functional.linear(q, weight).sum().backward())
    assert macs == 2 * heads * tokens * width * 4


def test_a_step_trains(peers):
    torch.manual_seed(0)
    network = peers.build("mlp3d_nano", (16, 32, 32), 4)
    step = peers.runner(network, "step", 2)
    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert peers.runner(network, "forward", 2)().shape == (2, 4)


def test_the_page_by_hand(peers):
    cells = {
        "forward 16x4x4 mlp3d_s": {
            "turns": [1, 2, 3],
            "seconds": [1.0, 2.0, 4.0],
            "product": [100, 100, 50],
            "macs": 50,
            "bytes": 2**21,
            "parameters": 1_500_000,
        },
        "forward 16x4x4 other": {
            "turns": [2, 3, 4],
            "seconds": [4.0, 8.0, 1.0],
            "product": [100, 100, 100],
            "macs": 100,
            "bytes": 2**20,
            "parameters": 10**6,
        },
        "forward 16x4x4 none": {"error": "a | b"},
        "step 16x4x4 stopped": {"seconds": [1.0], "turns": [1], "product": [1]},
    }
    machine = {"machine": "2 cores", "threads": 1, "batch": 2, "torch": "2", "note": "Busy."}
    text = importlib.import_module("peers_page").page({"machine": machine, "cells": cells})
    assert "Measured on 2 cores, 1 thread, 2 clips at a time; torch 2. Busy.\n" in text
    row = "| `mlp3d_s` | 1.5 | 0.0 | 2.00 (1.00 to 4.00) | 1.00 | 0.25 (0.25 to 0.50) | 2 |"
    assert row in text
    assert "| `other` | 1.0 | 0.0 | 4.00 (1.00 to 8.00) | 2.00 | 0.25 (0.12 to 1.00) | 1 |" in text
    assert "| `none` | | | not measured: a / b | | | |" in text
    assert "`stopped`" not in text
    assert "- Forward pass, 16 x 224 x 224: all networks\n" in text


def test_what_is_unmeasured_is_said(peers):
    page = importlib.import_module("peers_page")
    cells = {f"step 16x224x224 {name}": {"error": "x"} for name in page.NETWORKS[1:]}
    lines = page.unmeasured({**cells, "step 16x224x224 mlp3d_xs": {"seconds": [1.0]}})
    assert len(lines) == 4
    assert lines[1] == "- Training step, 16 x 224 x 224: `mlp3d_xs`"


def test_the_page_of_the_site_is_that_of_the_figures(peers, root_dir):
    found = peers.read(root_dir / "benchmarks" / "results" / "peers.json")
    text = (root_dir / "docs" / "peers.md").read_text(encoding="utf-8")
    assert text == peers.page(found)
    assert "--page benchmarks/results/peers.json --to docs/peers.md" in text


def test_the_makefile_pins_what_the_networks_need(root_dir):
    text = (root_dir / "Makefile").read_text()
    for name in ("TORCH", "TORCHVISION", "TRANSFORMERS"):
        assert f"\n{name} ?= {name.lower()}==" in text
    assert "$(TORCHVISION) $(TRANSFORMERS)" in text.split(".venv-peers/installed: ")[1]
