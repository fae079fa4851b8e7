"""Threads of PyTorch that wait sleep beside other programs, unless the user decided otherwise."""

import os
import subprocess
import sys

import pytest

from keras_mlp3d._utils import openmp

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
PRINT = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"


def printed(backend):
    """The variables after an import, in a process of low priority."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = ["nice", "-n", "1", sys.executable, "-c", f"import keras_mlp3d; {PRINT}"]
    result = subprocess.run(
        command,
        env={**environment, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_an_import_on_torch_decides():
    assert printed("torch") == ["1000", "None"]


def test_an_import_on_jax_does_not():
    assert printed("jax") == ["None", "None"]


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A process that has the machine for itself, and has not imported PyTorch."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # what stood there is then put back
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(openmp.os, "getpriority", lambda *_: 0)
    monkeypatch.setattr(openmp.os, "getloadavg", lambda: (0.0, 5.0, 5.0))
    monkeypatch.setattr(openmp, "_QUOTA", str(tmp_path / "cpu.max"))
    monkeypatch.setattr(openmp, "default_workers", lambda: 2)
    return tmp_path


def decided():
    openmp.let_waiting_threads_sleep()
    return os.environ.get("GOMP_SPINCOUNT")


def test_alone_nothing_is_set(alone):
    assert decided() is None


def test_a_low_priority(alone, monkeypatch):
    monkeypatch.setattr(openmp.os, "getpriority", lambda *_: 10)
    assert decided() == "1000"


def test_other_programs_that_compute(alone, monkeypatch):
    monkeypatch.setattr(openmp.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(openmp.os, "getloadavg", lambda: (1.9, 9.0, 9.0))
    assert decided() is None
    monkeypatch.setattr(openmp.os, "getloadavg", lambda: (2.0, 0.0, 0.0))
    assert decided() == "1000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("150000 100000\n", "1000"), ("200000 100000\n", None), ("max 100000\n", None), ("?", None)],
)
def test_a_limit_of_processor_time(alone, text, expected):
    (alone / "cpu.max").write_text(text)
    assert decided() == expected


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_decided_stays(alone, monkeypatch, name):
    monkeypatch.setattr(openmp.os, "getpriority", lambda *_: 10)
    monkeypatch.setenv(name, "7")
    openmp.let_waiting_threads_sleep()
    assert {key: os.environ.get(key) for key in NAMES} == {**dict.fromkeys(NAMES), name: "7"}


def test_once_torch_is_imported_it_is_too_late(alone, monkeypatch):
    """The library reads the variable when it is loaded: setting it would only mislead a child."""
    monkeypatch.setattr(openmp.os, "getpriority", lambda *_: 10)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert decided() is None
