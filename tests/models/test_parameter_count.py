"""The count of parameters before anything is built, against networks that are built."""

import itertools
import random

import pytest
from models import tiny

from keras_mlp3d import (
    MLP3D,
    CycleMLP,
    Mixing,
    MLP3DBackbone,
    TwoPathMLP3D,
    list_presets,
    parse_schedule,
)
from keras_mlp3d.hub import read_preset
from keras_mlp3d.models import FrameCycleMLP, parameter_count

CHANNELS, DEPTHS, RATIOS = (3, 5, 6, 9), (1, 1, 1, 1), (2, 1.5, 3, 0.7)
CLIP = (24, None, None, 3)
MIXED = ["short_range:2", "shift_token:3", "long_range:3", "shift_window:6"]
CANDIDATES = ["short_range:1", "long_range:3", "shift_token:5"]

KINDS = ["short_range:3", "long_range:2", "shift_window:6", "shift_token:4", "full"]
FORMS = [{}, {"share_weights": False}, {"max_group_size": 7}]
BACKBONES = [
    *({"schedule": kind, **form} for kind, form in itertools.product(KINDS, FORMS)),
    {"schedule": MIXED},
    {"schedule": MIXED, "share_weights": False},
    {"schedule": MIXED, "candidates": CANDIDATES},
    {"schedule": "shift_token:5", "candidates": CANDIDATES, "random_mixing": 0.5},
    {"schedule": MIXED, "candidates": CANDIDATES, "max_group_size": 9, "share_weights": False},
    {"schedule": "short_range:1+long_range:2+shift_token:3", "depths": (2, 1, 3, 2)},
    {"schedule": "short_range:2", "channels": (1, 2, 1, 3), "mlp_ratios": 4, "remat": True},
    {"schedule": "short_range:2", "include_rescaling": False, "subtract_mean": True},
    {"schedule": "short_range:2", "drop_path_rate": 0.3, "input_shape": (None, 64, None, 3)},
    {"schedule": "short_range:2", "dtype": "mixed_bfloat16"},
]


def label(options):
    return "-".join(f"{key}={value}" for key, value in options.items())[:60]


def backbone(**options):
    sizes = {"channels": CHANNELS, "depths": DEPTHS, "mlp_ratios": RATIOS, "input_shape": CLIP}
    return MLP3DBackbone(**{**sizes, **options})


@pytest.mark.parametrize("name", list_presets())
def test_built_in_presets(name):
    """The metadata's number is that of `count_params`; `test_presets` builds them to see it."""
    preset = read_preset(name)
    counts = parameter_count.preset_parameters(preset)
    assert sum(counts.values()) == preset.parameter_count


@pytest.mark.parametrize("options", BACKBONES, ids=label)
def test_backbones(options):
    network = backbone(**options)
    assert parameter_count.backbone_parameters(network.get_config()) == network.count_params()


@pytest.mark.parametrize(
    "options",
    [{"num_classes": 1}, {"num_classes": 7, "dropout": 0.5, "drop_path_rate": 0.2}, {}],
    ids=label,
)
def test_cycle_mlp(options):
    network = CycleMLP((1, 5, 6, 9), (2, 1, 1, 1), RATIOS, **options)
    assert parameter_count.cycle_mlp_parameters(network.get_config()) == network.count_params()


def classifier(**options):
    return MLP3D(backbone(schedule="long_range:2"), **{"num_classes": 4, "dropout": 0.1, **options})


PRESETS = {
    "classifier": lambda: classifier(class_names=list("abcd"), activation="softmax"),
    "supernet": lambda: MLP3D(backbone(schedule=MIXED, candidates=CANDIDATES), 3),
    "two paths": lambda: TwoPathMLP3D(
        classifier(name="a"),
        MLP3D(backbone(schedule="full", channels=(2, 3, 4, 5)), 4, name="b"),
        motion_size=(32, 32),
    ),
    "frame by frame": lambda: FrameCycleMLP(tiny.tiny_cycle_mlp()),
}


@pytest.mark.parametrize("make", PRESETS.values(), ids=PRESETS)
def test_saved_presets(make, tmp_path):
    """Count, header of the file, metadata and the network itself say the same."""
    network = make()
    network.save_to_preset(tmp_path / "preset")
    preset = read_preset(tmp_path / "preset")
    counts = parameter_count.preset_parameters(preset)
    assert sum(counts.values()) == network.count_params() == preset.parameter_count
    assert {name: preset.weights_file(name).parameter_count for name in counts} == counts


def test_alternating_schedules_of_any_length():
    """Blocks are counted without a list of them; here with one."""
    rng = random.Random(0)
    for _ in range(200):
        depths = tuple(rng.randint(1, 9) for _ in range(4))
        turns = [f"shift_token:{rng.randint(1, 4)}" for _ in range(rng.randint(1, sum(depths)))]
        config = {"channels": CHANNELS, "depths": depths, "mlp_ratios": 2}
        short = {**config, "schedule": "+".join(turns)}
        long = {**config, "schedule": parse_schedule(short["schedule"], sum(depths))}
        count = parameter_count.backbone_parameters
        assert count(short) == count(long)
    config["depths"], config["schedule"] = (10**30,) * 4, Mixing("short_range", 2)
    assert count(config) > 10**32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": [4, 4, 4]}, "channels must be 4 positive integers"),
        ({"channels": "abcd"}, "channels must be 4 positive integers"),
        ({"depths": [1, 1, 1, 0]}, "depths must be 4 positive integers"),
        ({"depths": [1, 1, 1, True]}, "depths must be 4 positive integers"),
        ({"mlp_ratios": float("inf")}, "mlp_ratios must be a number above 0"),
        ({"mlp_ratios": [1, 1, 1]}, "mlp_ratios must be one or four numbers"),
        ({"mlp_ratios": [1, 1, 1, "2"]}, "mlp_ratios must be a number above 0"),
        ({"schedule": ["short_range:2"]}, "one entry for each of the 4 blocks, got 1"),
        ({"schedule": "short_range:2+" * 9}, "Unknown kind|alternates"),
        ({"schedule": "full", "input_shape": [None, 32, 32, 3]}, "needs an input_shape"),
        ({"schedule": "full", "candidates": CANDIDATES}, "cannot be switched"),
        ({"max_group_size": 0}, "max_group_size must be a positive integer"),
        ({"share_weights": "no"}, "share_weights must be True or False"),
    ],
)
def test_what_cannot_be_counted(change, message):
    config = backbone(schedule="short_range:2").get_config()
    with pytest.raises(ValueError, match=message):
        parameter_count.backbone_parameters({**config, **change})
    for name in ("channels", "depths", "mlp_ratios", "schedule"):
        with pytest.raises(ValueError, match=f"'{name}' is missing"):
            parameter_count.backbone_parameters({k: v for k, v in config.items() if k != name})
