"""Reading checkpoints: every form of a good one, and what is refused without touching a weight."""

import argparse
import json
import pickle
import re
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
from conversion import tiny_checkpoint

from keras_mlp3d import MLP3DBackbone
from keras_mlp3d.conversion import checkpoint as reader
from keras_mlp3d.conversion import load_cyclemlp
from keras_mlp3d.hub import read_preset
from keras_mlp3d.models import CycleMLP


@pytest.fixture(scope="module")
def shared_model():
    return CycleMLP(**tiny_checkpoint.SIZES, num_classes=tiny_checkpoint.CLASSES)


@pytest.fixture
def model(shared_model):
    """A network whose weights a test must leave alone wherever loading fails."""
    random = np.random.default_rng(5)
    for variable in shared_model.weights:
        variable.assign(random.normal(size=variable.shape))
    return shared_model


@pytest.fixture
def state():
    return tiny_checkpoint.state_dict()


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def values(model):
    return [np.array(value) for value in model.get_weights()]


def assert_holds(model, state):
    """The weights of every kind of layer are those of the state dict."""
    expected = {
        "embedding": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0)[None],
        "stage2_transition": state["network.1.proj.weight"].transpose(2, 3, 1, 0),
        "norm": state["norm.weight"],
        "head": state["head.weight"].T,
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], value)
    block, name = model.get_layer("stage3_block2"), "network.4.1"
    mixing = block.token_mixing
    expected = {
        "norm1.weight": (block.token_norm.gamma, ()),
        "norm2.bias": (block.channel_norm.beta, ()),
        "attn.sfc_h.weight": (mixing.mix_width.kernel, (1, 0, 2, 3)),
        "attn.sfc_w.weight": (mixing.mix_height.kernel, (1, 0, 2, 3)),
        "attn.sfc_w.bias": (mixing.mix_height.bias, ()),
        "attn.mlp_c.weight": (mixing.mix_time.kernel, (1, 0)),
        "attn.reweight.fc1.weight": (mixing.squeeze.kernel, (1, 0)),
        "attn.reweight.fc2.bias": (mixing.excite.bias, ()),
        "attn.proj.weight": (mixing.projection.kernel, (1, 0)),
        "mlp.fc1.weight": (block.channel_mlp.expand.kernel, (1, 0)),
        "mlp.fc2.bias": (block.channel_mlp.reduce.bias, ()),
    }
    for key, (variable, axes) in expected.items():
        value = state[f"{name}.{key}"].transpose(axes or (0,)).reshape(variable.shape)
        np.testing.assert_array_equal(np.array(variable), value, err_msg=key)


def assert_refused(model, checkpoint, message, error=ValueError):
    before = values(model)
    with pytest.raises(error, match=message) as caught:
        load_cyclemlp(model, checkpoint)
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)
    return str(caught.value)


def test_dict_of_arrays(model, state):
    assert load_cyclemlp(model, state) is None
    assert_holds(model, state)
    kept = values(model)
    for array in state.values():
        array[:] = 9
    for old, new in zip(kept, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_prefix_and_wrapper(model, state):
    load_cyclemlp(model, {"model": {f"module.{key}": state[key] for key in state}, "epoch": 3})
    assert_holds(model, state)


def test_dict_of_torch_tensors(model, state, torch):
    tensors = {key: torch.tensor(value).double().requires_grad_() for key, value in state.items()}
    load_cyclemlp(model, tensors)
    assert_holds(model, state)


def test_bfloat16(model, state, tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    rounded = {key: value.astype(ml_dtypes.bfloat16) for key, value in state.items()}
    save_file(rounded, tmp_path / "half.safetensors")
    load_cyclemlp(model, tmp_path / "half.safetensors")
    assert_holds(model, {key: value.astype("float32") for key, value in rounded.items()})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_pth(model, state, torch, tmp_path, training, zipped):
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    content = tensors
    if training:
        moments = {i: {"step": 9, "exp_avg": value} for i, value in enumerate(tensors.values())}
        content = {
            "model": tensors,
            "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3}]},
            "lr_scheduler": {"base_values": [1e-3]},
            "epoch": 299,
            "args": argparse.Namespace(model="CycleMLP_B1", lr=1e-3),
            "model_ema": tensors,
        }
    path = tmp_path / "CycleMLP.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    load_cyclemlp(model, path)
    path.write_bytes(b"")
    assert_holds(model, state)


def test_safetensors(model, state, tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file(state, tmp_path / "CycleMLP.safetensors")
    load_cyclemlp(model, str(tmp_path / "CycleMLP.safetensors"))
    assert_holds(model, state)


def test_keys_that_do_not_fit(model, state):
    del state["norm.bias"]
    assert_refused(model, state, "1 key is missing: norm.bias. It was built with channels=")
    state["norm.bias"] = np.zeros(20)
    state |= {f"extra.{i}": np.zeros(3) for i in range(5)}
    assert_refused(model, state, r"5 keys are unknown: extra\.0, extra\.1, extra\.2, \.\.\.\. ")
    state = tiny_checkpoint.state_dict()
    state["network.1.proj.bias"] = np.zeros(13)
    shape = r"network\.1\.proj\.bias \(expected \(12,\), got \(13,\)\)"
    assert_refused(model, state, f"1 key is of another shape: {shape}")
    state["extra"] = state.pop("head.bias")
    message = assert_refused(model, state, "does not fit this CycleMLP")
    assert "missing: head.bias; 1 key is unknown: extra; 1 key is of another shape" in message


def test_number_of_classes(model, state):
    state["head.weight"], state["head.bias"] = np.zeros((9, 20)), np.zeros(9)
    assert_refused(model, state, "Build the CycleMLP with num_classes=9; it has 7")


def test_values_that_do_not_fit(model, state):
    key = "network.0.0.attn.sfc_w.offset"
    other = state[key.replace("sfc_w", "sfc_h")]
    assert_refused(model, state | {key: other}, rf"{key} must be the constant steps")
    broken = state["norm.bias"].copy()
    broken[3] = np.nan
    assert_refused(model, state | {"norm.bias": broken}, "norm.bias holds values that are not fin")
    words = np.full(20, "x", object)
    assert_refused(model, state | {"norm.bias": words}, "norm.bias must hold real numbers")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "path or a dict of arrays, got list"),
        ({}, "got nothing"),
        ({"model": {}}, "got nothing"),
        ({"epoch": 3}, "got int under 'epoch'"),
        ({3: np.zeros(3)}, "got ndarray under 3"),
    ],
)
def test_content_that_is_no_state_dict(model, content, message):
    assert_refused(model, content, message)


def test_another_network(state):
    backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "shift_token:2")
    with pytest.raises(ValueError, match="cycle_mlp must be a CycleMLP, got MLP3DBackbone"):
        load_cyclemlp(backbone, state)


def test_path_that_is_no_checkpoint(model, tmp_path):
    assert_refused(model, tmp_path / "no.pth", "does not exist", FileNotFoundError)
    (tmp_path / "folder.pth").mkdir()
    assert_refused(model, tmp_path / "folder.pth", "is no file", FileNotFoundError)
    (tmp_path / "weights.h5").write_bytes(b"x")
    assert_refused(model, tmp_path / "weights.h5", r"a \.pth or \.safetensors file")


class Attack:
    """What a hostile pickle does: run a command when it is read."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


def test_code_is_never_run(model, torch, tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "attack.pth"
    for zipped in (True, False):
        torch.save({"model": Attack(victim)}, path, _use_new_zipfile_serialization=zipped)
        assert_refused(model, path, r"is refused: besides tensors it holds \w+\.open, and code")
    path.write_bytes(pickle.dumps(Attack(victim)))
    assert_refused(model, path, "no file of torch.save. Other pickles are not read")
    assert not victim.exists()


def test_damaged_pth(model, state, torch, tmp_path):
    path = tmp_path / "damaged.pth"
    for zipped in (True, False):
        tensors = {key: torch.from_numpy(value) for key, value in state.items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
        whole = path.read_bytes()
        for length in (0, 10, len(whole) // 2, len(whole) - 30):
            path.write_bytes(whole[:length])
            assert_refused(model, path, "damaged.pth' is damaged or no file of torch.save")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert_refused(model, path, "is damaged or no file of torch.save")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "A zip file of another kind.")
    assert_refused(model, path, "is damaged or no file of torch.save")


def test_a_flipped_bit_in_pth(model, state, torch, tmp_path):
    """PyTorch itself would load it."""
    path = tmp_path / "damaged.pth"
    torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)
    with zipfile.ZipFile(path) as archive:
        record = max(archive.infolist(), key=lambda entry: entry.file_size)
        start = path.read_bytes().index(archive.read(record))
    content = bytearray(path.read_bytes())
    content[start + record.file_size // 2] ^= 1
    path.write_bytes(content)
    name = re.escape(record.filename)
    assert_refused(model, path, f"is damaged: its record '{name}' has another checksum.*again")


def test_storage_that_claims_more_than_it_has(model, torch, tmp_path):
    torch.save({"norm.bias": torch.ones(10)}, tmp_path / "honest.pth")
    honest = zipfile.ZipFile(tmp_path / "honest.pth")
    with honest, zipfile.ZipFile(tmp_path / "liar.pth", "w") as liar:
        for entry in honest.infolist():
            content = honest.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = content.replace(b"K\n", b"J\0\0\0\x10")  # 2 ** 28 numbers instead of 10
            liar.writestr(entry.filename, content)
    assert_refused(model, tmp_path / "liar.pth", "is damaged or no file of torch.save")


def test_damaged_safetensors(model, state, tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    path = tmp_path / "damaged.safetensors"
    save_file(state, path)
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-4], whole + b"more", b"\xff" * 100):
        path.write_bytes(content)
        assert_refused(model, path, "is damaged or no safetensors file")


def test_numbers_that_numpy_has_not(model, torch, tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"norm.bias": torch.ones(20, dtype=torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    assert_refused(model, tmp_path / "a.safetensors", "holds a dtype that NumPy lacks.*as float32")


def test_files_far_too_large(model, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(reader, "SLACK_BYTES", 0)
    for suffix, copies in reader.MAX_COPIES.items():
        path = tmp_path / f"large{suffix}"
        limit = copies * 4 * model.count_params()
        with path.open("wb") as file:
            file.truncate(limit + 1)
        assert_refused(model, path, f"refused: it has {limit + 1:,} bytes.* at most {limit:,}")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(limit * 8))
    assert_refused(model, tmp_path / "bomb.pth", r"refused: it has [\d,]+ bytes")


@pytest.mark.parametrize(
    ("name", "library", "message"),
    [
        ("a.pth", "torch", "pip install torch, or convert the file to .safetensors"),
        ("a.safetensors", "safetensors", r"pip install 'keras-mlp3d\[safetensors\]'"),
    ],
)
def test_library_that_is_not_installed(model, tmp_path, monkeypatch, name, library, message):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, library, None)
    before = values(model)
    with pytest.raises(ImportError, match=message):
        load_cyclemlp(model, tmp_path / name)
    monkeypatch.undo()
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["b1", "b2", "b3", "b4", "b5"])
def test_the_keys_of_each_public_checkpoint(name, root_dir):
    """Those that the checkpoints have; of B4 there is no list, so the rule of the others holds."""
    config = read_preset(f"cyclemlp_{name}_imagenet").config
    shapes = tiny_checkpoint.shapes(config, 1000)
    listed = root_dir / "tests" / "golden" / f"cyclemlp_{name}.keys.json"
    if listed.exists():
        assert {key: list(shape) for key, shape in shapes.items()} == json.loads(listed.read_text())
    weights = [np.prod(shape) for key, shape in shapes.items() if not key.endswith("offset")]
    assert sum(weights) == read_preset(f"cyclemlp_{name}").parameter_count
