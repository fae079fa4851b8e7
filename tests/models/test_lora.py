"""LoRA: adapters against the sum that they stand for, their files, and what is refused."""

import h5py
import keras
import numpy as np
import pytest
from models import tiny
from models.test_dtype_policies import NETWORKS

from keras_mlp3d import MLP3D

ADAPTED = {"mix_time", "dense", "projection", "expand", "reduce"}


def size(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def fill_adapters(model, seed=3):
    """Gives every adapter values, as training would."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(0.1 * rng.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_and_head_alone_are_trained(name):
    model = NETWORKS[name]()
    before = tiny.tiny_model().count_params()
    model.enable_lora(2)
    paths = [weight.path for weight in model.trainable_weights]
    adapters = [path for path in paths if "lora_kernel" in path]
    heads = [path for path in paths if path.endswith(("head/kernel", "head/bias"))]
    assert len(adapters) + len(heads) == len(paths)
    assert len(heads) == 2 * len(model.head_layers())
    assert {path.split("/")[-2] for path in adapters} == ADAPTED
    assert model.lora_rank == 2
    assert size(model.trainable_weights) < before


def test_a_new_adapter_changes_nothing_and_a_trained_one_is_its_sum():
    model, clip = tiny.tiny_model(), tiny.pixels()
    expected = tiny.run(model, clip)
    model.enable_lora(2)
    np.testing.assert_array_equal(tiny.run(model, clip), expected)
    layer = model.backbone.get_layer("stage3_block1").token_mixing.mix_time
    rng = np.random.default_rng(0)
    layer.lora_kernel_b.assign(rng.normal(size=layer.lora_kernel_b.shape))
    plain, first, second = (
        keras.ops.convert_to_numpy(weight)
        for weight in (layer._kernel, layer.lora_kernel_a, layer.lora_kernel_b)
    )
    summed = plain + np.einsum("ncr,rd->ncd", first, second)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.kernel), summed, atol=1e-6)


def test_training_moves_adapters_and_head_alone():
    model = tiny.tiny_model()
    model.enable_lora(2)
    frozen = [(weight, keras.ops.convert_to_numpy(weight)) for weight in model.non_trainable_weights
              if weight.dtype == "float32"]  # fmt: skip
    moved = [(weight, keras.ops.convert_to_numpy(weight)) for weight in model.trainable_weights]
    model.compile(keras.optimizers.Adam(0.1), keras.losses.MeanSquaredError())
    model.fit(tiny.pixels(), np.eye(2, tiny.CLASSES), epochs=2, verbose=0)
    for weight, before in frozen:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), before, weight.path)
    for weight, before in moved:
        assert (keras.ops.convert_to_numpy(weight) != before).any(), weight.path


def test_saving_and_merging_keep_the_logits(tmp_path):
    model, clip = tiny.tiny_model(), tiny.pixels()
    model.enable_lora(2)
    expected = tiny.run(fill_adapters(model), clip)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.lora_rank == 2
    preset = MLP3D.from_preset(tmp_path / "preset")
    assert preset.lora_rank is None
    model.merge_lora()
    assert model.lora_rank is None
    assert model.count_params() == preset.count_params() == tiny.tiny_model().count_params()
    assert len(model.trainable_weights) == len(preset.trainable_weights)
    for network in (loaded, preset, model):
        np.testing.assert_allclose(tiny.run(network, clip), expected, atol=1e-5)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_adapters_train_on_after_loading(ending, tmp_path):
    model = tiny.tiny_model(task={"dropout": 0.0})
    model.enable_lora(2)
    fill_adapters(model)
    expected = tiny.run(model, tiny.pixels())
    path = tmp_path / f"adapted{ending}"
    if ending == ".keras":
        model.save(path)
        model = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        model.load_weights(path)
    np.testing.assert_allclose(tiny.run(model, tiny.pixels()), expected, atol=1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(tiny.pixels(), np.arange(len(tiny.pixels())) % 2, epochs=2, verbose=0)
    for weight in model.trainable_weights:
        assert np.abs(keras.ops.convert_to_numpy(weight)).max() > 0, weight.path


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_16_bits_of_computing_round_no_weight(policy, tmp_path):
    model = tiny.tiny_model(dtype=policy)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    model.enable_lora(2)
    model.save_weights(tmp_path / "adapted.weights.h5")
    other = tiny.tiny_model(dtype=policy)
    other.load_weights(tmp_path / "adapted.weights.h5")
    model.merge_lora()
    for each in (model, other):
        for weight, expected in zip(each.weights, before, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected)


def test_a_merged_network_can_be_adapted_and_quantized():
    model = tiny.tiny_model()
    model.enable_lora(2)
    with pytest.raises(ValueError, match=r"call merge_lora\(\) before quantize"):
        model.quantize("int8")
    model.merge_lora()
    model.enable_lora(3)
    model.merge_lora()
    model.quantize("int8")


@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_in_a_file(name, tmp_path):
    model = NETWORKS[name]()
    model.enable_lora(2)
    fill_adapters(model).save_lora_weights(tmp_path / "mine.lora.h5")
    other = NETWORKS[name]()
    other.load_lora_weights(tmp_path / "mine.lora.h5")
    assert [w.path for w in other.trainable_weights] == [w.path for w in model.trainable_weights]
    for one, same in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, same)), one.path)
    other.load_lora_weights(tmp_path / "mine.lora.h5")


@pytest.mark.parametrize(
    ("targets", "adapted"),
    [
        (["mix_time"], {"mix_time"}),
        ("channel_mlp/expand", {"expand"}),
        (["stage4_block1"], ADAPTED | {"squeeze", "excite"}),
        (["embedding", "stage2_transition"], {"embedding", "projection"}),
    ],
)
def test_targets(targets, adapted, tmp_path):
    model = tiny.tiny_model()
    model.enable_lora(2, targets)
    paths = [w.path.split("/") for w in model.trainable_weights if "lora_kernel" in w.path]
    assert {path[-2] for path in paths} == adapted
    model.save_lora_weights(tmp_path / "mine.lora.h5")
    other = tiny.tiny_model()
    other.load_lora_weights(tmp_path / "mine.lora.h5")
    assert [w.path for w in other.trainable_weights] == [w.path for w in model.trainable_weights]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((0,), "rank must be a positive integer, got 0"),
        ((2.0,), "rank must be a positive integer"),
        ((2, ["attention"]), "has 'attention' in its path; names in the paths: .*mix_time"),
        ((2, ["mix_time", "head"]), "has 'head' in its path"),
        ((2, [3]), "targets must be parts of paths"),
        ((2, ""), "targets must be parts of paths"),
    ],
)
def test_bad_arguments_change_nothing(arguments, reason):
    model = tiny.tiny_model()
    with pytest.raises(ValueError, match=reason):
        model.enable_lora(*arguments)
    assert model.lora_rank is None
    assert len(model.trainable_weights) == len(tiny.tiny_model().trainable_weights)


def test_adapters_twice():
    model = tiny.tiny_model()
    model.enable_lora(2)
    with pytest.raises(ValueError, match="has LoRA adapters already"):
        model.enable_lora(2)


def test_files_of_other_networks(tmp_path):
    model = tiny.tiny_model()
    path = tmp_path / "mine.lora.h5"
    with pytest.raises(ValueError, match="has no LoRA adapters to save: call enable_lora first"):
        model.save_lora_weights(path)
    model.enable_lora(2)
    with pytest.raises(ValueError, match=r"must end in '\.lora\.h5'"):
        model.save_lora_weights(tmp_path / "mine.h5")
    model.save_lora_weights(path)
    rank = tiny.tiny_model()
    rank.enable_lora(3)
    refused = {
        "adapters of rank 2, .* has some of rank 3": rank,
        r"heads/0/\w+ has another shape": tiny.tiny_model(num_classes=3),
        "mix_time/lora_kernel_a has another shape": tiny.tiny_model("shift_token:4"),
        "it holds an adapter of": tiny.tiny_cycle_mlp(),
    }
    for reason, network in refused.items():
        state = [keras.ops.convert_to_numpy(weight) for weight in network.weights]
        with pytest.raises(ValueError, match=reason):
            network.load_lora_weights(path)
        for weight, before in zip(network.weights, state, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), before)
    with pytest.raises(FileNotFoundError):
        model.load_lora_weights(tmp_path / "absent.lora.h5")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, b"abc", 1j, 3])
def test_values_that_are_no_numbers_change_nothing(wrong, tmp_path):
    model = tiny.tiny_model()
    model.enable_lora(2)
    model.save_lora_weights(tmp_path / "a.lora.h5")
    with h5py.File(tmp_path / "a.lora.h5", "r+") as file:
        shape = file["heads/0/bias"].shape
        del file["heads/0/bias"]
        file["heads/0/bias"] = np.full(shape, wrong)
    other = tiny.tiny_model()
    with pytest.raises(ValueError, match="heads/0/bias has values that are no finite numbers"):
        other.load_lora_weights(tmp_path / "a.lora.h5")
    assert other.lora_rank is None
    assert len(other.trainable_weights) == len(tiny.tiny_model().trainable_weights)


@pytest.mark.parametrize(
    "header", [None, "[]", '{"rank": 0}', '{"rank": "many"}', "{", 30_000 * "["]
)
def test_files_that_hold_no_adapters(header, tmp_path):
    path = tmp_path / "odd.lora.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
        if header is not None:
            file.attrs["keras_mlp3d"] = header
    with pytest.raises(ValueError, match="holds no LoRA adapters"):
        tiny.tiny_model().load_lora_weights(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match="damaged"):
        tiny.tiny_model().load_lora_weights(path)
