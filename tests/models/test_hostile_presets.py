"""A few kilobytes of configuration cost neither gigabytes nor seconds."""

import gc
import json
import re
import resource
import time
import tracemalloc

import h5py
import numpy as np
import pytest
from models import tiny

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D, hub
from keras_mlp3d.models import FrameCycleMLP, parameter_count

HUGE = 10**1000
#: Changes of a backbone's configuration.
BACKBONE = {
    "group size": {"max_group_size": 100_000},
    "group size of a thousand digits": {"max_group_size": HUGE},
    "ratios": {"mlp_ratios": [1_000_000] * 4},
    "a ratio near infinity": {"mlp_ratios": 1e300},
    "an infinite ratio": {"mlp_ratios": float("inf")},
    "blocks": {"depths": [250] * 4, "schedule": [["short_range", 2]] * 1000},
    "blocks of an alternating schedule": {"depths": [10**9] * 4, "schedule": "short_range:2"},
    "endless blocks": {"depths": [HUGE] * 4, "schedule": "short_range:2"},
    "channels": {"channels": [100_000] * 4},
    "endless channels": {"channels": [HUGE] * 4},
    "schedule": {"schedule": [["long_range", 10**9]] * 5},
    "unshared": {"schedule": [["long_range", 10**5]] * 5, "share_weights": False},
    "full": {"schedule": [["full", None]] * 5, "input_shape": [10**10, 32, 32, 3]},
    "candidates": {"candidates": [["short_range", 10**7]]},
    "many candidates": {"candidates": [["shift_token", size + 1] for size in range(5000)]},
    "turns": {"depths": [10**6] * 4, "schedule": "+".join(["shift_token:2"] * 5000)},
    "kernel": {"window": [10**9] * 3, "cycle_kernel_size": 10**9, "channels": [10**6] * 4},
}
CLASSES = {
    "a million classes": {"num_classes": 10**6, "class_names": None},
    "many names": {"num_classes": 300_000, "class_names": [f"n{i}" for i in range(300_000)]},
    "endless classes": {"num_classes": HUGE, "class_names": None},
}


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """One small preset of each class, with weights."""
    folder = tmp_path_factory.mktemp("presets")
    frame = tiny.tiny_cycle_mlp()
    networks = {
        "MLP3D": tiny.tiny_model(),
        "CycleMLP": frame,
        "FrameCycleMLP": FrameCycleMLP(frame),
        "TwoPathMLP3D": TwoPathMLP3D(
            tiny.tiny_model(task={"name": "a"}), tiny.tiny_model(task={"name": "b"}), (36, 50)
        ),
    }
    for name, network in networks.items():
        network.save_to_preset(folder / name)
    return folder


def nested(change):
    """The change at the motion path of a two-path network."""
    return lambda config: config["motion"]["backbone"].update(change)


FLAT = ("channels", "depths", "mlp_ratios")
#: Name -> (class, file, change).
CASES = {
    **{f"MLP3D, {n}": (MLP3D, "config.json", c) for n, c in BACKBONE.items()},
    **{f"MLP3D, {n}": (MLP3D, "task.json", c) for n, c in CLASSES.items()},
    **{f"CycleMLP, {n}": (CycleMLP, "config.json", c) for n, c in CLASSES.items()},
}
OF_OTHER_CLASSES = {
    **{f"backbone, {n}": (MLP3DBackbone, "config.json", c) for n, c in BACKBONE.items()},
    **{f"two paths, {n}": (TwoPathMLP3D, "config.json", nested(c)) for n, c in BACKBONE.items()},
    **{
        f"two paths, {n}": (
            TwoPathMLP3D,
            "config.json",
            lambda config, c=c: config["appearance"]["task"].update(c),
        )
        for n, c in CLASSES.items()
    },
    **{
        f"{cls.__name__}, {n}": (cls, "config.json", {k: c[k] for k in FLAT if k in c})
        for cls in (CycleMLP, FrameCycleMLP)
        for n, c in BACKBONE.items()
        if any(key in c for key in FLAT)
    },
}
EVERY_CASE = CASES | OF_OTHER_CLASSES


@pytest.fixture
def case(request, presets, tmp_path):
    """(class, folder of the changed preset)."""
    cls, name, change = EVERY_CASE[request.param]
    source = presets / ("MLP3D" if cls is MLP3DBackbone else cls.__name__)
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / name).read_text())
    if callable(change):
        change(content["config"])
    else:
        content["config"].update(change)
    (tmp_path / name).write_text(json.dumps(content))
    return cls, tmp_path


every_case = pytest.mark.parametrize("case", EVERY_CASE, indirect=True)
some_cases = pytest.mark.parametrize("case", CASES, indirect=True)


def refused(cls, folder, **options):
    """Returns the error of a load that takes little time and memory, and builds nothing.

    The time is this thread's, without Python's collection of garbage: other tests of the process
    leave threads and objects, and a collection of theirs takes a second.
    """
    size = sum(path.stat().st_size for path in folder.glob("*.json"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gc.disable()
    start = time.thread_time()
    try:
        with pytest.raises(ValueError, match=re.escape(str(folder))) as caught:
            cls.from_preset(folder, **options)
        seconds = time.thread_time() - start
    finally:
        gc.enable()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert seconds < 1
    assert grown < 100 * 1024  # kilobytes
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(str(folder))):
            cls.from_preset(folder, **options)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20 + 40 * size
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    def fail(cls, *_):
        raise AssertionError(f"{cls.__name__} is being built.")

    for cls in (MLP3D, MLP3DBackbone, TwoPathMLP3D, CycleMLP, FrameCycleMLP):
        monkeypatch.setattr(cls, "_from_files", classmethod(fail))


def assert_names_both_numbers(message, held):
    if "cannot be built: " in message:  # no number: an infinite ratio
        assert "mlp_ratios must be a number above 0, got inf" in message
        return
    asked = re.search(r"asks for (more than 10\^18|[\d,]+) parameters", message)
    assert asked, message
    assert held in message


@every_case
def test_with_weights(case):
    message = refused(*case)
    assert_names_both_numbers(message, "holds ")
    assert re.search(r"holds [\d,]+\. They are not of this network", message) or "inf" in message


@pytest.mark.parametrize("blocks", [1000, 40_000])
def test_blocks_whose_weights_are_one_array(tmp_path, blocks):
    """Small blocks: as many parameters as the file holds, and far more objects."""
    depths = [blocks // 4] * 4
    config = {"channels": [1, 1, 1, 1], "depths": depths, "mlp_ratios": [1, 1, 1, 1]}
    config["schedule"] = "short_range:1"
    count = parameter_count.backbone_parameters(config)
    hub.write_json(tmp_path / "config.json", hub.serialized("MLP3DBackbone", config))
    hub.write_json(tmp_path / "metadata.json", {"parameter_count": count})
    with h5py.File(tmp_path / hub.WEIGHTS, "w") as file:
        file["x"] = np.zeros(count, "float32")
    assert "1 arrays are too few for its blocks" in refused(MLP3DBackbone, tmp_path)


@some_cases
def test_without_loading_the_weights(case):
    """The weights are there to compare with, though they are not loaded."""
    assert_names_both_numbers(refused(*case, load_weights=False), "holds ")


def remove_weights(folder):
    for path in folder.glob("*.h5"):
        path.unlink()


@every_case
def test_without_weights(case):
    cls, folder = case
    remove_weights(folder)
    assert_names_both_numbers(refused(cls, folder, load_weights=False), "metadata.json states ")


@some_cases
def test_without_weights_and_without_a_number(case, monkeypatch):
    """Nothing to compare with: the network must fit into memory."""
    cls, folder = case
    remove_weights(folder)
    (folder / "metadata.json").write_text("{}")
    monkeypatch.setattr(parameter_count, "memory_bytes", lambda: 2 * 2**20)
    message = refused(cls, folder, load_weights=False)
    assert_names_both_numbers(message, "this process may use 0.0 GiB")
    assert "call the class with the arguments in its config.json" in message or "inf" in message


def test_a_network_that_fits_is_not_refused(presets, monkeypatch):
    built = []
    monkeypatch.setattr(
        MLP3D, "_from_files", classmethod(lambda cls, *_: built.append(cls) or cls.__new__(cls))
    )
    MLP3D.from_preset(presets / "MLP3D", load_weights=False)
    assert built == [MLP3D]


def test_memory_of_this_process():
    memory = parameter_count.memory_bytes()
    assert memory > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory - 4096, hard))
    try:
        assert parameter_count.memory_bytes() == memory - 4096
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
