"""`benchmarks/device.py`, whole at a small size on the CPU, and what it does when memory ends."""

import importlib
import json
import subprocess
import sys
import types

import pytest
import torch

WORK = ("torch", "eager", "mlp3d_nano", "16x32x32", "float32")
SMALL = (
    *("--backends", "torch", "--networks", "mlp3d_nano", "--sizes", "16x32x32"),
    *("--dtypes", "float32", "--max-batch", "2", "--rounds", "1", "--seconds", "0"),
    *("--side", "64", "--videos", "4", "--video", "20x32x48", "--fit-batch", "2"),
    *("--workers", "1", "--processes", "2", "--epochs", "2", "--devices", "2"),
)


@pytest.fixture
def device(root_dir, monkeypatch):
    monkeypatch.syspath_prepend(root_dir / "benchmarks")
    for name in ("cells", "peer_networks", "device", "device_page", "device_child"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("device")


def work_of(device, task):
    return dict(zip(device.FIELDS, (*WORK, task), strict=True))


def test_all_of_it_on_a_cpu(device, tmp_path, monkeypatch):
    path = tmp_path / "device.json"
    device.main([*SMALL, "--output", str(path)])
    found = json.loads(path.read_text())
    names = {task: [f"{' '.join(WORK)} {task} {k}" for k in (1, 2)] for task in device.TASKS}
    assert set(found["cells"]) == {name for row in names.values() for name in row}
    for name in names["forward"] + names["step"]:
        cell = found["cells"][name]
        assert cell["clips_per_second"] == pytest.approx(int(name[-1]) / cell["seconds"][0])
        assert cell["bytes"] > 2**20
        assert cell["rate"] > 0
    for count, name in enumerate(names["fit"], start=1):
        cell = found["cells"][name]
        assert (cell["devices"], cell["batch"]) == (count, 2 * count), cell
        assert all(len(cell[kind]) == 1 for kind in ("memory", "files", "processes", "shards"))
    assert f"torch {torch.__version__}" in found["machine"]["torch"]

    text = path.with_suffix(".md").read_text()
    assert f"- torch: {found['machine']['torch']}" in text
    for words in (
        "float32 | forward |",
        "float32 | step |",
        "| 2, as asked |",
        "float32 | 2 | 4 |",
    ):
        assert words in text

    # The second time nothing is left to measure.
    described = {"torch": {"count": 1, "kind": "cpu", "device": "x", "versions": {}}}
    monkeypatch.setattr(device, "devices_of", lambda *_: described)
    monkeypatch.setattr(device, "machine", lambda _: {})
    for name in ("start", "run_fit", "write_videos"):
        monkeypatch.setattr(device, name, lambda *_: pytest.fail("it measures again"))
    device.main([*SMALL, "--output", str(path)])
    assert json.loads(path.read_text()) == found


class Fake:
    """In place of a process: what it answers."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def ask(self, **request):
        self.asked.append(request["batch"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        pass


def swept(device, tmp_path, monkeypatch, *answers, times=1):
    """What a sweep asks, and what it leaves in its file."""
    options = device.parse(["--networks", "mlp3d_nano", "--max-batch", "64"])
    results = device.Results(tmp_path / "device.json", {})
    fake = Fake(*answers)
    monkeypatch.setattr(device, "start", lambda *_: fake)
    for _ in range(times):
        device.sweep(results, work_of(device, "step"), "cpu", options)
    return fake.asked, json.loads((tmp_path / "device.json").read_text())


def figure(rate):
    return {"clips_per_second": rate, "seconds": [1], "rate": 0.5, "bytes": 2**20}


def test_a_sweep_ends_when_memory_does_and_is_not_repeated(device, tmp_path, monkeypatch):
    answers = figure(1.0), figure(3.0), figure(2.0), {"out_of_memory": "no memory"}
    asked, found = swept(device, tmp_path, monkeypatch, *answers, times=2)
    assert asked == [1, 2, 4, 8]
    text = device.page(found)
    assert "step | 3.00 | 2 | 0.50 | 1 | out of memory at 8 |" in text


def test_batches_that_are_named(device, tmp_path, monkeypatch):
    options = device.parse(["--networks", "mlp3d_nano", "--batches", "4", "24"])
    results, fake = device.Results(tmp_path / "device.json", {}), Fake(figure(1.0), figure(3.0))
    monkeypatch.setattr(device, "start", lambda *_: fake)
    device.sweep(results, work_of(device, "step"), "gpu", options)
    assert fake.asked == [4, 24]
    assert [int(name.split()[-1]) for name in results.cells] == [4, 24]


def test_the_table_of_the_h100_is_that_of_its_file(device, root_dir):
    found = json.loads((root_dir / "benchmarks" / "results" / "h100.json").read_text())
    rows = [line for line in device.page(found).splitlines() if line.startswith("| torch")]
    assert rows
    text = (root_dir / "docs" / "devices.md").read_text(encoding="utf-8")
    assert all(row in text for row in rows)


def test_a_process_that_the_system_kills_is_said(device, tmp_path, monkeypatch):
    answers = figure(1.0), device.Stopped("killed by SIGKILL")
    asked, found = swept(device, tmp_path, monkeypatch, *answers, times=2)
    assert asked == [1, 2]
    assert "step | 1.00 | 1 | 0.50 | 1 | at 2: killed by SIGKILL |" in device.page(found)


def test_memory_that_ends_is_caught(device):
    child = importlib.import_module("device_child")
    work = {"rounds": 1, "seconds": 0, "side": 2}
    here = types.SimpleNamespace(reset=lambda: None, peak=lambda: 1)

    def measured(run):
        network = types.SimpleNamespace(run=lambda batch: run, macs=1)
        return child.measure(here, network, lambda: None, 4, work)

    assert "memory" in measured(lambda: torch.empty(2**50))["out_of_memory"]
    jax_says = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."
    assert list(measured(lambda: raising(RuntimeError(jax_says)))) == ["out_of_memory"]
    assert measured(lambda: None)["bytes"] == 1
    with pytest.raises(ValueError, match="not that"):
        measured(lambda: raising(ValueError("not that")))


def raising(error):
    raise error


def test_what_fit_cannot_do_is_said(device, tmp_path):
    options = device.parse(["--networks", "mlp3d_nano"])
    job = {"batch": 8, "videos": 12, "backend": "torch"}
    answer = device.run_fit(job, 2, "gpu", options)
    assert answer == {"error": "2 devices x 8 clips need --videos 16 at least"}
    job.update(backend="tensorflow", videos=16)
    assert device.run_fit(job, 2, "cpu", options)["error"].startswith("TensorFlow has one device")


def test_a_single_device_is_said(device):
    cell = {"devices": 1, "batch": 2, "memory": [4.0, 6.0], "files": [2.0], "shards": [3.0]}
    cell["processes"] = [2.5]
    cells = {f"{' '.join(WORK)} fit 1": cell}
    text = device.page({"machine": {"torch": "1 x card"}, "cells": cells})
    assert "| 1 | 2 | 5.00 | 2.00 | 2.50 | 3.00 |  |" in text
    assert "There is one device here: several are not measured." in text
    cells[f"{' '.join(WORK)} fit 2"] = {**cell, "devices": 2, "batch": 4, "memory": [8.0]}
    text = device.page({"machine": {}, "cells": cells})
    assert "| 2 | 4 | 8.00 | 2.00 | 2.50 | 3.00 | 1.60 |" in text
    assert "one device here" not in text


def test_a_backend_that_is_not_installed(device, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert device.devices_of(("jax",), device.parse(["--networks", "mlp3d_nano"])) == {}
    assert capsys.readouterr().out == "jax is not installed\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--networks", "mlp3d_xxs"], "There is no network 'mlp3d_xxs'"),
        (["--sizes", "64"], "'64' is not a size"),
        (["--max-batch", "0"], "--max-batch must be at least 1, got 0"),
        (["--batches", "8", "0"], "--batches must be at least 1, got 0"),
        (["--epochs", "1"], "--epochs must be at least 2, got 1"),
    ],
)
def test_wrong_options(device, capsys, options, words):
    with pytest.raises(SystemExit):
        device.parse(options)
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_plan(device):
    options = device.parse(["--networks", "mlp3d_nano", "--compile", "--sizes", "16x32x32"])
    options.networks.append("swin3d_t")
    plans = {backend: list(device.plan(backend, options)) for backend in device.FORMS}
    assert {name: {work["form"] for work in plan} for name, plan in plans.items()} == {
        "torch": {"eager", "compile"},
        "jax": {"jit"},
        "tensorflow": {"graph", "xla"},
    }
    peer = {work["task"] for work in plans["torch"] if work["network"] == "swin3d_t"}
    assert peer == {"forward", "step"}
    assert all(work["network"] != "swin3d_t" for work in plans["jax"])


def test_a_figure_of_other_settings_is_refused(device, tmp_path, monkeypatch):
    options = device.parse(["--networks", "mlp3d_nano", "--batches", "4"])
    results, fake = device.Results(tmp_path / "device.json", {}), Fake(figure(1.0))
    monkeypatch.setattr(device, "start", lambda *_: fake)
    device.sweep(results, work_of(device, "step"), "cpu", options)
    options.rounds = 9
    with pytest.raises(ValueError, match="with other settings: rounds 5 there and 9 here"):
        device.sweep(results, work_of(device, "step"), "cpu", options)
    assert fake.asked == [4]


def test_fit_ends_with_the_program_that_started_it(root_dir, tmp_path):
    """Killed, it would leave the next run something to share the processors with."""
    code = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(root_dir / 'benchmarks')!r})\n"
        "import device_fit, threading\n"
        "threading.Thread(target=device_fit.end_with_the_caller, daemon=True).start()\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "started\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 1
