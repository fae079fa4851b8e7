"""`training.AdamW` computes what Keras's does, on PyTorch by other calls."""

import keras
import numpy as np
import pytest
from layer_contract import to_numpy

from keras_mlp3d.training import AdamW, LayerwiseAdamW, _torch, warmup_cosine

SHAPES = ((3, 4), (4,), (2, 3, 5), ())
OPTIONS = {
    "plain": {},
    "decay": {"weight_decay": 0.3},
    "global norm": {"weight_decay": 0.1, "global_clipnorm": 0.5},
    "global norm, not reached": {"global_clipnorm": 1e6},
    "norm of each": {"clipnorm": 0.5},
    "values": {"clipvalue": 0.2},
    "other betas": {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 0.1},
    "amsgrad": {"amsgrad": True, "weight_decay": 0.1},
    "average": {"use_ema": True, "ema_momentum": 0.6},
    "average that is assigned": {"use_ema": True, "ema_overwrite_frequency": 2},
    "accumulated": {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "weight_decay": 0.1},
}
if keras.backend.backend() != "torch":  # there it is Keras's own code
    OPTIONS = {name: OPTIONS[name] for name in ("global norm", "average", "amsgrad")}
#: In float32, Keras's 1 - 0.999 ** step is off by some 5e-5 at first, PyTorch's is not.
NEAR = {"rtol": 1e-5, "atol": 2e-5}
WAYS = ["as here"] + ["on a GPU"] * (keras.backend.backend() == "torch")


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """On PyTorch, once more as where there is no fused pass: with an argument nothing else has."""
    if request.param == "on a GPU":
        monkeypatch.setattr(_torch, "has_one_pass", lambda values: False)


def variables(dtype="float32"):
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=f"weight_{place}")
        for place, shape in enumerate(SHAPES)
    ]


def gradients(step, dtype="float32"):
    rng = np.random.default_rng(step + 1)
    return [keras.ops.cast(rng.normal(size=shape), dtype) for shape in SHAPES]


def after(optimizer, steps=5, dtype="float32", gradients=gradients, start=0):
    """The weights after some steps and the state of the optimizer, by name."""
    weights = variables(dtype)
    optimizer.exclude_from_weight_decay(var_list=[weights[1]])
    optimizer.build(weights)
    for step in range(start, start + steps):
        optimizer.apply(gradients(step), weights)
    found = {weight.name: to_numpy(weight) for weight in weights}
    # The path begins with the optimizer's name, which has a number of its own.
    return found | {w.path.partition("/")[2]: to_numpy(w) for w in optimizer.variables}


def assert_alike(ours, keras_own, **tolerances):
    assert ours.keys() == keras_own.keys()
    for name, value in keras_own.items():
        np.testing.assert_allclose(ours[name], value, err_msg=name, **tolerances)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_computes_what_keras_computes(options, way):
    rate = warmup_cosine(0.2, total_steps=8, warmup_steps=2)  # the first step has the rate 0
    keras_own = after(keras.optimizers.AdamW(rate, **options))
    assert_alike(after(AdamW(rate, **options)), keras_own, **NEAR)


def test_the_smallest_gradients(way):
    """Where epsilon decides: PyTorch adds it elsewhere."""

    def tiny(step):
        return [1e-7 * gradient for gradient in gradients(step)]

    keras_own = after(keras.optimizers.AdamW(0.1), gradients=tiny)
    assert_alike(after(AdamW(0.1), gradients=tiny), keras_own, rtol=2e-5, atol=1e-7)


def test_gradients_that_lie_otherwise_in_memory(way):
    def turned(step):
        straight = gradients(step)
        return [keras.ops.transpose(keras.ops.transpose(straight[0]) + 0.0), *straight[1:]]

    assert_alike(after(AdamW(0.1), gradients=turned), after(AdamW(0.1)), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_leaves_no_weight_finite(bad, way):
    def broken(step):
        return [gradients(step)[0] * bad, *gradients(step)[1:]]

    found = after(AdamW(0.1, global_clipnorm=1.0), steps=1, gradients=broken)
    assert all(np.isnan(found[f"weight_{place}"]).all() for place in range(len(SHAPES)))


def test_weights_without_a_gradient_stay(way):
    weights = variables()
    before = to_numpy(weights[2])
    optimizer = AdamW(0.1, weight_decay=0.5, global_clipnorm=1.0, use_ema=True)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([*gradients(0)[:2], None, gradients(0)[3]], weights)
    np.testing.assert_array_equal(to_numpy(weights[2]), before)
    assert not np.array_equal(to_numpy(weights[0]), to_numpy(variables()[0]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_types_are_left_to_keras(dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        dtype = "float16"  # JAX has no float64 unless asked
    options = {"weight_decay": 0.1, "use_ema": True, "global_clipnorm": 1.0}

    def cast(step):
        return gradients(step, dtype)

    runs = [
        after(kind(0.1, **options), dtype=dtype, gradients=cast, steps=2)
        for kind in (AdamW, keras.optimizers.AdamW)
    ]
    assert_alike(*runs, rtol=2e-2 if "16" in dtype else 1e-5)


on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="calls of PyTorch")


@pytest.fixture
def calls(monkeypatch):
    """How often each function of `_torch` has run."""
    passes = "_update_in_one_pass", "_update_in_a_few_passes"
    counts = dict.fromkeys(("update", *passes, "clip_by_global_norm", "move_averages"), 0)

    def counted(name):
        function = getattr(_torch, name)

        def call(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(_torch, name, call)

    for name in counts:
        counted(name)
    return counts


@on_torch
@pytest.mark.parametrize("one_pass", [True, False])
def test_the_weights_are_updated_together(calls, one_pass, monkeypatch):
    """Weights that are decayed and others are two groups, whatever their number."""
    if not one_pass:
        monkeypatch.setattr(_torch, "has_one_pass", lambda values: False)
    after(AdamW(0.1, weight_decay=0.1, global_clipnorm=1.0, use_ema=True), steps=3)
    assert calls == {
        "update": 6,
        "_update_in_one_pass": 6 * one_pass,
        "_update_in_a_few_passes": 6 * (not one_pass),
        "clip_by_global_norm": 3,
        "move_averages": 3,
    }


@on_torch
def test_what_is_left_to_keras_goes_by_its_calls_for_many_weights(calls, monkeypatch):
    """Not weight by weight, as Keras's subclasses do."""
    monkeypatch.setattr(AdamW, "update_step", lambda *_: pytest.fail("one weight at a time"))
    after(AdamW(0.1, weight_decay=0.1, amsgrad=True))
    after(AdamW(0.1, weight_decay=0.1), dtype="float64")
    assert not any(calls.values())
    optimizer = AdamW(0.1, gradient_accumulation_steps=3)
    assert type(optimizer)._backend_increment_gradient_accumulators is (
        type(keras.optimizers.AdamW())._backend_increment_gradient_accumulators
    )


def other_gradients(kind):
    def cast(step):
        found = gradients(step)
        if kind == "sparse":
            return [found[0].to_sparse(), *found[1:]]
        return [keras.ops.cast(gradient, kind) for gradient in found]

    return cast


@on_torch
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64", "sparse"])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "use_ema": True}], ids=str)
def test_gradients_of_other_types_are_left_to_keras(kind, options, calls, way):
    runs = []
    for make in (keras.optimizers.AdamW, AdamW):
        try:
            runs.append(after(make(0.1, **options), steps=2, gradients=other_gradients(kind)))
        except RuntimeError as error:
            runs.append(str(error))
    if isinstance(runs[0], str):
        assert runs[1] == runs[0]
        return
    assert_alike(*runs[::-1], rtol=1e-5)
    assert calls["update"] == 0


def test_weights_that_are_excluded_late_are_not_decayed(way):
    """Keras allows it, as it remembers no rule."""
    weights = variables()
    optimizer = AdamW(0.1, weight_decay=0.5)
    optimizer.build(weights)
    optimizer.exclude_from_weight_decay(var_list=weights)
    still = [keras.ops.zeros_like(gradient) for gradient in gradients(0)]
    optimizer.apply(still, weights)
    for weight, before in zip(weights, variables(), strict=True):
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(before))


@pytest.mark.parametrize("betas", [(0.9, 1.0), (1.0, 0.999)])
def test_averages_that_never_move(betas, way):
    options = dict(zip(("beta_1", "beta_2"), betas, strict=True))
    ours, keras_own = (
        after(make(0.1, **options), steps=2) for make in (AdamW, keras.optimizers.AdamW)
    )
    for name, value in keras_own.items():
        np.testing.assert_array_equal(ours[name], value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_factors_hold_in_every_type(dtype, way):
    still = [keras.ops.cast(np.zeros(shape), dtype) for shape in SHAPES]
    optimizer = LayerwiseAdamW(0.5, {"weight_0": 0.5, "weight_2": 0.0}, weight_decay=0.5)
    found = after(optimizer, steps=1, dtype=dtype, gradients=lambda step: still)
    before = [to_numpy(weight).astype("float32") for weight in variables(dtype)]
    for place, kept in enumerate((0.875, 1.0, 1.0, 0.75)):  # the second is not decayed
        weight = np.asarray(found[f"weight_{place}"], "float32")
        np.testing.assert_allclose(weight, before[place] * kept, rtol=1e-2)


def test_a_factor_per_layer(way):
    """A weight with the factor f has what a network of its own has at f times the rate."""
    options = {"weight_decay": 0.3, "beta_2": 0.9}
    found = after(LayerwiseAdamW(0.1, {"weight_0": 0.5, "weight_2": 0.0}, **options))
    for name, rate in (("weight_0", 0.05), ("weight_1", 0.1), ("weight_3", 0.1)):
        alone = after(keras.optimizers.AdamW(rate, **options))[name]
        np.testing.assert_allclose(found[name], alone, **NEAR)
    np.testing.assert_array_equal(found["weight_2"], to_numpy(variables()[2]))


def test_the_state_of_keras_goes_on_here(way):
    """A training that Keras's AdamW began is continued, and the other way round."""
    rate, options = 0.1, {"weight_decay": 0.1, "global_clipnorm": 1.0}
    whole = after(keras.optimizers.AdamW(rate, **options), steps=6)
    for first, second in ((keras.optimizers.AdamW, AdamW), (AdamW, keras.optimizers.AdamW)):
        begun, weights = first(rate, **options), variables()
        begun.exclude_from_weight_decay(var_list=[weights[1]])
        for step in range(3):
            begun.apply(gradients(step), weights)
        goes_on = second(rate, **options)
        goes_on.exclude_from_weight_decay(var_list=[weights[1]])
        goes_on.build(weights)
        for variable, value in zip(goes_on.variables, begun.variables, strict=True):
            variable.assign(value)
        for step in range(3, 6):
            goes_on.apply(gradients(step), weights)
        for place, weight in enumerate(weights):
            np.testing.assert_allclose(to_numpy(weight), whole[f"weight_{place}"], **NEAR)


def test_it_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="head")])
    model.compile(AdamW(0.1, weight_decay=0.2, global_clipnorm=1.0), "mse")
    x = np.ones((4, 2), "float32")
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is AdamW
    assert again.optimizer.get_config() == model.optimizer.get_config()
    model.fit(x, x, verbose=0)
    again.fit(x, x, verbose=0)
    np.testing.assert_allclose(to_numpy(again.weights[0]), to_numpy(model.weights[0]), rtol=1e-6)
