"""`benchmarks/webcam.py` runs, and its exit code says whether memory grew."""

import importlib.util
import re

import pytest


@pytest.fixture
def webcam(root_dir):
    spec = importlib.util.spec_from_file_location("webcam", root_dir / "benchmarks" / "webcam.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_short_run(webcam, capsys):
    options = ["--calls", "6", "--at", "4", "6", "--frames", "20", "--size", "40", "60"]
    assert webcam.main([*options, "--tolerance", "1"]) == 0
    printed = capsys.readouterr().out
    lines = re.findall(r"call +(\d+): +[\d.]+ MiB \([+-][\d.]+%\), +([\d.]+) ms per call", printed)
    assert [int(call) for call, _ in lines] == [4, 6]
    assert all(float(milliseconds) > 0 for _, milliseconds in lines)
    assert "frames seen up to 0.76 s" in printed  # the last of 20 frames at 25 a second


def test_growing_memory_is_a_failure(webcam, monkeypatch, capsys):
    sizes = iter([100 * 2**20, 103 * 2**20])
    monkeypatch.setattr(webcam, "resident_bytes", lambda: next(sizes))
    options = ["--calls", "2", "--at", "1", "2", "--frames", "9", "--size", "40", "60"]
    assert webcam.main(options) == 1
    assert "memory grew by at most 3.00% from call 1 on" in capsys.readouterr().out


def test_the_camera_moves(webcam):
    frames = webcam.camera(24, 32)
    first, second = next(frames), next(frames)
    assert (first.shape, first.dtype) == ((24, 32, 3), "uint8")
    assert (first != second).mean() > 0.5
