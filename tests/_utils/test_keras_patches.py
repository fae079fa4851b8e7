"""The faults that `keras_patches` mends are still in Keras: a failure here ends a patch.

That the patches work is tested where they are used: `distribution`, `models/test_whole_weights.py`
and below.
"""

import gc
import json
import os
import pathlib
import random
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from _utils import unpatched_keras

from keras_mlp3d._utils import keras_patches

SCRIPT = pathlib.Path(unpatched_keras.__file__)
BACKEND = keras.config.backend()
GONE = "Keras has mended this: remove the patch"


def only(backend):
    return pytest.mark.skipif(backend != BACKEND, reason=f"the fault is of {backend}")


# --- replacing ------------------------------------------------------------------------------------


def test_what_was_replaced_comes_back():
    class Base:
        def name(self):
            return "base"

    class Child(Base):
        def own(self):
            return "own"

    replacements = [
        (Child, "name", lambda old: lambda self: f"not {old(self)}"),
        (Child, "own", lambda old: lambda self: f"not {old(self)}"),
    ]

    def fail():
        with keras_patches.replaced(replacements):
            assert (Child().name(), Child().own()) == ("not base", "not own")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (Child().name(), Child().own()) == ("base", "own")
    assert "name" not in vars(Child)


# --- garbage --------------------------------------------------------------------------------------


def collections_of(quantize):
    """How often garbage is collected while two layers are quantized."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    times = []
    with keras_patches.replaced([(gc, "collect", lambda old: lambda *which: times.append(which))]):
        quantize(model)
    return len(times)


@pytest.mark.filterwarnings("ignore:Layer InputLayer")
def test_keras_collects_garbage_per_layer_and_the_patch_once():
    def patched(model):
        with keras_patches.garbage_collected_once():
            model.quantize("int8")

    assert collections_of(lambda model: model.quantize("int8")) >= 2, GONE
    assert collections_of(patched) == 1


# --- seeding --------------------------------------------------------------------------------------


@pytest.fixture
def tensorflow_seeds(monkeypatch):
    """The seeds that Keras gives to TensorFlow, which only seems to be installed."""
    from keras.src.utils import rng_utils

    seeds = []
    tf = types.SimpleNamespace(available=True, random=types.SimpleNamespace(set_seed=seeds.append))
    monkeypatch.setattr(rng_utils, "tf", tf)
    return seeds


def test_keras_seeds_tensorflow_on_every_backend(tensorflow_seeds):
    keras.utils.set_random_seed(3)
    assert tensorflow_seeds == [3], GONE


def test_seeding_imports_no_tensorflow(tensorflow_seeds, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    keras_patches.set_random_seed(3)
    assert tensorflow_seeds == []
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    keras_patches.set_random_seed(4)
    assert tensorflow_seeds == [4]


def drawn():
    dropped = keras.layers.Dropout(0.5)(np.ones((1, 50), "float32"), training=True)
    kernel = keras.initializers.GlorotUniform()((3, 3))
    values = [keras.random.normal((3,)), kernel, dropped]
    return [*map(keras.ops.convert_to_numpy, values), np.random.rand(3), random.random()]


def test_seeding_gives_the_draws_of_keras(monkeypatch):
    keras.utils.set_random_seed(5)
    expected = drawn()
    if BACKEND != "tensorflow":
        monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    keras_patches.set_random_seed(5)
    for one, other in zip(expected, drawn(), strict=True):
        np.testing.assert_array_equal(one, other)


# --- weights after an error -----------------------------------------------------------------------


class Refuses(keras.layers.Layer):
    """Raises at one of its calls: the one that traces the first step."""

    def __init__(self, call):
        super().__init__()
        self.left = call

    def call(self, x):
        self.left -= 1
        if not self.left:
            raise ValueError("refused")
        return x


@only("jax")
@pytest.mark.parametrize(("what", "call"), [("fit", 2), ("evaluate", 2), ("predict", 1)])
def test_an_error_takes_the_weights_of_keras(what, call):
    """`fit` and `evaluate` have called the layer once before, to build the model."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.add(layer := Refuses(0))
    layer.left = call
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    with pytest.raises(ValueError, match="refused"):
        getattr(model, what)(*((x,) if what == "predict" else (x, y)), verbose=0)
    with pytest.raises(TypeError):  # as they are None
        pytest.fail(f"{GONE}: {model.get_weights()}")


# --- the first step on TensorFlow -----------------------------------------------------------------


class Counted(keras.layers.Layer):
    """Counts how often it is traced."""

    traced = 0

    def call(self, x):
        Counted.traced += 1
        return x


def first_step(kind, how):
    """Traces of the training step of a small model, and what a step moved."""
    inputs = keras.Input((2,))
    model = kind(inputs, keras.layers.Dense(3)(Counted()(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    before, Counted.traced = model.get_weights(), 0
    x, y = np.ones((4, 2), "float32"), np.array([0, 1, 2, 1])
    if how == "fit":
        model.fit(x, y, batch_size=2, verbose=0)
    elif how == "generator":
        model.fit(((x, y) for _ in range(3)), steps_per_epoch=3, shuffle=False, verbose=0)
    else:
        model.train_on_batch(x, y)
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    assert {"accuracy", "loss"} <= set(model.get_metrics_result())
    return Counted.traced


@only("tensorflow")
@pytest.mark.parametrize("how", ["fit", "generator", "train_on_batch"])
def test_keras_traces_the_first_step_twice_on_tensorflow_and_the_patch_once(how):
    assert first_step(keras.Model, how) == 2, GONE
    assert first_step(keras_patches.TracedOnce, how) == 1


@only("tensorflow")
def test_outputs_in_a_dictionary_are_left_to_keras():
    inputs = keras.Input((2,))
    model = keras_patches.TracedOnce(inputs, {"a": keras.layers.Dense(1)(inputs)})
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(np.ones((4, 2), "float32"), {"a": np.ones((4, 1), "float32")}, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


# --- several devices ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What Keras alone does on two devices."""
    output = tmp_path_factory.mktemp("unpatched") / "result.json"
    command = [sys.executable]
    environment = {**os.environ}
    if BACKEND == "torch":
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    elif BACKEND == "jax":
        environment["XLA_FLAGS"] += " --xla_force_host_platform_device_count=2"
    result = subprocess.run(
        [*command, str(SCRIPT), str(output)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if result.returncode:
        pytest.fail(result.stdout)
    return json.loads(output.read_text())


@only("jax")
def test_keras_refuses_a_batch_that_does_not_divide_on_jax(seen):
    assert seen["odd"] is not None, GONE


@only("torch")
def test_processes_of_keras_start_apart_on_torch(seen):
    assert seen["start"][0] != seen["start"][1], GONE


@only("torch")
def test_processes_of_keras_step_apart_on_torch(seen):
    assert seen["step"][0] != seen["step"][1], GONE


@only("torch")
def test_processes_of_keras_count_apart_on_torch(seen):
    assert seen["mae"][0] != seen["mae"][1], GONE


@only("torch")
def test_processes_of_keras_drop_the_same_units_on_torch(seen):
    assert seen["kept"][0] == seen["kept"][1], GONE


@only("tensorflow")
def test_replicas_of_keras_clip_apart_on_tensorflow(seen):
    """The global norm of the step must be 0.5; each replica clips its half of the gradient."""
    assert seen["norm"] > 0.6, GONE


@only("tensorflow")
def test_keras_cannot_accumulate_gradients_on_tensorflow(seen):
    assert "merge_call" in (seen["accumulated"] or ""), GONE


@only("tensorflow")
def test_replicas_of_keras_drop_the_same_units_on_tensorflow(seen):
    assert seen["kept"][0] == seen["kept"][1], GONE


@only("tensorflow")
def test_keras_asks_for_the_mean_of_clips_on_tensorflow(seen):
    assert seen["odd"] is not None, GONE


@only("tensorflow")
def test_keras_asks_for_the_mean_of_a_scalar_over_an_axis_on_tensorflow(monkeypatch):
    from keras.src.backend.tensorflow import trainer

    asked = []
    strategy = types.SimpleNamespace(
        reduce=lambda operation, value, axis=None: asked.append((operation, axis))
    )
    monkeypatch.setattr(trainer, "_collective_all_reduce_multi_worker", lambda strategy: True)
    trainer.reduce_per_replica({"loss": keras.ops.ones(())}, strategy, "mean")
    assert asked == [("MEAN", 0)], GONE
