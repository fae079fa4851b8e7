"""What every test relies on: the backend that was asked for, and the tests that it is asked to run.

- Tests that need no backend (tests/backend_free.py) run under `KERAS_BACKEND=numpy`, or on any.
- Heavy tests of what surrounds a network run on PyTorch alone (tests/full_on_torch.py).
- `make test-quick` runs the files of `QUICK`, with every package in them.
- Files run longest first (`LONGEST`), so that no worker waits for another in the end.
"""

import importlib.metadata
import os
import pathlib
import signal
import threading

import backend_free
import full_on_torch
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
# are fused as ever, LLVM does less, and the older writers of fused kernels need a third less time.
# (A flag that XLA does not know ends the process: versions that are not tried yet get none.)
FLAGS = ["--xla_backend_optimization_level=0"]
if os.environ.get("KERAS_BACKEND") == "jax":
    version = importlib.metadata.version("jaxlib")
    if (0, 7) <= tuple(map(int, version.split(".")[:2])) < (0, 11):
        FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))


# A shell has its background jobs ignore Ctrl-C, and so would the programs that tests interrupt.
main_thread = threading.current_thread() is threading.main_thread()
if main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = ROOT / "tests"
BACKENDS = ("tensorflow", "jax", "torch")


def pytest_configure(config):
    """Refuses to run on a backend nobody chose: an unset variable would test one backend thrice."""
    import keras

    for line in MARKERS:
        config.addinivalue_line("markers", line)
    wanted = os.environ.get("KERAS_BACKEND")
    if not wanted:
        raise pytest.UsageError("set KERAS_BACKEND to tensorflow, jax or torch to run the tests")
    if keras.backend.backend() != wanted:
        raise pytest.UsageError(
            f"KERAS_BACKEND is {wanted!r}, the live backend is {keras.backend.backend()!r}"
        )


MARKERS = (
    "backend_free: needs no backend; runs once, under KERAS_BACKEND=numpy",
    "quick: a part of `make test-quick`",
)

#: Files of `make test-quick`: of every package what is quick to say that it works.
QUICK = (
    "_utils/test_checks.py",
    "cli/test_commands.py",
    "conversion/test_golden.py",
    "cost/test_count.py",
    "data/datasets/test_csv.py",
    "data/loading/test_clip_source.py",
    "data/video/test_converter.py",
    "data/video/test_sampling.py",
    "data/augment/test_augmenter.py",
    "hub/test_preset.py",
    "hub/test_weights.py",
    "inference/test_evaluate.py",
    "layers",
    "models/test_mlp3d.py",
    "models/test_mlp3d_backbone.py",
    "plots/test_curves.py",
    "search/test_greedy.py",
    "search/test_space.py",
    "test_annotations.py",
    "test_backend.py",
    "test_backend_free.py",
    "test_imports.py",
    "training/test_optimizer.py",
    "training/test_recipe.py",
)

#: Files that take longest on the backend where they take longest, longest first.
LONGEST = (
    "export/test_export.py",
    "data/video/test_random_access.py",
    "training/test_run.py",
    "distribution/test_distribute.py",
    "cli/test_train.py",
    "test_examples.py",
    "search/test_run.py",
    "search/test_trainer.py",
    "cli/test_search.py",
    "training/test_unreadable_videos.py",
    "training/test_changed_videos.py",
    "training/test_optimizer.py",
    "models/test_dtype_policies.py",
    "models/test_mlp3d_backbone.py",
    "search/test_supernet.py",
    "test_notebooks.py",
    "docs/test_pages.py",
    "test_readme.py",
    "docs/test_site.py",
)


def _relative(path):
    path = pathlib.Path(path)
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""


def _place(path):
    return LONGEST.index(path) if path in LONGEST else len(LONGEST)


def pytest_ignore_collect(collection_path, config):
    """Leaves out the files of which nothing would run, unless one is named.

    On NumPy those are the files that need a backend: one that is named then fails.
    """
    named = {pathlib.Path(argument.split("::")[0]).resolve() for argument in config.args}
    if not collection_path.name.startswith("test_") or collection_path in named:
        return None
    path, backend = _relative(collection_path), os.environ["KERAS_BACKEND"]
    if backend == "numpy":
        return None if backend_free.needs_no_backend(path) else True
    if config.option.markexpr == "not backend_free" and backend_free.needs_no_backend(path):
        return True
    elsewhere = backend != "torch" and not backend_free.needs_no_backend(path)
    return True if elsewhere and full_on_torch.is_whole(path) else None


def pytest_collection_modifyitems(config, items):
    """Marks and orders the tests, and leaves the heavy ones to the backend that runs them."""
    import keras

    elsewhere = keras.backend.backend() not in ("torch", "numpy")
    kept, left_out, names = [], [], {}
    for item in items:
        path = _relative(item.path)
        names.setdefault(path, set()).add(item.name)
        if backend_free.needs_no_backend(path):
            item.add_marker("backend_free")
        if backend_free.is_listed(path, QUICK):
            item.add_marker("quick")
        heavy = elsewhere and full_on_torch.is_heavy(path, item.name)
        (left_out if heavy else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    if not any("::" in argument for argument in config.args):
        _check_kept(names)
    items[:] = sorted(kept, key=lambda item: _place(_relative(item.path)))


def _check_kept(names):
    """Refuses a list that keeps no test of that name: its others would run on PyTorch alone."""
    for path, found in names.items():
        if missing := full_on_torch.missing(path, found):
            raise pytest.UsageError(f"tests/full_on_torch.json keeps {missing}; {path} has none")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Makes any use of the backend an error in the tests, and their fixtures, that need none."""
    if item.get_closest_marker("backend_free"):
        with backend_free.no_backend():
            return (yield)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Fails a test that needs a backend where there is none."""
    import keras

    free = item.get_closest_marker("backend_free")
    if not free and keras.src.backend.backend() not in BACKENDS:
        pytest.fail("needs a backend: set KERAS_BACKEND to tensorflow, jax or torch", pytrace=False)


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
