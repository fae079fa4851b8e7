"""`benchmarks/first_answer.py` starts each process as it says."""

import importlib.util
import json
import os
import sys

import pytest

#: Adds a line to the log: what the process was told, and whether an earlier one left its mark.
PROGRAM = """
import json, os, pathlib, sys
mark = pathlib.Path(os.environ["HF_ASSETS_CACHE"], "mark")
names = ("KERAS_BACKEND", "KERAS_MLP3D_COMPILE_CACHE", "JAX_COMPILATION_CACHE_DIR")
row = [mark.exists(), *(os.environ.get(name) for name in names)]
mark.touch()
with open(sys.argv[1], "a") as file:
    print(json.dumps(row), file=file)
"""


@pytest.fixture
def benchmark(root_dir, tmp_path, monkeypatch):
    path = root_dir / "benchmarks" / "first_answer.py"
    spec = importlib.util.spec_from_file_location("first_answer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log")]
    monkeypatch.setattr(module, "PROGRAMS", {"predict": command})
    return module


def test_first_next_and_off(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    found = benchmark.measure("predict", "jax", 2)
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    first, later, off = (
        [False, "jax", "", None],
        [True, "jax", "", None],
        [True, "jax", "off", None],
    )
    assert rows == [first, later, off] * 2
    assert {name: len(times) for name, times in found.items()} == {"first": 2, "next": 2, "off": 2}
    assert all(0 < seconds < 60 for times in found.values() for row in times for seconds in row)


def test_the_table(benchmark, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["first_answer.py", "--backends", "torch", "--rounds", "1"])
    benchmark.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[2] for row in rows[2:]] == ["first", "next", "off"]


def test_a_program_that_fails_is_no_number(benchmark):
    benchmark.PROGRAMS["predict"] = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(benchmark.subprocess.CalledProcessError):
        benchmark.seconds("predict", "torch", os.curdir)
