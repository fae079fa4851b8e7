"""What is frozen is the same after `.keras`, and clones are networks of the same class."""

import keras
import numpy as np
import pytest
from models import tiny
from models.test_dtype_policies import NETWORKS

from keras_mlp3d.data import VideoConverter
from keras_mlp3d.training import freeze


def freeze_stages(model):
    freeze(model, 2)


def freeze_a_block(model):
    next(iter(blocks(model))).trainable = False


def freeze_all_but_one_part(model):
    model.trainable = False
    block = next(iter(blocks(model)))
    block.token_mixing.projection.trainable = True
    block.token_mixing._trainable = block._trainable = True
    for layer in model._flatten_layers():
        if any(inner is block for inner in getattr(layer, "layers", ())):
            layer._trainable = True
    model._trainable = True


def freeze_a_variable(model):
    next(iter(blocks(model))).channel_mlp.expand.bias.trainable = False


def add_adapters(model):
    model.enable_lora(2)


def freeze_everything(model):
    model.trainable = False


def blocks(model):
    return [layer for layer in model._flatten_layers() if layer.name == "stage2_block1"]


WAYS = (
    freeze_stages,
    freeze_a_block,
    freeze_all_but_one_part,
    freeze_a_variable,
    add_adapters,
    freeze_everything,
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_configuration_keeps_what_is_frozen(name, way):
    model = NETWORKS[name]()
    whole = len(model.trainable_variables)
    way(model)
    expected = [variable.path for variable in model.trainable_variables]
    assert len(expected) != whole
    again = type(model).from_config(model.get_config())
    assert [variable.path for variable in again.trainable_variables] == expected
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


def test_a_file_keeps_it_and_the_state_of_the_optimizer(tmp_path):
    model = freeze(tiny.tiny_model(), 3)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(tiny.pixels(), np.ones((2, tiny.CLASSES)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    pairs = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    for found, expected in pairs:
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (found, expected)))


def test_an_untouched_network_stores_arguments_alone():
    assert not {"frozen", "lora"} & tiny.tiny_model().get_config().keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_clone_is_of_the_same_class(name):
    model = NETWORKS[name]()
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    assert [w.path for w in clone.weights] == [w.path for w in model.weights]
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    assert clone.get_config() == model.get_config()
    if hasattr(model, "pyramid_outputs"):
        shapes = [{key: level.shape for key, level in m.pyramid_outputs.items()}
                  for m in (model, clone)]  # fmt: skip
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("again", [1, 2])
def test_models_are_made_of_the_layers_inside_a_clone(again):
    """From one input, as of the network itself."""
    model = tiny.tiny_model()
    clone = model
    for _ in range(again):
        clone = keras.models.clone_model(clone)
    clone.set_weights(model.get_weights())
    assert clone.input is clone.backbone.input
    for name in ("stage3_block1", "norm"):
        inside = [
            keras.Model(each.input, each.backbone.get_layer(name).output) for each in (model, clone)
        ]
        found = [tiny.run(each, tiny.pixels()) for each in inside]
        np.testing.assert_array_equal(*found)
    other = keras.Input((None, 40, 48, 3), name="other")
    assert keras.models.clone_model(model, input_tensors=other).input is other


def test_a_clone_keeps_class_names_and_converter():
    names, converter = list("abcde"), VideoConverter(num_frames=16, image_size=(36, 50))
    model = tiny.tiny_model(task={"class_names": names, "converter": converter})
    clone = keras.models.clone_model(model)
    assert clone.class_names == names
    assert clone.converter == converter
    assert clone.backbone is clone.get_layer(model.backbone.name)
    clone.set_weights(model.get_weights())
    clip = tiny.pixels()
    np.testing.assert_array_equal(tiny.run(clone, clip), tiny.run(model, clip))


@pytest.mark.parametrize("frozen", ["all", "one block"])
def test_a_model_of_a_backbone_s_tensors_stays_frozen(frozen, tmp_path):
    """Keras's usual way to transfer: the layers inside become layers of the new model."""
    backbone = tiny.tiny_backbone()
    if frozen == "all":
        backbone.trainable = False
    else:
        backbone.get_layer("stage2_block1").trainable = False
        backbone.get_layer("stage2_transition").trainable = False
    features = keras.layers.GlobalAveragePooling3D()(backbone.output)
    model = keras.Model(backbone.input, keras.layers.Dense(3)(features))
    paths = [weight.path for weight in model.trainable_weights]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [weight.path for weight in again.trainable_weights] == paths
    assert len(paths) == 2 or frozen != "all"
