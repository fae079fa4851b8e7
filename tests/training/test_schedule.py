import math

import keras
import pytest

from keras_mlp3d.training import warmup_cosine


def test_exact_values():
    schedule = warmup_cosine(0.4, total_steps=50, warmup_steps=10)
    for step in range(60):
        if step < 10:
            expected = 0.4 * step / 10
        else:
            expected = 0.2 * (1 + math.cos(math.pi * min(step - 10, 40) / 40))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_without_warmup():
    schedule = warmup_cosine(0.4, total_steps=50)
    assert float(schedule(0)) == pytest.approx(0.4)
    assert float(schedule(50)) == pytest.approx(0, abs=1e-7)


def test_it_is_kerass_own():
    schedule = warmup_cosine(0.4, 50, 10)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(again) is keras.optimizers.schedules.CosineDecay
    assert float(again(5)) == pytest.approx(0.2)


@pytest.mark.parametrize("warmup", [-1, 50, 60])
def test_no_step_left(warmup):
    with pytest.raises(ValueError, match="from 0 to less than total_steps=50"):
        warmup_cosine(0.1, 50, warmup)


def test_no_learning_rate():
    with pytest.raises(ValueError, match="above 0"):
        warmup_cosine(0.0, 50)
