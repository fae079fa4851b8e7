"""What every test relies on: a proven backend, and the shared folder where it stands beside."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Several test processes share the processors; OpenMP threads that wait for each other would spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = pathlib.Path(__file__).resolve().parent.parent

# On JAX the tests spend most of their time compiling: equal programs are compiled once for all
# processes of a run. Set before anything imports jax.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Nor is it worth its time to have machine code improved that runs for milliseconds: the programs
# are fused as ever, and only LLVM does less.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_configure(config):
    """Refuses to run on a backend nobody chose: an unset variable would test one backend thrice."""
    import keras

    wanted = os.environ.get("KERAS_BACKEND")
    if not wanted:
        raise pytest.UsageError("set KERAS_BACKEND to tensorflow, jax or torch to run the tests")
    if keras.backend.backend() != wanted:
        raise pytest.UsageError(
            f"KERAS_BACKEND is {wanted!r}, the live backend is {keras.backend.backend()!r}"
        )


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(7)


@pytest.fixture
def shared_dir():
    """The folder of real clips and real broken videos, beside the checkout; skips without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the checkout")
    return folder


@pytest.fixture
def root_dir():
    """The root of the repository."""
    return ROOT
