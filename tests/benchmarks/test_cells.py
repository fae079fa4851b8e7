"""`benchmarks/cells.py`: the file of figures, and the processes that measure."""

import importlib.util
import json
import os
import sys
import time

import pytest

#: Answers with twice the number; prints, raises, dies or sleeps if it is told to.
PROGRAM = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from cells import serve

def handle(request):
    print("not an answer")
    if request["number"] == 13:
        raise ValueError("an unlucky\\nnumber")
    if request["number"] == 9:
        os.kill(os.getpid(), 9)
    if request["number"] == 3:
        print("[rank1]: RuntimeError: the cause\\n====", file=sys.stderr, flush=True)
        os._exit(3)
    time.sleep(60 * (request["number"] == 60))
    return {"twice": 2 * request["number"]}

serve(handle)
"""


@pytest.fixture
def cells(root_dir):
    path = root_dir / "benchmarks" / "cells.py"
    spec = importlib.util.spec_from_file_location("cells", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def child(cells, root_dir):
    children = []

    def start(limit=None):
        command = [sys.executable, "-c", PROGRAM, str(root_dir / "benchmarks")]
        path = {"PYTHONPATH": str(root_dir)}
        children.append(cells.Child(command, path, limit))
        return children[-1]

    yield start
    for each in children:
        each.close()


def test_a_process_answers_and_survives_an_error(child):
    process = child()
    assert process.ask(number=4) == {"twice": 8}
    assert process.ask(number=13) == {"error": "ValueError: an unlucky number"}
    assert process.ask(number=5) == {"twice": 10}


def test_how_a_process_ended(cells, child):
    with pytest.raises(cells.Stopped, match="killed by SIGKILL, as systems do when memory"):
        child().ask(number=9)
    process = child()
    with pytest.raises(cells.Stopped, match=r"exit code 3: .rank1.: RuntimeError: the cause$"):
        process.ask(number=3)
    with pytest.raises(cells.Stopped, match="exit code 3"):
        process.ask(number=4)


def test_a_process_that_hangs_is_killed(cells, child):
    start, process = time.monotonic(), child(limit=2)
    with pytest.raises(cells.Stopped, match="no answer within 2 s"):
        process.ask(number=60)
    assert time.monotonic() - start < 50


def test_a_file_is_resumed(cells, tmp_path):
    path = tmp_path / "runs" / "figures.json"
    first = cells.Results(path, {"machine": "a", "torch": "2", "torchvision": None})
    first.cells["x"] = {"seconds": [1.5]}
    first.save()
    second = cells.Results(path, {"machine": "a", "torch": "2", "torchvision": "0.3"})
    assert second.cells == {"x": {"seconds": [1.5]}}
    second.save()
    assert json.loads(path.read_text())["machine"]["torchvision"] == "0.3"
    third = cells.Results(path, {"machine": "a", "torch": "2", "torchvision": None})
    assert third.machine["torchvision"] == "0.3"
    assert os.listdir(tmp_path / "runs") == ["figures.json"]


def test_figures_of_another_machine_are_not_mixed(cells, tmp_path):
    path = tmp_path / "figures.json"
    cells.Results(path, {"machine": "a", "threads": 1}).save()
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"threads 1 there and 2 here\. Give another --output"):
        cells.Results(path, {"machine": "a", "threads": 2})
    assert path.read_bytes() == content


@pytest.mark.parametrize("text", ["", "[]", '{"machine": {}}', '{"machine": {}, "cells": []}'])
def test_other_files_are_refused(cells, tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a file of figures"):
        cells.Results(path, {})
    assert path.read_text() == text


def test_a_file_that_is_not_there(cells, tmp_path):
    with pytest.raises(ValueError, match=r"Cannot read .*none\.json: No such file"):
        cells.read(tmp_path / "none.json")


def test_sizes(cells):
    assert cells.size_of("16x224x192") == (16, 224, 192)
    for text in ("16", "16x224", "0x2x2", "16x224x224x3", "axbxc"):
        with pytest.raises(ValueError, match="give FRAMESxHEIGHTxWIDTH"):
            cells.size_of(text)


def test_peak_memory_grows(cells):
    before = cells.peak_memory()
    block = bytearray(os.urandom(1024)) * (200 * 1024)
    assert cells.peak_memory() >= before
    assert cells.peak_memory() > len(block)
