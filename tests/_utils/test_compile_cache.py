"""Compiled programs are kept for the next process, where the user wants it."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from keras_mlp3d._utils import compile_cache

NAMES = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of the user's cache; JAX has been told nothing."""
    from huggingface_hub import constants

    before = {name: getattr(jax.config, name) for name in NAMES}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(compile_cache.VARIABLE, raising=False)
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)


def folder():
    return jax.config.jax_compilation_cache_dir


def test_the_users_cache(home, monkeypatch):
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    compile_cache.keep_compiled_programs()
    above = home / "cache" / "keras_mlp3d" / "compiled"
    assert pathlib.Path(folder()).parent == above
    assert pathlib.Path(folder()).stat().st_mode & 0o077 == 0  # nobody else writes programs there
    assert jax.config.jax_compilation_cache_max_size == 2**30
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0.2


def test_another_processor_has_another_folder(home, monkeypatch):
    first = compile_cache._user_folder()
    monkeypatch.setattr(compile_cache.platform, "machine", lambda: "another")
    assert compile_cache._user_folder() != first


def test_a_folder_of_ones_own(home, monkeypatch):
    monkeypatch.setenv(compile_cache.VARIABLE, str(home / "mine"))
    compile_cache.keep_compiled_programs()
    assert folder() == str(home / "mine")


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no", "false"])
def test_off(home, monkeypatch, word):
    monkeypatch.setenv(compile_cache.VARIABLE, word)
    compile_cache.keep_compiled_programs()
    assert folder() is None
    assert not (home / "cache").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("jax_compilation_cache_dir", "elsewhere"), ("jax_enable_compilation_cache", False)],
)
def test_what_jax_was_told_stays(home, name, value):
    jax.config.update(name, value)
    sizes = jax.config.jax_compilation_cache_max_size
    compile_cache.keep_compiled_programs()
    assert getattr(jax.config, name) == value
    assert jax.config.jax_compilation_cache_max_size == sizes
    assert not (home / "cache").exists()


def test_a_home_that_cannot_be_written(home, monkeypatch):
    (home / "cache").write_text("a file where the folder should be")
    compile_cache.keep_compiled_programs()
    assert folder() is None
    monkeypatch.setattr(compile_cache.os, "access", lambda *_: False)  # root may write anywhere
    monkeypatch.setenv(compile_cache.VARIABLE, str(home / "read_only"))
    compile_cache.keep_compiled_programs()
    assert folder() is None


PROGRAM = """
import jax
import numpy as np

hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append("cache_hits" in event))

import keras_mlp3d as km

model = km.MLP3D.from_preset("mlp3d_nano", load_weights=False)
model.predict(np.zeros((1, 16, 64, 64, 3), "uint8"), verbose=0)
print(sum(hits))
"""


@pytest.mark.parametrize("switch", ["on", "off"])
def test_the_second_process_compiles_less(tmp_path, switch):
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    environment = {
        **kept,
        "KERAS_BACKEND": "jax",
        "HF_ASSETS_CACHE": str(tmp_path),
        compile_cache.VARIABLE: "off" if switch == "off" else "",
    }
    hits = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        hits.append(int(done.stdout))
    assert hits[0] == 0
    assert (hits[1] > 0) == (switch == "on")
    assert bool(list(tmp_path.rglob("*-cache"))) == (switch == "on")
