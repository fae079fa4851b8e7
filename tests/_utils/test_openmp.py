"""Threads of PyTorch that wait sleep, unless the user has decided otherwise."""

import os
import subprocess
import sys

import pytest

from keras_mlp3d._utils import openmp

PRINT = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"


def printed(program, **variables):
    decided = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KERAS_BACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in decided}
    command = [sys.executable, "-c", f"{program}; {PRINT}"]
    result = subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_an_import_on_torch_decides():
    assert printed("import keras_mlp3d", KERAS_BACKEND="torch") == ["1000", "None"]


def test_an_import_on_jax_does_not():
    assert printed("import keras_mlp3d", KERAS_BACKEND="jax") == ["None", "None"]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, ["1000", "None"]),
        ({"GOMP_SPINCOUNT": "7"}, ["7", "None"]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["None", "ACTIVE"]),
    ],
)
def test_what_the_user_decided_stays(variables, found, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # what stood there is then put back
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    openmp.let_waiting_threads_sleep()
    assert [str(os.environ.get(name)) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")] == found


def test_once_torch_is_imported_it_is_too_late(monkeypatch):
    """The library reads the variable when it is loaded: setting it would only mislead a child."""
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    openmp.let_waiting_threads_sleep()
    assert "GOMP_SPINCOUNT" not in os.environ
