"""The predicted memory against the tensors that PyTorch keeps, storage by storage."""

import importlib.util
import pathlib
import weakref

import keras
import numpy as np
import pytest
import torch
from models import tiny
from torch.utils import _python_dispatch, _pytree

from keras_mlp3d import FrameCycleMLP, TwoPathMLP3D
from keras_mlp3d.cost import kept_tensors, training_step
from keras_mlp3d.layers import MLP3DBlock

CLIP = (16, 36, 50, 3)
#: A classifier keeps its softmax; a rule that is dropped is far above.
BOUND = 1e-3
DTYPES = ["float32", "bfloat16", "mixed_bfloat16", "mixed_float16"]
OPTIONS = [
    {},
    {"schedule": "short_range:1"},
    {"schedule": "shift_token:1"},
    {"schedule": "shift_token:3"},
    {"schedule": "long_range:4", "max_group_size": 4},
    {"schedule": "short_range:1", "max_group_size": 2},
    {"schedule": "full", "input_shape": (16, None, None, 3)},
    {"schedule": "short_range:2", "share_weights": False},
    {"schedule": "short_range:1", "share_weights": False},
    {"schedule": "shift_token:2", "share_weights": False},
    {"schedule": "short_range:2", "candidates": ["long_range:2", "shift_token:4"]},
    {"drop_path_rate": 0.2},
    {"remat": True},
    {"remat": True, "drop_path_rate": 0.2},
    {"include_rescaling": False},
    {"subtract_mean": True},
]


BENCHMARK = pathlib.Path(__file__).parents[2] / "benchmarks" / "training_memory.py"


def saved_bytes(model, shape, batch=2):
    """Bytes of the storages that a forward pass keeps, as the benchmark counts them."""
    spec = importlib.util.spec_from_file_location("training_memory", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.saved_tensors(model, np.ones((batch, *shape), "float32"))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_are_the_saved_tensors(dtype, options):
    model = tiny.tiny_model(dtype=dtype, **options)
    predicted = training_step(model, CLIP, 2).activations
    assert predicted == pytest.approx(saved_bytes(model, CLIP), rel=BOUND)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_networks(dtype):
    frame = tiny.tiny_cycle_mlp(dtype=dtype)
    two = TwoPathMLP3D(
        tiny.tiny_model(task={"name": "seen"}, dtype=dtype),
        tiny.tiny_model("shift_token:2", task={"name": "moving"}, dtype=dtype),
        motion_size=(32, 36),
    )
    for model, shape in (
        (tiny.tiny_backbone(dtype=dtype), CLIP),
        (frame, CLIP[1:]),
        (FrameCycleMLP(frame), (3, *CLIP[1:])),
        (two, CLIP),
    ):
        predicted = training_step(model, shape, 2).activations
        assert predicted == pytest.approx(saved_bytes(model, shape), rel=3 * BOUND), model.name


RULES = ("_norm", "_dense", "_cycle", "_time", "_embedding")


@pytest.mark.parametrize("rule", RULES)
def test_a_dropped_rule_is_found(monkeypatch, rule):
    """The test of the tests above: without any one rule they fail."""
    model = tiny.tiny_model()
    saved = saved_bytes(model, CLIP)
    original = getattr(kept_tensors, rule)

    def nothing(layer, shape):
        found = original(layer, shape)
        return 0 if isinstance(found, int) else kept_tensors.LayerMemory(found.name, 0)

    monkeypatch.setattr(kept_tensors, rule, nothing)
    assert training_step(model, CLIP, 2).activations < saved * (1 - 10 * BOUND)


class LiveTensors(_python_dispatch.TorchDispatchMode):
    """Counts the bytes of all storages that operations make, and the most at one moment."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.seen = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for tensor in _pytree.tree_leaves(outputs):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor.untyped_storage())
        return outputs

    def add(self, storage):
        known = self.seen.get(storage._cdata)
        if known is None or known() is None:
            self.seen[storage._cdata] = weakref.ref(storage)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.free, storage.nbytes())

    def free(self, size):
        self.now -= size


@pytest.mark.parametrize(
    ("dtype", "remat", "size"),
    [
        ("float32", False, 96),
        ("float32", True, 96),
        ("mixed_bfloat16", False, 96),
        ("mixed_bfloat16", True, 96),
        ("float32", False, 32),
    ],
)
def test_peak_of_a_step(dtype, remat, size):
    """Within 12 % of the bytes in use at the worst moment of a whole step with AdamW."""
    options = {"mlp_ratios": 4, "dtype": dtype, "remat": remat}
    model = tiny.tiny_model(("short_range:2",) * 5, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-4), loss)
    shape, batch = (16, size, size, 3), 4
    clips, labels = np.ones((batch, *shape), "float32"), np.zeros(batch, "int64")
    model.train_on_batch(clips, labels)
    with LiveTensors() as live:
        model.train_on_batch(clips, labels)
    step = training_step(model, shape, batch)
    assert live.peak + step.weights + step.optimizer == pytest.approx(step.peak, rel=0.12)


def test_blocks_say_whether_they_recompute():
    for remat in (False, True):
        model = tiny.tiny_backbone(remat=remat)
        blocks = [layer for layer in model.layers if isinstance(layer, MLP3DBlock)]
        assert {block.remat for block in blocks} == {remat}
        names = [part.name for part in training_step(model, CLIP).layers]
        assert ("stage1_block1/channel_mlp/expand" in names) == (not remat)
        kept = {part.name: part.kept for part in training_step(model, CLIP, 2).layers}
        if remat:
            tokens = 2 * 4 * 9 * 12 * 4
            assert kept["stage1_block1/token_mixing"] == 4 * tokens
            assert kept["stage1_block1/channel_mlp"] == 4 * tokens


def test_a_layer_without_a_rule():
    layer = keras.layers.Conv2D(4, 3)
    layer.build((1, 6, 6, 4))
    with pytest.raises(ValueError, match=r"No rule for the memory of Conv2D .*kept_tensors.py"):
        kept_tensors.kept_tensors(layer, (1, 6, 6, 4))
