import dataclasses
import json

import pytest

from keras_mlp3d import list_presets
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.training import Recipe, list_recipes, parse_overrides

PAPER = [
    f"{data}_{stage}"
    for data in ("something_v1", "something_v2", "kinetics400")
    for stage in ("search", "final")
]


def made(**values):
    return Recipe(**{"receipt": "unmeasured", "name": "mine", **values})


def written(folder, **values):
    path = folder / "mine.json"
    path.write_text(json.dumps({"receipt": "unmeasured", "name": "mine", **values}))
    return path


def test_the_recipes_that_ship():
    ours = {"motion_shapes", "lip_phrases", "grid_words", "fine_tune"}
    ours |= {"radar_gestures", "radar_gestures_continued", "radar_gestures_finished"}
    ours |= {"radar_gestures_unmirrored", "radar_gestures_half_size"}
    ours |= {"radar_gestures_half_size_finished"}
    assert set(list_recipes()) == {*PAPER, *ours}
    assert "recipes" not in list_presets()


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_says_what_it_is(name, root_dir):
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert len(recipe.description) > 40
    assert isinstance(Augmenter.from_config(recipe.augmentation), Augmenter)
    content = json.loads((root_dir / "presets" / "recipes" / f"{name}.json").read_text())
    assert next(iter(content)) == "receipt"
    assert content["receipt"] == "unmeasured" or set(content["receipt"]) == {
        "command",
        "result",
        "hardware",
    }


@pytest.mark.parametrize("name", PAPER)
def test_values_of_the_paper(name):
    """Section 3.4, and the values that the reading takes from its references."""
    recipe = Recipe.load(name)
    assert (recipe.learning_rate, recipe.reference_batch_size) == (5e-4, 512)
    assert (recipe.batch_size, recipe.gradient_accumulation) == (512, 1)
    assert (recipe.weight_decay, recipe.epochs, recipe.warmup_epochs) == (0.05, 32, 1)
    assert (recipe.num_frames, recipe.sampling) == (64, "uniform")
    assert (recipe.dropout, recipe.label_smoothing) == (0.5, 0.1)
    assert recipe.drop_path_rate is None  # 0.1, 0.2, 0.2, 0.3 in the presets XS, S, M, L
    if name.endswith("search"):
        assert recipe.image_size == (128, 128)
        assert (recipe.batch_augmentation, recipe.random_mixing) == (1, 0)
    else:
        assert recipe.image_size == (224, 224)
        assert recipe.batch_augmentation > 1
        assert recipe.random_mixing > 0
        assert recipe.max_group_size == 16


@pytest.mark.parametrize("name", [name for name in PAPER if name.startswith("something")])
def test_flips_exchange_left_and_right_as_something_something_names_them(name):
    """Templates of V2, whose brackets the reader takes away, and V1's names, which have none."""
    templates = [
        "Pushing [something] from left to right",
        "Putting [something] next to [something]",
        "Turning the camera left while filming [something]",
        "Pushing [something] from right to left",
        "Lifting up one end of [something] without letting it drop down",
        "Turning the camera right while filming [something]",
    ]
    names = [template.replace("[", "").replace("]", "") for template in templates]
    augmenter = Augmenter.from_config(Recipe.load(name).augmentation)
    for classes in (templates, names):
        flip = augmenter.bind(classes).flip
        assert (flip.probability, flip.label_map) == (0.5, ((0, 3), (2, 5)))


def test_values_of_the_benchmark():
    recipe = Recipe.load("motion_shapes")
    assert recipe.scaled_learning_rate == 2e-3
    assert (recipe.batch_size, recipe.epochs, recipe.warmup_epochs) == (16, 12, 1)
    assert (recipe.weight_decay, recipe.clip_norm, recipe.clip_by) == (0.02, 1.0, "variable")
    assert (recipe.dropout, recipe.label_smoothing, recipe.augmentation) == (0, 0, {})


def test_json_there_and_back(tmp_path):
    recipe = made(
        image_size=[64, 96],
        betas=(0.9, 0.95),
        augmentation={"erasing": {"scale": [0.1, 0.2]}},
        seed=3,
    )
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    assert Recipe.load(path) == recipe == Recipe.from_dict(recipe.to_dict())
    assert recipe.image_size == (64, 96)


def test_whole_numbers_do_for_floats():
    recipe = made(learning_rate=1, warmup_epochs=2)
    assert recipe == made(learning_rate=1.0, warmup_epochs=2.0)
    assert json.loads(recipe.to_json())["learning_rate"] == 1.0


def test_nobody_else_holds_its_options():
    options = {"erasing": {"scale": [0.1, 0.2]}}
    recipe = made(augmentation=options)
    options["erasing"]["scale"].append(1)
    assert recipe.augmentation == {"erasing": {"scale": [0.1, 0.2]}}
    recipe.replace(epochs=3).augmentation["erasing"]["scale"].append(1)
    assert recipe.augmentation == {"erasing": {"scale": [0.1, 0.2]}}
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 1


@pytest.mark.parametrize(
    "text",
    [
        *("augmentation.flip=7", "image_size=[100000, 100000]", "learning_rate=1e30"),
        *(
            "learning_rate=NaN",
            "learning_rate=1e999",
            "epochs=0",
            "epochs=1000000000",
            "epochs=true",
        ),
        *('batch_size="8"', "batch_size=8.5", "num_frames=30", "label_smoothing=1", "dropout=1.0"),
        *("seed=-1", "image_size=128", "betas=[0.9]", "dtype=float64", "augmentation=flip"),
        "learning_rate=" + "9" * 6000,
    ],
)
def test_values_as_typed_on_the_command_line_are_refused(text):
    with pytest.raises(ValueError, match=text.split("=")[0].split(".")[0]):
        made().replace(**parse_overrides([text]))


@pytest.mark.parametrize("key", ["epoch", "", "augmentation.", ".flip", "epochs.x", "x" * 10_000])
def test_unknown_keys(key):
    with pytest.raises(ValueError, match=r"no '|has options of its own") as caught:
        made().replace(**{key: 3})
    assert len(str(caught.value)) < 1000


def test_refused_files(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.json.*no 'epoch'\. Did you mean 'epochs'"):
        Recipe.load(written(tmp_path, epoch=3))
    with pytest.raises(ValueError, match=r"mine\.json.*epochs must be an integer.*'3'"):
        Recipe.load(written(tmp_path, epochs="3"))
    path = tmp_path / "mine.json"
    path.write_text('{"name": "mine"}')
    with pytest.raises(ValueError, match=r"lacks its receipt \(or the word 'unmeasured'\)"):
        Recipe.load(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="must hold a JSON object"):
        Recipe.load(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Recipe.load(path)
    with pytest.raises(FileNotFoundError, match="Did you mean 'fine_tune'"):
        Recipe.load("finetune")
    with pytest.raises(ValueError, match="a string or a path, got int"):
        Recipe.load(3)


def test_replace():
    recipe = made(augmentation={"flip": 0.5, "erasing": 0.25})
    changed = recipe.replace(epochs=5, **{"augmentation.flip": 0.0})
    assert changed.augmentation == {"flip": 0.0, "erasing": 0.25}
    assert set(recipe.differences(changed)) == {"epochs", "augmentation"}
    assert recipe.differences(changed)["epochs"] == (32, 5)
    with pytest.raises(ValueError, match="no 'epoch'"):
        recipe.replace(epoch=5)
    with pytest.raises(ValueError, match="epochs must be"):
        recipe.replace(epochs="5")
    with pytest.raises(ValueError, match="Only augmentation has options"):
        recipe.replace(**{"betas.first": 0.5})


def test_a_changed_recipe_has_no_receipt_of_another():
    receipt = {"command": "train", "result": "0.9", "hardware": "CPU"}
    recipe = made(receipt=receipt)
    assert recipe.measured
    assert recipe.replace(description="the same").measured
    assert recipe.replace(epochs=32).measured
    assert not recipe.replace(epochs=33).measured
    assert recipe.replace(epochs=33, receipt=receipt).receipt == receipt


def test_learning_rate_goes_with_the_global_batch():
    recipe = made(learning_rate=1e-3, reference_batch_size=64, batch_size=8)
    assert recipe.scaled_learning_rate == pytest.approx(1e-3 / 8)
    accumulated = recipe.replace(gradient_accumulation=4)
    assert accumulated.global_batch_size == 32
    assert accumulated.scaled_learning_rate == pytest.approx(1e-3 / 2)


# --- values as typed -----------------------------------------------------------------------------


def test_values_as_typed():
    texts = ["epochs = 3", "dtype=mixed_bfloat16", "clip_norm=null", "remat=true", "name=a=b"]
    assert parse_overrides(texts) == {
        "epochs": 3,
        "dtype": "mixed_bfloat16",
        "clip_norm": None,
        "remat": True,
        "name": "a=b",
    }


def test_they_go_into_a_recipe():
    recipe = Recipe("unmeasured", "mine", augmentation={"flip": 0.5})
    changed = recipe.replace(**parse_overrides(["augmentation.flip=0", "image_size=[64, 32]"]))
    assert changed.augmentation == {"flip": 0}
    assert changed.image_size == (64, 32)
    with pytest.raises(ValueError, match=r"epochs must be an integer.*'many'"):
        recipe.replace(**parse_overrides(["epochs=many"]))


@pytest.mark.parametrize("text", ["epochs", "=3", ""])
def test_a_typed_value_is_a_pair(text):
    with pytest.raises(ValueError, match="Expected key=value"):
        parse_overrides([text])


def test_a_key_typed_twice():
    with pytest.raises(ValueError, match="epochs is set twice: 1 and '2'"):
        parse_overrides(["epochs=1", "epochs=2"])


def test_deep_nesting_is_a_text():
    assert parse_overrides(["name=" + "[" * 100_000])["name"].startswith("[[")
