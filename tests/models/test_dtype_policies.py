"""Networks of every dtype policy, quantized ones too, come back as they were saved."""

import json
import time

import keras
import numpy as np
import pytest
from models import tiny

from keras_mlp3d import MLP3D, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.layers import MLP3DBlock
from keras_mlp3d.models.dtype_policies import layer_policy, network_policy, stored_policies

FLOATS = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
MODES = ("int8", "int4", "float8")
WAYS = ("keras", "weights", "preset")


def two_path():
    paths = [tiny.tiny_model(seed=seed, task={"name": f"path{seed}"}) for seed in (0, 1)]
    return TwoPathMLP3D(*paths, motion_size=(32, 40))


NETWORKS = {
    "MLP3D": tiny.tiny_model,
    "MLP3DBackbone": tiny.tiny_backbone,
    "TwoPathMLP3D": two_path,
    "CycleMLP": tiny.tiny_cycle_mlp,
    "FrameCycleMLP": lambda: FrameCycleMLP(tiny.tiny_cycle_mlp()),
}


def through(model, way, folder):
    """The network saved and loaded, by one of the `WAYS`."""
    if way == "keras":
        model.save(folder / "model.keras")
        return keras.models.load_model(folder / "model.keras")
    if way == "weights":
        model.save_weights(folder / "model.weights.h5")
        other = type(model).from_config(model.get_config())
        other.load_weights(folder / "model.weights.h5")
        return other
    model.save_to_preset(folder / "preset")
    return type(model).from_preset(folder / "preset")


def made(policy):
    base, _, mode = policy.partition("+")
    model = tiny.tiny_model(dtype=base)
    if mode:
        model.quantize(mode)
    return model


def values(model):
    """[(path, dtype, array)] of all weights; float8 adds them in another order."""
    rows = []
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
        rows.append((weight.path, weight.dtype, array))
    return sorted(rows, key=lambda row: row[0])


def assert_same_weights(found, model):
    rows = list(zip(values(found), values(model), strict=True))
    assert [row[0][:2] for row in rows] == [row[1][:2] for row in rows]
    for (path, _, array), (_, _, expected) in rows:
        np.testing.assert_array_equal(array, expected, err_msg=path)


POLICIES = (*FLOATS, *(f"float32+{mode}" for mode in MODES), "mixed_bfloat16+int8")


@pytest.mark.parametrize("policy", POLICIES)
def test_round_trips(policy, tmp_path):
    """Equal weights of equal layers give equal logits; for one way per policy they are computed."""
    model, clip = made(policy), tiny.pixels()
    expected = tiny.run(model, clip)
    assert np.isfinite(expected).all()
    for way in WAYS:
        found = through(model, way, tmp_path)
        assert_same_weights(found, model)
        policies = ([layer.dtype_policy.name for layer in m._flatten_layers()]
                    for m in (found, model))  # fmt: skip
        assert next(policies) == next(policies)
        if way == WAYS[POLICIES.index(policy) % 3]:
            np.testing.assert_array_equal(tiny.run(found, clip), expected)


@pytest.mark.parametrize("name", ["MLP3D", "CycleMLP"])
@pytest.mark.parametrize("way", [*WAYS, "clone"])
def test_policies_of_single_layers_come_back(way, name, tmp_path):
    """Those of layers without weights, which cast their inputs, and of all that a pattern names."""
    kept = keras.DTypePolicy("float32")
    keys = ("stage4_block1", "stage1_block1/token_mixing", "stage2_.*", "stage3_transition")
    dtype = keras.dtype_policies.DTypePolicyMap("mixed_bfloat16", dict.fromkeys(keys, kept))
    model = NETWORKS[name](dtype=dtype)
    found = cloned(model, tmp_path) if way == "clone" else through(model, way, tmp_path)
    policies = [
        {
            layer.path: layer.dtype_policy.name
            for layer in each._flatten_layers()
            if layer.path and not isinstance(layer, keras.Model)
        }
        for each in (model, found)
    ]
    assert policies[0] == policies[1]
    assert policies[0]["stage4_block1"] == policies[0]["stage2_block1/token_mixing"] == "float32"
    assert policies[0]["stage4_block1/token_mixing"] == "mixed_bfloat16"
    inputs = tiny.pixels() if name == "MLP3D" else tiny.pixels()[:, 0]
    np.testing.assert_array_equal(tiny.run(found, inputs), tiny.run(model, inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_of_every_network(name, tmp_path):
    model = NETWORKS[name]()
    floats = {layer.path for layer in kernels(model)}
    model.quantize("int8")
    assert {layer.path for layer in kernels(model) if layer.quantization_mode == "int8"} == floats
    for way in ("keras", "preset"):
        assert_same_weights(through(model, way, tmp_path), model)


def kernels(model):
    """Every layer that multiplies by a matrix."""
    return [layer for layer in model._flatten_layers() if hasattr(layer, "_kernel")]


def test_int8_reaches_every_matrix_and_changes_little():
    model = tiny.tiny_model()
    clip = tiny.pixels()
    before = tiny.run(model, clip)
    model.quantize("int8")
    matrices = [w for w in model.weights if len(w.shape) > 1]
    assert {w.dtype for w in matrices} == {"int8"}
    assert sum(w.path.endswith("mix_time/kernel") for w in matrices) == sum(tiny.DEPTHS)
    after = tiny.run(model, clip)
    assert 0 < np.abs(after - before).max() < 0.1 * np.std(before)


@pytest.mark.parametrize("form", ["h5", "safetensors"])
def test_int8_takes_at_most_three_tenths_on_disk(form, tmp_path):
    sizes = []
    for name in ("float32", "int8"):
        model = MLP3D.from_preset("mlp3d_nano_motion_shapes")
        if name == "int8":
            model.quantize("int8")
        model.save_to_preset(tmp_path / name, format=form)
        weights = [*(tmp_path / name).glob("*.h5"), *(tmp_path / name).glob("*.safetensors")]
        sizes.append(sum(path.stat().st_size for path in weights))
    assert sizes[1] <= 0.3 * sizes[0]
    assert_same_weights(MLP3D.from_preset(tmp_path / "int8"), model)


def test_an_int8_kernel_stands_for_the_float_one():
    model = tiny.tiny_model()
    layer = model.backbone.get_layer("stage1_block1").token_mixing.mix_time
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    layer.quantize("int8")
    steps = np.abs(kernel).max(axis=(0, 1)) / 127
    found = keras.ops.convert_to_numpy(layer.kernel)
    assert (np.abs(found - kernel) <= 0.5001 * steps).all()


@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_what_is_not_quantized_is_said_once(mode, caplog):
    tiny.tiny_model().quantize(mode)
    (record,) = caplog.records
    # Time mixing of five blocks, the embedding, three stage transitions.
    assert f"9 kernels are not quantized to {mode}" in record.getMessage()


def test_policies_in_files(tmp_path):
    model = tiny.tiny_model()
    model.quantize("int8")
    model.save_to_preset(tmp_path / "preset")
    config = json.loads((tmp_path / "preset" / "config.json").read_text())["config"]
    assert config["dtype"]["default_policy"] == "float32"
    policies = config["dtype"]["policy_map"]
    assert policies["stage1_block1/token_mixing/mix_time"] == "int8_from_float32"
    task = json.loads((tmp_path / "preset" / "task.json").read_text())["config"]
    assert task["head_dtype"] == "int8_from_float32"
    metadata = json.loads((tmp_path / "preset" / "metadata.json").read_text())
    assert metadata["parameter_count"] == tiny.tiny_model().count_params()


def test_a_new_head_of_a_quantized_preset_can_be_trained(tmp_path):
    model = tiny.tiny_model()
    model.quantize("int8")
    model.save_to_preset(tmp_path / "preset")
    new = type(model).from_preset(tmp_path / "preset", num_classes=3)
    assert new.get_layer("head").quantization_mode is None
    assert len(new.get_layer("head").trainable_variables) == 2
    cycle = tiny.tiny_cycle_mlp()
    cycle.quantize("int8")
    cycle.save_to_preset(tmp_path / "images")
    for network in (type(cycle), FrameCycleMLP):
        new = network.from_preset(tmp_path / "images", num_classes=3)
        assert new.head_layers()[0].quantization_mode is None


@pytest.mark.parametrize(
    "override", [{"dtype": "float32"}, {"schedule": "shift_token:2"}, {"max_group_size": 8}]
)
def test_overrides_that_quantized_weights_cannot_follow(override, tmp_path):
    model = tiny.tiny_model()
    model.quantize("int8")
    model.save_to_preset(tmp_path / "preset")
    name = next(iter(override))
    with pytest.raises(ValueError, match=f"{name} cannot be overridden: the weights .* int8"):
        type(model).from_preset(tmp_path / "preset", **override)


def test_many_entries_that_match_nothing_take_no_time():
    """Keras tries each entry as an expression on each layer, and compiles it each time."""
    entries = {f"other{number}/layer": "float32" for number in range(50_000)}
    stored = {"default_policy": "float32", "policy_map": {**entries, "norm": "bfloat16"}}
    start = time.process_time()
    backbone = tiny.tiny_backbone(dtype=stored)
    assert time.process_time() - start < 5
    assert backbone.get_layer("norm").compute_dtype == "bfloat16"


def test_a_map_given_to_the_constructor():
    policy = keras.dtype_policies.DTypePolicyMap("float32", {"norm": "bfloat16"})
    backbone = tiny.tiny_backbone(dtype=policy)
    assert backbone.get_layer("norm").compute_dtype == "bfloat16"
    assert backbone.get_layer("stage1_block1").compute_dtype == "float32"
    again = MLP3DBackbone.from_config(backbone.get_config())
    assert again.get_layer("norm").compute_dtype == "bfloat16"


def test_quantizing_what_cannot_be_quantized():
    model = tiny.tiny_model()
    with pytest.raises(ValueError, match="GPTQ"):
        model.quantize("gptq")
    model.quantize("int8")
    with pytest.raises(ValueError, match="quantized already"):
        model.quantize("int4")
    with pytest.raises(ValueError, match=r"is quantized; LoRA needs float weights"):
        model.enable_lora(2)
    supernet = tiny.tiny_model("short_range:1", candidates=["shift_token:2"])
    with pytest.raises(ValueError, match=r"models\.extract"):
        supernet.quantize("int8")


def test_quantizers_of_ones_own_are_refused_when_saving(tmp_path):
    model = tiny.tiny_model()
    model.quantize(config=keras.quantizers.Int8QuantizationConfig(activation_quantizer=None))
    with pytest.raises(ValueError, match="quantizers of its own, which cannot be stored"):
        model.save_to_preset(tmp_path / "preset")
    assert not (tmp_path / "preset").exists()


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("int8_from_float32", r"would quantize every layer.*quantize\('int8'\)"),
        ({"policy_map": {"(a+)+$": "float32"}}, "for a layer's path"),
        ({"policy_map": {"norm": {"class_name": "Dense"}}}, "must be named"),
        ({"default_policy": 3, "policy_map": {}}, "must be named"),
        ({"class_name": "DTypePolicy"}, "default_policy and a policy_map"),
        ({"policy_map": []}, "default_policy and a policy_map"),
    ],
)
def test_policies_that_are_none(dtype, reason):
    with pytest.raises(ValueError, match=reason):
        network_policy(dtype)
    with pytest.raises(ValueError, match="must be named"):
        layer_policy({"class_name": "Dense"})


def test_plain_policies_are_stored_by_name():
    assert stored_policies(tiny.tiny_backbone(dtype="mixed_bfloat16")) == "mixed_bfloat16"


@pytest.mark.parametrize("floatx", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["short_range", "long_range", "shift_window", "shift_token"])
def test_a_policy_holds_whatever_the_default_float_is(kind, floatx):
    """Keras then takes integers of 16 bits by default, which index nothing."""
    networks, clips = [], tiny.pixels()
    for default in ("float32", floatx):
        keras.config.set_floatx(default)
        try:
            backbone = tiny.tiny_backbone(f"{kind}:2", dtype="float32")
            networks.append(tiny.run(backbone, clips))
        finally:
            keras.config.set_floatx("float32")
    np.testing.assert_allclose(networks[1], networks[0], rtol=0, atol=1e-5)


# Wherever a network is made -----------------------------------------------------------------------


class Around(keras.layers.Layer):
    """A layer that makes its network when it is built, as layers of Keras do."""

    def __init__(self, make):
        super().__init__(name="around")
        self.make = make

    def build(self, shape):
        with keras.name_scope("inner"):
            self.network = self.make()


def within_a_layer(make):
    layer = Around(make)
    layer.build((None, 8, 32, 32, 3))
    return layer.network


def paths(model):
    return sorted((weight.path, tuple(weight.shape)) for weight in model.weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_paths_are_the_same_wherever_a_network_is_made(name):
    make = NETWORKS[name]
    assert paths(within_a_layer(make)) == paths(make())
    with keras.name_scope("still"), keras.name_scope("nested"):
        make()
        layer = keras.layers.Dense(1)
        layer.build((1, 1))
    assert layer.kernel.path == f"still/nested/{layer.name}/kernel"


def test_the_names_around_come_back_after_an_error():
    with keras.name_scope("outer"):
        with pytest.raises(ValueError, match="num_classes"):
            tiny.tiny_model(num_classes=-1)
        layer = keras.layers.Dense(1)
        layer.build((1, 1))
    assert layer.kernel.path == f"outer/{layer.name}/kernel"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inside", ["made", "loaded", "both"])
def test_a_quantized_network_of_a_layer_comes_back(tmp_path, way, inside):
    made_in = within_a_layer if inside != "loaded" else lambda make: make()
    loaded_in = within_a_layer if inside != "made" else lambda make: make()
    model = made_in(lambda: made("float32+int8"))
    again = loaded_in(lambda: through(model, way, tmp_path))
    assert [row[:2] for row in values(again)] == [row[:2] for row in values(model)]
    for before, now in zip(values(model), values(again), strict=True):
        np.testing.assert_array_equal(now[2], before[2])


# A network that is used by its tensors ------------------------------------------------------------


def headed(network, inside=None):
    """A functional model of a network's layers, as examples of Keras make it for fine-tuning."""
    tokens = network.get_layer(inside).output if inside else network.output
    mean = keras.layers.GlobalAveragePooling3D()(tokens)
    return keras.Model(network.input, keras.layers.Dense(3, name="classes")(mean))


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def cloned(model, folder):
    clone = keras.models.clone_model(model)
    weights = {weight.path: weight for weight in model.weights}  # float8 adds some in another order
    for weight in clone.weights:
        weight.assign(weights[weight.path])
    return clone


BY_TENSORS = pytest.mark.parametrize("again", [saved, cloned])


@BY_TENSORS
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", *MODES])
@pytest.mark.parametrize("inside", [None, "stage3_block1"])
def test_a_model_of_the_layers_of_a_network_comes_back(policy, inside, again, tmp_path):
    quantized = policy in MODES
    backbone = tiny.tiny_backbone(dtype="float32" if quantized else policy)
    if quantized:
        backbone.quantize(policy)
    model, clip = headed(backbone, inside), tiny.pixels()
    found = again(again(model, tmp_path), tmp_path)  # and what came back, too
    assert_same_weights(found, model)
    names = [[layer.dtype_policy.name for layer in m._flatten_layers()] for m in (found, model)]
    assert names[0] == names[1]
    np.testing.assert_array_equal(tiny.run(found, clip), tiny.run(model, clip))


@BY_TENSORS
@pytest.mark.parametrize("options", [{}, {"candidates": ["short_range:1", "short_range:2"]}])
def test_such_a_model_computes_its_activations_again(options, again, tmp_path):
    model = headed(tiny.tiny_backbone(("short_range:2",) * 5, remat=True, **options))
    found = again(again(model, tmp_path), tmp_path)
    blocks = [layer for layer in found.layers if isinstance(layer, MLP3DBlock)]
    assert [block.remat for block in blocks] == [True] * sum(tiny.DEPTHS)
    assert_same_weights(found, model)


@BY_TENSORS
def test_such_a_model_keeps_policies_of_single_layers(again, tmp_path):
    policy = keras.dtype_policies.DTypePolicyMap(
        "float32", {"norm": "bfloat16", "stage1_block1/channel_mlp/expand": "mixed_bfloat16"}
    )
    model = headed(tiny.tiny_backbone(dtype=policy))
    found = again(again(model, tmp_path), tmp_path)
    for each in (model, found):
        block = each.get_layer("stage1_block1")
        assert each.get_layer("norm").compute_dtype == "bfloat16"
        assert block.channel_mlp.expand.compute_dtype == "bfloat16"
        assert block.channel_mlp.reduce.compute_dtype == "float32"


def test_a_layer_that_cannot_be_stored_says_so(tmp_path):
    backbone = tiny.tiny_backbone()
    quantizer = keras.quantizers.AbsMaxQuantizer(axis=0)
    backbone.quantize("int8", config=keras.quantizers.Int8QuantizationConfig(quantizer))
    with pytest.raises(ValueError, match="quantizers of its own, which cannot be stored"):
        headed(backbone).save(tmp_path / "model.keras")
