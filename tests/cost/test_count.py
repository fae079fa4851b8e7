import keras
import pytest
from models import tiny

from keras_mlp3d import MLP3D, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.cost import Cost, LayerCost, count
from keras_mlp3d.cost.rules import layer_rows
from keras_mlp3d.layers import (
    ChannelMLP,
    CycleFC,
    GroupedTimeMixing,
    MLP3DBlock,
    PixelNormalization,
    StageTransition,
    StochasticDepth,
    TokenMixing,
    TubeletEmbedding,
)

C = 8
SHAPE = (1, 6, 3, 5, C)
TOKENS = 6 * 3 * 5
SPLIT = C * 2 + 2 * 3 * C  # C -> C // 4 -> 3 C, once a clip


def token_mixing(size):
    return TOKENS * (2 * C * C + size * C * C + C * C) + SPLIT


@pytest.mark.parametrize(
    ("layer", "shape", "macs", "params"),
    [
        (keras.layers.Dense(9), SHAPE, TOKENS * C * 9, C * 9 + 9),
        (CycleFC(9, "height", kernel_size=5), SHAPE, TOKENS * C * 9, C * 9 + 9),
        (CycleFC(9, use_bias=False), SHAPE, TOKENS * C * 9, C * 9),
        (GroupedTimeMixing("short_range", 1), SHAPE, TOKENS * C * C, C * C + C),
        (GroupedTimeMixing("long_range", 3), SHAPE, TOKENS * 3 * C * C, 5 * C * C + C),
        (GroupedTimeMixing("shift_window", 2), SHAPE, TOKENS * 2 * C * C, 3 * C * C + C),
        (GroupedTimeMixing("shift_token", 4), SHAPE, TOKENS * 4 * C * C, 4 * C * C + C),
        (GroupedTimeMixing("full"), SHAPE, TOKENS * 6 * C * C, 11 * C * C + C),
        (
            GroupedTimeMixing("short_range", 2, max_group_size=4),
            SHAPE,
            TOKENS * 2 * C * C,
            7 * C * C + C,
        ),
        (
            GroupedTimeMixing("short_range", 3, share_weights=False),
            SHAPE,
            TOKENS * 3 * C * C,
            9 * C * C + 3 * C,
        ),
        (
            TokenMixing({"kind": "shift_token", "group_size": 4}),
            SHAPE,
            token_mixing(4),
            7 * C * C + 4 * C + SPLIT + 2 + 3 * C,
        ),
        (ChannelMLP(2.5), SHAPE, TOKENS * 2 * 2.5 * C * C, 5 * C * C + 3.5 * C),
        (
            MLP3DBlock({"kind": "short_range", "group_size": 2}, mlp_ratio=4, drop_path_rate=0.1),
            SHAPE,
            token_mixing(2) + TOKENS * 8 * C * C,
            4 * C + 6 * C * C + 4 * C + SPLIT + 2 + 3 * C + 8 * C * C + 5 * C,
        ),
        (StageTransition(9), SHAPE, 6 * 2 * 3 * 9 * C * 9, 9 * C * 9 + 9),
        (TubeletEmbedding(5), (1, 8, 9, 13, 3), 2 * 2 * 3 * 4 * 49 * 3 * 5, 4 * 49 * 3 * 5 + 5),
        (keras.layers.LayerNormalization(), SHAPE, 0, 2 * C),
        (StochasticDepth(0.5), SHAPE, 0, 0),
        (PixelNormalization(), (1, 8, 9, 13, 3), 0, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else None,
)
def test_layers_by_hand(layer, shape, macs, params):
    layer.build(shape)
    rows = layer_rows(layer, shape)
    assert sum(row[2] for row in rows) == macs
    assert sum(row[3] for row in rows) == params
    assert rows[-1][1] == tuple(layer.compute_output_shape(shape))


@pytest.mark.parametrize("layer", [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
def test_unknown_layer_raises(layer):
    layer.build((1, 6, 6, 4))
    with pytest.raises(ValueError, match=f"No counting rule for {type(layer).__name__} .*rules.py"):
        layer_rows(layer, (1, 6, 6, 4))


def test_time_mixing_costs_tokens_times_channels_squared_for_each_step_of_s():
    """Section 4.4: the cost rises linearly with S, whatever the kind."""
    shape = (32, 64, 96, 3)
    tokens = [8 * 16 * 24, 8 * 8 * 12, 8 * 4 * 6, 8 * 2 * 3]
    step = sum(
        depth * n * c * c for depth, n, c in zip(tiny.DEPTHS, tokens, tiny.CHANNELS, strict=True)
    )
    costs = [count(tiny.tiny_backbone(f"shift_token:{s}"), shape).macs for s in (1, 2, 4)]
    assert costs[1] - costs[0] == step
    assert costs[2] - costs[0] == 3 * step
    assert count(tiny.tiny_backbone("long_range:4"), shape).macs == costs[2]
    full = tiny.tiny_backbone("full", input_shape=(32, None, None, 3))
    assert count(full, shape).macs == costs[0] + 7 * step


def test_rows_sum_up_and_name_every_part():
    model = tiny.tiny_model()
    cost = count(model, (16, 32, 32, 3))
    assert isinstance(cost, Cost)
    assert all(isinstance(row, LayerCost) for row in cost.layers)
    assert sum(row.macs for row in cost.layers) == cost.macs
    assert sum(row.params for row in cost.layers) == cost.params == model.count_params()
    rows = {row.name: row for row in cost.layers}
    assert len(rows) == len(cost.layers)
    time = rows["stage3_block1/token_mixing/mix_time"]
    assert time.output_shape == (4, 2, 2, 8)
    assert time.macs == 4 * 2 * 2 * 4 * 64
    assert rows["head"] == LayerCost("head", (5,), 12 * 5, 12 * 5 + 5)
    assert rows["norm"].macs == 0


def test_table_shows_every_row_and_the_sum():
    cost = count(tiny.tiny_backbone(), (16, 32, 32, 3))
    lines = cost.table().splitlines()
    assert len(lines) == len(cost.layers) + 4
    assert lines[0].split() == ["layer", "output", "MACs", "parameters"]
    assert lines[-1].split() == ["total", f"{cost.macs:,}", f"{cost.params:,}"]
    assert len({len(line) for line in lines}) == 1
    assert any(line.startswith("embedding ") and "4 x 8 x 8 x 4" in line for line in lines)


def test_two_path_network_costs_what_its_paths_cost():
    seen = tiny.tiny_model(task={"name": "seen"})
    moving = tiny.tiny_model("shift_token:2", task={"name": "moving"})
    two = TwoPathMLP3D(seen, moving, motion_size=(32, 36))
    cost = count(two, (16, 64, 96, 3))
    parts = count(seen, (16, 64, 96, 3)), count(moving, (16, 32, 36, 3))
    assert cost.macs == sum(part.macs for part in parts)
    assert cost.params == sum(part.params for part in parts) == two.count_params()
    assert {row.name.split("/")[0] for row in cost.layers} == {"appearance", "motion"}
    assert cost.layers[-1].name == "motion/head"


def test_states_of_random_generators_are_no_parameters():
    plain, dropping = tiny.tiny_model(), tiny.tiny_model(drop_path_rate=0.5)
    assert count(dropping, (16, 32, 32, 3)).params == count(plain, (16, 32, 32, 3)).params


def test_mixed_precision_costs_the_same():
    costs = [
        count(tiny.tiny_model(dtype=d), (16, 32, 32, 3)) for d in ("float32", "mixed_bfloat16")
    ]
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((16, None, 32, 3), r"input_shape must be 4 positive integers, got \(16, None, 32, 3\)"),
        ((20, 32, 32, 3), "a clip of 20 frames does not fit"),
        ((16, 31, 32, 3), "height of at least 32 pixels, got 31"),
        ((32, 32, 3), r"pixels of shape \(batch, frames, height, width, 3\)"),
    ],
)
def test_wrong_input_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        count(tiny.tiny_backbone(), shape)


def test_takes_networks_of_this_package_alone():
    inputs = keras.Input((4,))
    other = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match=r"count takes an MLP3D, .* got Functional"):
        count(other, (4,))


def test_default_input_shapes_are_the_papers():
    backbone = tiny.tiny_backbone()
    assert count(backbone) == count(backbone, (64, 224, 224, 3))
    frame = tiny.tiny_cycle_mlp()
    assert count(frame) == count(frame, (224, 224, 3))


# --- published numbers; those of CycleMLP stand in models/test_presets.py -------------------------


def test_published_cost_of_mlp3d_xs():
    """Figure 4's first point: 11.5 G at 64 x 128 x 128 with S = 1; then tokens x C² a step."""
    sizes = {"channels": (64, 128, 320, 512), "depths": (2, 2, 4, 2), "mlp_ratios": 4}
    first, second = (
        count(MLP3DBackbone(**sizes, schedule=f"short_range:{s}"), (64, 128, 128, 3)).macs
        for s in (1, 2)
    )
    assert round(first / 1e9, 1) == 11.5
    tokens = [16 * 32 * 32, 16 * 16 * 16, 16 * 8 * 8, 16 * 4 * 4]
    step = sum(
        depth * n * c * c
        for depth, n, c in zip(sizes["depths"], tokens, sizes["channels"], strict=True)
    )
    assert second - first == step


def test_head_counts_once_a_clip():
    backbone = tiny.tiny_backbone()
    with_head = count(MLP3D(backbone, 7), (16, 32, 32, 3)).macs
    assert with_head - count(backbone, (16, 32, 32, 3)).macs == 12 * 7
