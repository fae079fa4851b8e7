"""`benchmarks/input.py` runs, and prints a line for every way in."""

import importlib.util

import pytest


def test_a_short_run(root_dir, capsys):
    pytest.importorskip("tensorflow")
    spec = importlib.util.spec_from_file_location("input", root_dir / "benchmarks" / "input.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CLIPS = (("4 x 32 x 32", 4, 32),)
    module.LONG_SIZE, module.LONG_SECONDS = (180, 320), 3
    sizes = ["--clips", "4", "--frames", "6", "8", "--memory-clips", "20", "--minutes", "2"]
    module.main([*sizes, "--rounds", "1", "--workers", "1"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for name in ("bare decoding ", "make_dataset, files ", "VideoLoader, shards 128 "):
        assert any(line.startswith(name) and "(" in line for line in lines)
    for name in ("uniform  VideoConverter", "dense    VideoConverter"):
        assert any(line.startswith(name) and "of bare" in line for line in lines)
    assert sum("MiB after clip" in line for line in lines) == 4
