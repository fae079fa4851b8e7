"""`benchmarks/long_videos.py` runs, and prints a line for every way and the frames decoded."""

import importlib.util
import re

import pytest

from keras_mlp3d.data.video import file_reader, runs


@pytest.fixture
def benchmark(root_dir, monkeypatch):
    path = root_dir / "benchmarks" / "long_videos.py"
    spec = importlib.util.spec_from_file_location("long_videos", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.videos.LONG_SIZE, module.videos.LONG_SECONDS = (180, 320), 24
    monkeypatch.setattr(file_reader, "SMALL_PIXELS", 0)
    monkeypatch.setattr(runs, "MIN_PIXELS", 0)
    return module


@pytest.mark.parametrize("way", [["--threads", "2"], ["--sequential"]])
def test_a_short_run(benchmark, capsys, way):
    benchmark.main(["--minutes", "2", "--rounds", "1", "--videos", "2", *way])
    printed = capsys.readouterr().out
    names = ["one thread", "bare seek and decode", "evaluate", "bare decoding and prediction"]
    for name in names if way == ["--sequential"] else [*names, "several"]:
        assert re.search(rf"^  {name} +[\d.]+  \([\d.]+ to [\d.]+\) +[\d.]+ ", printed, re.M), name
    counts = re.findall(r"(\d+) frames decoded, (\d+) is the least possible", printed)
    assert len(counts) == (1 if way == ["--sequential"] else 2)
    for decoded, least in counts:
        # A decoder holds back a few frames until it knows their order.
        assert int(least) <= int(decoded) <= int(least) + 64 * 4
    decoded, shown = re.search(r"(\d+) frames of a file decoded for (\d+)", printed).groups()
    assert int(shown) <= int(decoded) <= 600
