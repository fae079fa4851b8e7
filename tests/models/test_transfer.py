import numpy as np
import pytest
from models import tiny
from numpy_weights import float_weights, weights_of

from keras_mlp3d.models.transfer import transfer_weights, walk_layers

CLIP = tiny.pixels()


def test_the_same_network_gets_every_weight():
    source, target = tiny.tiny_model(seed=1), tiny.tiny_model(seed=2)
    assert transfer_weights(source, target) == []
    given = weights_of(source)
    for name, value in weights_of(target).items():
        np.testing.assert_array_equal(value, given[name])


def test_a_network_that_keeps_its_own_copy_of_the_weights():
    source, target = tiny.tiny_model(seed=1), tiny.tiny_model(seed=2)
    transfer_weights(source, target)
    for _, weight in float_weights(source):
        weight.assign(weight * 0)
    for name, value in weights_of(target).items():
        assert value.any(), name


def test_another_schedule_takes_weights_by_interval_and_names_what_is_new():
    """From 2 to 4 in one block, from 4 to 2 in another: w_0 and w_±1 go over in both."""
    source = tiny.tiny_model(
        ("short_range:2", "long_range:4", "shift_token:1", "full", "full"),
        input_shape=(16, None, None, 3),
        seed=1,
    )
    target = tiny.tiny_model(
        ("long_range:4", "shift_token:2", "shift_token:1", "full", "full"),
        input_shape=(16, None, None, 3),
        seed=2,
    )
    missing = transfer_weights(source, target)
    kernel = "stage1_block1/token_mixing/mix_time/kernel"
    assert missing == [f"{kernel} (time intervals new to it are zero)"]
    given, got = weights_of(source), weights_of(target)
    np.testing.assert_array_equal(got[kernel][2:5], given[kernel])
    assert not got[kernel][[0, 1, 5, 6]].any()
    shift = "stage2_block1/token_mixing/mix_time/kernel"
    np.testing.assert_array_equal(got[shift], given[shift][3:5])
    for name in set(given) - {kernel, shift}:
        np.testing.assert_array_equal(got[name], given[name])


def test_skipped_layers_and_other_shapes_keep_their_weights():
    source, target = tiny.tiny_model(seed=1), tiny.tiny_model(seed=2, num_classes=3)
    before = weights_of(target)
    missing = transfer_weights(source, target)
    assert missing == ["head/kernel", "head/bias"]
    same_head = tiny.tiny_model(seed=2)
    kept = transfer_weights(source, same_head, {id(same_head.get_layer("head"))})
    assert kept == ["head/kernel", "head/bias"]
    for name in ("head/kernel", "head/bias"):
        np.testing.assert_array_equal(weights_of(target)[name], before[name])
        assert (weights_of(same_head)[name] != weights_of(source)[name]).all()


@pytest.mark.parametrize("schedule", ["short_range:4", "shift_token:3+long_range:2"])
def test_shared_weights_laid_out_as_unshared_ones_give_the_same_logits(schedule):
    source = tiny.tiny_model(schedule, seed=1)
    for layer in walk_layers(source):
        if layer.name == "mix_time":
            layer.bias.assign(np.zeros(layer.bias.shape))
    target = tiny.tiny_model(schedule, seed=2, share_weights=False)
    for layer in walk_layers(target):
        if layer.name == "mix_time":
            layer.bias.assign(np.zeros(layer.bias.shape))
    missing = transfer_weights(source, target)
    assert all(path.endswith("mix_time/bias") for path in missing)
    np.testing.assert_allclose(tiny.run(target, CLIP), tiny.run(source, CLIP), rtol=0, atol=1e-5)


def test_one_kernel_for_all_sizes_gives_the_same_logits():
    source = tiny.tiny_model(seed=1)
    target = tiny.tiny_model(seed=2, max_group_size=6)
    missing = transfer_weights(source, target)
    assert len(missing) == 5
    assert all("time intervals new to it are zero" in path for path in missing)
    np.testing.assert_allclose(tiny.run(target, CLIP), tiny.run(source, CLIP), rtol=0, atol=1e-5)


def test_every_layer_is_met_once():
    model = tiny.tiny_model()
    layers = walk_layers(model)
    assert len({id(layer) for layer in layers}) == len(layers)
    assert sum(layer.name == "mix_time" for layer in layers) == 5
