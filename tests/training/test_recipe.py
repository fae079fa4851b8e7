import dataclasses
import json
import re

import pytest

from keras_mlp3d import list_presets
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.training import Recipe, list_recipes, parse_overrides
from keras_mlp3d.training.recipe_rules import RELATIONS, RULES
from keras_mlp3d.training.value_rules import shown

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
    assert set(list_recipes()) == {*PAPER, "motion_shapes", "lip_phrases", "fine_tune"}
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


HUGE = 10**5000  # of more digits than Python shows
NAN, INF = float("nan"), float("inf")
#: What is no number, for a key that is one.
NO_NUMBERS = [True, "3", "many", [3], {}, NAN, INF, -INF, HUGE, -HUGE, 10**400, 1e30, -1, -0.5]
NO_WHOLE = [*NO_NUMBERS, 2.5, 1e9, 10**9]
NO_TEXTS = [3, True, ["a"], {}, "x" * 20_000]
SIDES = [0, 31, 100_000, 128.0, True, "128", None, NAN, -64, HUGE]

#: Every key of a recipe -> values that are refused.
BAD = {
    "receipt": [
        *NO_TEXTS,
        *(None, "", "measured", {"command": "x", "result": "y"}),
        {"command": "x", "result": "y", "hardware": ""},
        {"command": "x", "result": "y", "hardware": 3},
        {"command": "x", "result": "y", "hardware": "z", "more": "w"},
    ],
    "name": [*NO_TEXTS, None, "", " "],
    "description": [*NO_TEXTS, None],
    "num_frames": [*NO_WHOLE, 0, 2, 30, 4100, 4.0],
    "image_size": [
        *(128, "128x128", [], [128], [128, 128, 3], {}, True, "ab"),
        *([128, side] for side in SIDES),
        *([side, 128] for side in SIDES),
    ],
    "sampling": ["random", "", ["uniform"], 3, True, {}],
    "frame_stride": [*NO_WHOLE, 0, 2.0],
    "augmentation": [None, [], "flip", 3, True, {1: 2}, {"flips": 0.5}],
    "label_smoothing": [*NO_NUMBERS, None, 1, 1.0, 0.9999999999, 2],
    "batch_augmentation": [*NO_WHOLE, None, 0, 65],
    "learning_rate": [*NO_NUMBERS, None, 0, 0.0, 1e-300, 11],
    "reference_batch_size": [*NO_WHOLE, None, 0, 64.0],
    "weight_decay": [*NO_NUMBERS, None, 1.5],
    "clip_norm": [*NO_NUMBERS, 0, 1e-300, 1e39],
    "clip_by": ["layer", "", None, ["global"], True, 3],
    "betas": [
        *(0.9, None, [], [0.9], [0.9, 0.99, 0.999], "ab", {}, True),
        *([0.9, value] for value in (1.0, -0.1, NAN, INF, True, "0.9", None, 0.9999999999)),
        *([value, 0.9] for value in (1.0, -0.1, NAN, INF, True, "0.9", None, 0.9999999999)),
    ],
    "epochs": [*NO_WHOLE, None, 0, 32.0],
    "warmup_epochs": [*NO_NUMBERS, None],
    "batch_size": [*NO_WHOLE, None, 0, 8.0],
    "gradient_accumulation": [*NO_WHOLE, None, 0, 1.0],
    "ema_momentum": [*NO_NUMBERS, 0, 1, 0.9999999999],
    "layer_decay": [*NO_NUMBERS, 0, 1.5],
    "frozen_stages": [*NO_WHOLE, None, 5, 1.0],
    "drop_path_rate": [*NO_NUMBERS, 1, 1.0, 0.9999999999],
    "dropout": [*NO_NUMBERS, 1, 1.0, 0.9999999999],
    "dtype": ["float64", "", None, ["float32"], True, 3],
    "remat": [0, 1, None, "true", "", [], 1.0],
    "random_mixing": [*NO_NUMBERS, None, 1.5],
    "max_group_size": [*NO_WHOLE, 0, 4.0],
    "seed": [*(value for value in NO_WHOLE if value != 10**9), None, 2**31, 3.0],
}
#: Every step of the augmentation -> options that are refused.
BAD_STEPS = {
    "crop": [3, [0.5], {"scale": [0.5, 2]}, {"scale": [0.8, 0.5]}, {"ratio": [1e-9, 1]}, {"to": 1}],
    "flip": [7, -1, "half", True, [0.5], NAN, INF, {"probability": 2}, {"label_map": "both"}],
    "rand_augment": [0, 10**9, 2.5, True, "2", {"magnitude": 1e30}, {"magnitude_std": INF}],
    "erasing": [1.5, "x", NAN, {"scale": [0, 1]}, {"fill": "red"}, {"ratio": [1, 1e300]}],
    "mix_up": [0, -1, 1e30, NAN, "x", True, {"probability": 2}, {"beta": 1}],
    "cut_mix": [0, -1, 1e30, NAN, "x", True, {"probability": 2}, {"beta": 1}],
}
FIELDS = [field.name for field in dataclasses.fields(Recipe)]


def test_no_key_lacks_a_rule_or_values_that_it_refuses():
    assert set(RULES) == set(BAD) == set(FIELDS)
    assert all(len(values) >= 5 for values in BAD.values())
    assert set(RULES["augmentation"].options) == set(BAD_STEPS)
    assert all(set(fields) <= set(FIELDS) for fields in RELATIONS)


@pytest.mark.parametrize("field", FIELDS)
def test_wrong_values(field):
    """The error names the key, what was expected and what came, on one line of bounded length."""
    for value in BAD[field]:
        with pytest.raises(ValueError, match=field) as caught:
            made(**{field: value})
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) < 600
        if field != "augmentation" or not isinstance(value, dict) or 1 in value:
            name = "" if field == "name" else "Recipe 'mine': "
            assert f"{name}{field} must be {RULES[field].words}, got {shown(value)}." in text


@pytest.mark.parametrize("step", BAD_STEPS)
def test_wrong_options_of_the_augmentation(step):
    for value in BAD_STEPS[step]:
        with pytest.raises(ValueError, match=rf"augmentation\.{step} is ") as caught:
            made(augmentation={step: value})
        assert shown(value) in str(caught.value)
        with pytest.raises(ValueError, match=rf"augmentation\.{step} is "):
            made().replace(**{f"augmentation.{step}": value})


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("flips", "no 'flips'. Did you mean 'flip'? It has: crop, flip, rand_augment, erasing"),
        ("label_smoothing", "augmentation.label_smoothing must be left out"),
        ("batch_augmentation", "augmentation.batch_augmentation must be left out"),
        ("num_classes", "augmentation.num_classes must be left out"),
        ("flip.probability", "no 'flip.probability'. It has: crop, flip"),
    ],
)
def test_unknown_options_of_the_augmentation(option, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        made().replace(**parse_overrides([f"augmentation.{option}=0.5"]))


@pytest.mark.parametrize("field", FIELDS)
def test_the_ends_of_a_range_are_allowed(field):
    rule = RULES[field]
    optional = type(rule).__name__ == "OrNone"
    rule = rule.rule if optional else rule
    if optional:
        assert getattr(made(**{field: None}), field) is None
    others = {"epochs": 100_000} if field == "warmup_epochs" else {}
    others |= {"warmup_epochs": 0, "weight_decay": 0.0, "batch_size": 1, "max_group_size": 1}
    others |= {"augmentation": {"flip": 0.5}, "sampling": "dense", "reference_batch_size": 2**20}
    for value in (getattr(rule, "least", None), getattr(rule, "most", None)):
        if value is None or isinstance(value, str) or getattr(rule, "above", False):
            continue
        if field == "warmup_epochs" and value:
            continue  # as many as all epochs leave none
        if type(rule).__name__ == "Text":
            value = "x" * value
        assert getattr(made(**{**others, field: value}), field) == value


#: What contradicts, among the fields of each relation.
CONTRADICTIONS = [
    ({"epochs": 3, "warmup_epochs": 3}, "warmup_epochs=3 leaves none of the epochs=3"),
    ({"sampling": "uniform", "frame_stride": 2}, "frame_stride=2 has no meaning"),
    ({"num_frames": 4096, "image_size": [4096, 4096]}, "`num_frames` 4096 and `image_size`"),
    ({"batch_augmentation": 2}, "batch_augmentation=2: .* 2 equal copies"),
    (
        {"batch_augmentation": 2, "augmentation": {"mix_up": 0.8}},
        r"give one of \('crop', 'flip', 'rand_augment', 'erasing'\) too in augmentation",
    ),
    ({"augmentation": {"crop": {"size": [16, 64]}}}, "crop.size must be at least 32 x 32"),
    (
        {"learning_rate": 5, "reference_batch_size": 1, "batch_size": 16},
        "learning_rate=5 at a batch of reference_batch_size=1 is 80 at a batch of 16",
    ),
    (
        {"learning_rate": 2, "weight_decay": 0.5, "batch_size": 512},
        "weight_decay=0.5 times the learning rate 2",
    ),
    ({"random_mixing": 0.1}, "random_mixing=0.1 needs max_group_size"),
    ({"num_frames": 16, "max_group_size": 8}, "max_group_size=8 is more than the 4 tokens in time"),
    ({"frozen_stages": 4, "layer_decay": 0.5}, "layer_decay has nothing to act on"),
]


def test_every_relation_has_a_contradiction():
    found = set()
    for values, _ in CONTRADICTIONS:
        # A recipe that is allowed, with these values put in behind its back.
        recipe = made()
        for name, value in values.items():
            object.__setattr__(recipe, name, tuple(value) if isinstance(value, list) else value)
        found |= {fields for fields, relation in RELATIONS.items() if relation(recipe)}
    assert found == set(RELATIONS)


@pytest.mark.parametrize(("values", "words"), CONTRADICTIONS)
def test_contradictions(values, words):
    with pytest.raises(ValueError, match=words):
        made(**values)


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
    with pytest.raises(ValueError, match=r"mine\.json.*epochs must be a whole number.*'3'"):
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
    with pytest.raises(ValueError, match="string or a path, got int"):
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
