"""`benchmarks/fit_on_videos.py` runs, and compares `fit` with its parts."""

import importlib.util
import re
import sys

import pytest


@pytest.fixture
def module(root_dir, monkeypatch):
    folder = root_dir / "benchmarks"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])  # it uses another program's videos
    spec = importlib.util.spec_from_file_location("fit_on_videos", folder / "fit_on_videos.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_short_run(module, capsys):
    sizes = ["--clips", "8", "--batch", "4", "--rounds", "1", "--workers", "1"]
    module.main([*sizes, "--beside", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("1 other programs")
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if "|" in line}
    assert {"decoding", "steps", "both", "fit"} < set(rows)
    seconds = {name: float(rows[name][0]) for name in ("decoding", "steps", "both", "fit")}
    found = re.findall(r"(\w+) (.*) s; fit reaches (\S+) of", "\n".join(lines[-2:]))
    assert [name for name, *_ in found] == ["bound", "both"]
    assert float(found[1][1]) == seconds["both"]
    bound, share = map(float, found[0][1:])
    assert bound >= max(seconds["decoding"], seconds["steps"]) - 0.01
    assert share == pytest.approx(bound / seconds["fit"], rel=0.1, abs=0.02)


def test_the_bound_is_the_slowest_part(module, capsys):
    decoding, steps = [(3.0, 6.0)] * 3, [(1.0, 2.0)] * 3
    times = {"decoding": decoding, "steps": steps, "both": [(4.5, 2)] * 3, "fit": [(5.0, 8.0)] * 3}
    module.report(times, 2)
    said = capsys.readouterr().out
    assert "bound 4.00 s; fit reaches 0.800 of it (0.800 to 0.800)" in said
    assert "both 4.50 s; fit reaches 0.900 of it (0.900 to 0.900)" in said
    module.report(times, 8)
    assert "bound 3.00 s; fit reaches 0.600 of it" in capsys.readouterr().out
