"""What every value of a recipe may be, and which values contradict each other."""

import dataclasses
import re

import pytest

from keras_mlp3d.training import Recipe, parse_overrides
from keras_mlp3d.training.recipe_rules import RELATIONS, RULES
from keras_mlp3d.training.value_rules import shown


def made(**values):
    return Recipe(**{"receipt": "unmeasured", "name": "mine", **values})


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
    "pixel_mean": [
        *(0.5, [], [0.5], [0.5, 0.5], [0.5] * 4, "abc", {}, True),
        *([0.5, value, 0.5] for value in (127.0, 1.5, -0.1, NAN, INF, True, "0.5", None)),
    ],
    "pixel_std": [
        *(0.5, [], [0.5], [0.5, 0.5], [0.5] * 4, "abc", {}, True),
        *([0.5, value, 0.5] for value in (0.0, 58.0, 1.5, -0.1, NAN, INF, True, "0.5", None)),
    ],
    "subtract_mean": [0, 1, "true", "", [], 1.0],
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
    "lora_rank": [*NO_WHOLE, 0, 1025, 8.0],
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
    "frame_erasing": [1.5, "x", NAN, {"share": 0.5}, {"share": [0.5, 2]}, {"fill": "red"}],
    "cell_erasing": [1.5, "x", NAN, {"share": 0.5}, {"share": [0.5, 2]}, {"size": 0}],
    "speed": [1.5, "x", NAN, {"speed": 2}, {"speed": [0, 1]}, {"speed": [1, INF]}, {"to": 2}],
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
        ("flips", "no 'flips'. Did you mean 'flip'? It has: crop, flip, rand_augment, erasing, "),
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
    ({"num_frames": 4096, "image_size": [4096, 4096]}, "num_frames 4096 and image_size"),
    ({"batch_augmentation": 2}, "batch_augmentation=2: .* 2 equal copies"),
    (
        {"batch_augmentation": 2, "augmentation": {"mix_up": 0.8}},
        r"give one of \('crop', 'flip', .* 'speed'\) too in augmentation",
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
    ({"lora_rank": 8, "frozen_stages": 2}, "lora_rank=8 freezes all weights except its adapters"),
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
