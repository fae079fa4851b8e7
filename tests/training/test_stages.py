import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.training import freeze
from keras_mlp3d.training.stages import choose_trained_weights

SIZES = ((4, 4, 4, 4), (1, 2, 1, 1), 1)


@pytest.fixture(scope="module")
def model():
    return MLP3D(MLP3DBackbone(*SIZES, "shift_token:2", input_shape=(8, 32, 32, 3)), 2)


def parts(variables):
    return {variable.path.split("/")[0] for variable in variables}


@pytest.mark.parametrize("stages", [0, 1, 2, 3, 4])
def test_what_is_frozen(model, stages):
    assert freeze(model, stages) is model
    expected = {"embedding"} if stages else set()
    expected |= {"norm"} if stages == 4 else set()
    for part in parts(model.weights):
        if part.startswith("stage") and int(part[5]) <= stages:
            expected.add(part)
    assert parts(model.non_trainable_variables) - {"seed_generator"} >= expected
    assert parts(model.trainable_variables) == parts(model.weights) - expected
    assert "head" in parts(model.trainable_variables)


def test_training_leaves_what_is_frozen():
    """On layers with a network's names, one small product each."""
    names = ("embedding", "stage1_block1", "stage2_transition", "stage2_block1", "stage3_block1")
    names = (*names, "stage4_block1", "norm", "head")
    model = keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(2, name=n) for n in names)])
    freeze(model, 2)
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.train_on_batch(np.ones((4, 2), "float32"), np.ones((4, 2), "float32"))
    changed = {
        weight.path.split("/")[-2]
        for weight, old in zip(model.weights, before, strict=True)
        if (keras.ops.convert_to_numpy(weight) != old).any()
    }
    assert changed == {"stage3_block1", "stage4_block1", "norm", "head"}


def test_both_paths():
    paths = [
        MLP3D(MLP3DBackbone(*SIZES, "shift_token:2", name=f"b{i}"), 2, name=f"path{i}")
        for i in range(2)
    ]
    two = freeze(TwoPathMLP3D(*paths, motion_size=(32, 32)), 3)
    for path in paths:
        assert not path.backbone.get_layer("stage3_block1").trainable_variables
        assert path.backbone.get_layer("stage4_block1").trainable_variables
    assert parts(two.trainable_variables) == {"stage4_transition", "stage4_block1", "norm", "head"}


def test_a_model_around_cycle_mlp():
    frame = CycleMLP(*SIZES, num_classes=3, input_shape=(32, 32, 3))
    around = keras.Sequential([frame, keras.layers.Dense(2)])
    freeze(around, 4)
    assert len(around.trainable_variables) == 4  # both classifiers


@pytest.mark.parametrize("stages", [-1, 5, 1.0, True, None])
def test_wrong_number(model, stages):
    with pytest.raises(ValueError, match="stages must be an integer from 0 to 4"):
        freeze(model, stages)


def test_another_network():
    with pytest.raises(ValueError, match="has none"):
        freeze(keras.Sequential([keras.layers.Dense(2)]), 1)


@pytest.mark.parametrize("prepare", ["frozen", "partly", "adapted"])
def test_what_the_user_froze_stays_frozen(prepare, caplog):
    """A recipe that freezes no stage and adds no adapters leaves the network as it is."""
    model = MLP3D(MLP3DBackbone(*SIZES, "shift_token:2"), 2)
    if prepare == "frozen":
        model.backbone.trainable = False
    elif prepare == "partly":
        model.backbone.get_layer("stage3_block1").token_mixing.trainable = False
    else:
        model.enable_lora(2)
    before = [weight.path for weight in model.trainable_weights]
    choose_trained_weights(model, 0, None)
    assert [weight.path for weight in model.trainable_weights] == before
    assert ("are frozen and stay so" in caplog.text) == (prepare != "adapted")
    choose_trained_weights(MLP3D(MLP3DBackbone(*SIZES, "shift_token:2"), 2), 0, None)
    assert len(caplog.records) <= 1


def test_adapters_of_another_rank_or_no_network_are_refused():
    model = MLP3D(MLP3DBackbone(*SIZES, "shift_token:2"), 2)
    model.enable_lora(2)
    choose_trained_weights(model, 0, 2)
    with pytest.raises(ValueError, match=r"lora_rank=3, but \w+ has adapters of rank 2"):
        choose_trained_weights(model, 0, 3)
    inputs = keras.Input((2,))
    plain = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="lora_rank=3 needs a network of this package"):
        choose_trained_weights(plain, 0, 3)


def test_a_network_without_stages_is_trained_whole_or_refused():
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    choose_trained_weights(plain, 0, None)
    assert len(plain.trainable_variables) == 2
    with pytest.raises(ValueError, match="Expected a network of this package"):
        choose_trained_weights(plain, 1, None)
