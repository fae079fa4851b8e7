"""Weights by name: safetensors files that are damaged, of another network, or made to harm."""

import json
import sys

import keras
import numpy as np
import pytest
from safetensors import safe_open

from keras_mlp3d.hub import check_weights_file, save_weights, weights_sha256
from keras_mlp3d.hub.named_weights import named_weights

DTYPES = ["float32", "float16", "bfloat16"]


def small(dtype="float32"):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="hidden", dtype=dtype)(inputs)
    outputs = keras.layers.Dense(2, name="outputs", dtype=dtype)(hidden)
    return keras.Model(inputs, outputs, name="small")


def values(model):
    return [np.array(keras.ops.convert_to_numpy(v)).astype("float32") for v in model.weights]


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(model, path)
    return path


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def change(path, edit):
    """Changes the header of a file; its data stay."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    edit(header)
    write(path, header, content[8 + length :])


def assert_refused(model, path, message):
    before = values(model)
    with pytest.raises(ValueError, match=message) as caught:
        check_weights_file(path).load(model)
    assert repr(str(path)) in str(caught.value)
    assert str(caught.value).isprintable()
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_come_back(dtype, tmp_path):
    model, path = small(dtype), tmp_path / "model.safetensors"
    wanted, total = values(model), weights_sha256({"": model})
    save_weights(model, path)
    model.set_weights([np.zeros(v.shape) for v in model.weights])
    file = check_weights_file(path)
    assert file.parameter_count == model.count_params()
    file.load(model)
    for old, new in zip(wanted, values(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert weights_sha256({"": model}) == total


def test_other_tools_read_the_file(model, path):
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"format": "keras_mlp3d"}
        assert set(file.keys()) == {
            *("hidden/kernel", "hidden/bias"),
            *("outputs/kernel", "outputs/bias"),
        }
        kernel = file.get_tensor("hidden/kernel")
    np.testing.assert_array_equal(kernel, values(model)[0])


def test_integers_scales_and_adapters(tmp_path):
    """A quantized layer stores several arrays; one with adapters stores them merged."""
    model, path = small(), tmp_path / "model.safetensors"
    model.get_layer("outputs").quantize("int8")
    names = [name for _, stored in named_weights(model) for name, _ in stored.values()]
    assert "outputs/kernel_scale" in names
    x = np.ones((1, 3), "float32")
    wanted = keras.ops.convert_to_numpy(model(x))
    save_weights(model, path)
    other = small()
    other.get_layer("outputs").quantize("int8")
    check_weights_file(path).load(other)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(other(x)), wanted)

    adapted = small()
    adapted.get_layer("hidden").enable_lora(2)
    adapted.get_layer("hidden").lora_kernel_b.assign(np.ones((2, 4)))
    wanted = keras.ops.convert_to_numpy(adapted(x))
    save_weights(adapted, path)
    plain = small()
    check_weights_file(path).load(plain)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(plain(x)), wanted, atol=1e-5)


def test_the_sum_is_of_names_shapes_and_values(model):
    total = weights_sha256({"part": model})
    assert weights_sha256({"other": model}) != total
    other = small()
    other.set_weights(model.get_weights())
    assert weights_sha256({"part": other}) == total
    other.get_layer("hidden").bias.assign([0, 0, 0, 1e-7])
    assert weights_sha256({"part": other}) != total


def test_writing_without_the_library(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-mlp3d\[safetensors\]'\.$"):
        save_weights(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_reading_needs_no_library(model, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    expected = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape, weight.dtype))
    check_weights_file(path).load(model)
    for weight, array in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), array, weight.path)


@pytest.mark.parametrize("fraction", [0, 0.01, 0.5, 0.95])
def test_truncated(model, path, fraction):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    assert_refused(model, path, "is damaged or no safetensors file")


@pytest.mark.parametrize("content", [b"\x89PNG" + bytes(99), b"\xff" * 8 + bytes(99), bytes(8)])
def test_another_kind_of_file(model, path, content):
    path.write_bytes(content)
    assert_refused(model, path, "is damaged or no safetensors file")


def test_more_data_than_stated(model, path):
    path.write_bytes(path.read_bytes() + bytes(4))
    assert_refused(model, path, "declares 104 bytes of weights and has 108")


@pytest.mark.parametrize(
    "header",
    [b"[" * 100_000, b'{"a": {}, "a": {}}', b"[]", b'"text"', b"\xff", b"{", b'{"a": 1}'],
)
def test_hostile_headers(model, path, header):
    write(path, header)
    assert_refused(model, path, "is damaged or no safetensors file")


def test_a_header_of_any_size_is_not_read(model, path):
    with open(path, "wb") as file:
        file.write((2**35).to_bytes(8, "little"))
        file.truncate(2**35 + 8)  # takes no space on disk
    assert_refused(model, path, "its header has 34,359,738,368 bytes, more than")


ENTRY = {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dtype": "F4"}, "an unknown dtype, 'F4'"),
        ({"dtype": "\x1b[31m"}, r"an unknown dtype, .*x1b"),
        ({"dtype": ["F32"]}, "an unknown dtype"),
        ({"shape": [2**62, 4]}, r"48 bytes for 18,446,744,073,709,551,616 values of F32"),
        ({"shape": [-3, -4]}, "no list of numbers"),
        ({"shape": [3.0, 4.0]}, "no list of numbers"),
        ({"shape": [True, 12]}, "no list of numbers"),
        ({"shape": [1] * 10_000 + [12]}, "no list of numbers"),
        ({"data_offsets": [0]}, "1 offsets, not two"),
        ({"data_offsets": [48, 0]}, "-48 bytes for 12 values"),
        ({"data_offsets": [0, 2**70]}, "no list of numbers"),
        ({"data_offsets": [8, 56]}, "leaves a gap before it"),
        ({"file": "/etc/passwd"}, "other entries"),
    ],
)
def test_an_array_that_is_not_there(model, path, changed, message):
    write(path, {"hidden/kernel": ENTRY | changed}, bytes(48))
    assert_refused(model, path, message)


def test_arrays_that_share_their_bytes(model, path):
    write(path, {"a": ENTRY, "b": ENTRY}, bytes(48))
    assert_refused(model, path, "b overlaps another array")


def test_names_cannot_steer_the_terminal(model, path):
    change(path, lambda header: header.update({"\x1b[2J": header.pop("hidden/bias")}))
    assert_refused(model, path, r"are not of this network \(small\): it lacks hidden/bias")
    write(path, {"\x1b[2J": ENTRY | {"dtype": "?"}}, bytes(48))
    assert_refused(model, path, r"\\x1b\[2J has an unknown dtype")


def test_of_another_network(model, path):
    inputs = keras.Input((3,))
    other = keras.Model(inputs, keras.layers.Dense(5, name="hidden")(inputs))
    save_weights(other, path)
    assert_refused(model, path, r"hidden/kernel has shape \(3, 5\), expected \(3, 4\)")


def test_more_weights_than_the_network_has(model, path):
    inputs = keras.Input((3,))
    wide = keras.layers.Dense(4, name="hidden")(inputs)
    wide = keras.layers.Dense(2, name="outputs")(wide)
    save_weights(keras.Model(inputs, keras.layers.Dense(1, name="third")(wide)), path)
    assert_refused(model, path, "it holds 'third/bias', which the network lacks")


def test_layers_that_load_in_another_way(model, path):
    wanted = values(model)
    layer, found = model.get_layer("hidden"), {}
    check_weights_file(path).load(model, {layer: found.update})
    for key, value in zip("01", wanted[:2], strict=True):
        np.testing.assert_array_equal(found[key], value)


def test_layers_of_one_name(tmp_path):
    """Two layers that no attribute tells apart keep their weights apart."""

    @keras.saving.register_keras_serializable("test_named_weights")
    class Twins(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="twins")
            self.both = [keras.layers.Dense(3, name="same") for _ in range(2)]

        def build(self, shape):
            for layer in self.both:
                layer.build(shape)

        def call(self, x):
            return self.both[0](x) + self.both[1](x)

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Twins()(inputs))
    names = [name for _, stored in named_weights(model) for name, _ in stored.values()]
    assert len(names) == len(set(names)) == 4
    wanted = values(model)
    save_weights(model, tmp_path / "model.safetensors")
    model.set_weights([np.zeros(v.shape) for v in model.weights])
    check_weights_file(tmp_path / "model.safetensors").load(model)
    for old, new in zip(wanted, values(model), strict=True):
        np.testing.assert_array_equal(old, new)
