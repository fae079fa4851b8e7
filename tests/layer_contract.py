"""What every layer of the package promises, checked by one call: `assert_layer_contract`.

The full form compiles, saves, trains and computes in half precision, which takes seconds on a
backend that compiles. The quick form leaves that out. PyTorch gets the full form for every set of
arguments, the other backends for every set that differs from those before in a word or a switch
(`kind`, `axis`, `share_weights`, `remat`), and the quick form if it differs in numbers alone.
"""

import inspect
import json

import keras
import numpy as np

#: Largest difference from float32, as a fraction of the largest output: some bits of mantissa.
HALF_POLICIES = {"mixed_bfloat16": 0.03, "mixed_float16": 0.005}

#: What has had the full form in this process; the tests of a file share a process.
_FULLY_CHECKED = set()


def assert_layer_contract(
    make_layer,
    input_shape,
    output_shape,
    num_weights,
    tmp_path,
    open_axes=(0, 1, 2, 3),
    open_output_axes=None,
    num_params=None,
    random_states=0,
):
    """Checks a layer against the contract; raises AssertionError.

    Args:
        make_layer: Function of `**kwargs` (`dtype`, `name`) that returns a new layer.
        input_shape: Shape of a batch.
        output_shape: Shape that comes out.
        num_weights: Number of weight arrays.
        tmp_path: Empty folder to save into.
        open_axes: Axes of the input that may be None in a symbolic call.
        open_output_axes: Axes of the output that then are None; by default the same.
        num_params: None, or the number of parameters.
        random_states: Number of seed states that the layer keeps.
    """
    x = np.random.default_rng(3).standard_normal(input_shape).astype("float32")
    _check_config(make_layer)
    layer = _check_build(make_layer, x, output_shape, num_weights, num_params, random_states)
    expected = to_numpy(layer(x))
    open_outputs = open_axes if open_output_axes is None else open_output_axes
    _check_symbolic(make_layer, input_shape, output_shape, open_axes, open_outputs)
    _check_sublayers(make_layer, x)
    form = _words_and_switches(layer.__class__.__name__, layer.get_config())
    if form in _FULLY_CHECKED and keras.backend.backend() != "torch":
        return
    _check_compiled(layer, x, expected, open_axes)
    _check_saving(layer, x, expected, tmp_path)
    for policy, tolerance in HALF_POLICIES.items():
        _check_half(make_layer, layer, x, expected, policy, tolerance)
    _check_training(layer, x, expected)
    _FULLY_CHECKED.add(form)


def _words_and_switches(name, value):
    """The strings, booleans and Nones of a configuration at any depth, as a hashable value."""
    if isinstance(value, dict):
        ours = {key: inner for key, inner in value.items() if key not in ("name", "dtype")}
        return name, tuple(_words_and_switches(*item) for item in sorted(ours.items()))
    return name, value if value is None or isinstance(value, str | bool) else "number"


def to_numpy(tensor):
    """float32 (or float64) NumPy array of a tensor of any float dtype on any backend."""
    if keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def _check_config(make_layer):
    layer = make_layer(name="under_test")
    cls, config = type(layer), layer.get_config()
    assert keras.saving.get_registered_name(cls) == f"keras_mlp3d>{cls.__name__}"
    arguments = {
        name
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }
    assert arguments <= set(config), "an argument is missing from the config"
    assert cls.from_config(config).get_config() == config
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    restored = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(restored, cls)
    assert restored.get_config() == config


def _check_build(make_layer, x, output_shape, num_weights, num_params, random_states):
    layer = make_layer()
    config = layer.get_config()
    assert layer.weights == layer.non_trainable_weights, "has weights before it is built"
    assert layer.built == (num_weights == 0)
    outputs = layer(x)
    assert layer.built
    assert tuple(outputs.shape) == output_shape
    assert np.isfinite(to_numpy(outputs)).all()
    trained = layer.trainable_weights
    assert len(trained) == num_weights
    assert all(weight.dtype == "float32" for weight in trained)
    assert len(layer.non_trainable_variables) == random_states
    if num_params is not None:
        assert sum(int(np.prod(weight.shape)) for weight in trained) == num_params
    assert layer.get_config() == config, "building changed the config"
    layer(x)
    assert len(layer.trainable_weights) == num_weights, "a second call added weights"
    return layer


def _check_symbolic(make_layer, input_shape, output_shape, open_axes, open_outputs):
    """A symbolic call says what an eager call gives, also with lengths unknown."""
    layer = make_layer()
    assert tuple(layer.compute_output_shape(input_shape)) == output_shape
    assert tuple(layer(keras.KerasTensor(input_shape)).shape) == output_shape
    layer = make_layer()
    shape = tuple(None if axis in open_axes else n for axis, n in enumerate(input_shape))
    symbolic = tuple(layer(keras.KerasTensor(shape)).shape)
    assert symbolic == tuple(layer.compute_output_shape(shape))
    assert symbolic == tuple(
        None if axis in open_outputs else n for axis, n in enumerate(output_shape)
    )


def _check_sublayers(make_layer, x):
    """Sublayers have names of their own choosing, so weights have stable paths, and one policy."""
    layers = [make_layer(dtype="mixed_bfloat16") for _ in range(2)]
    for layer in layers:
        layer.build(x.shape)
    first, second = ([s.name for s in sublayers(layer)] for layer in layers)
    assert first == second, "a sublayer is named by Keras's counter"
    for sublayer in sublayers(layers[0]):
        assert sublayer.dtype_policy.name == "mixed_bfloat16", sublayer.name


def sublayers(layer):
    """Every layer inside a layer, at any depth."""
    return list(layer._flatten_layers(include_self=False, recursive=True))


def _check_compiled(layer, x, expected, open_axes):
    scale = np.abs(expected).max()
    for outputs in compiled_outputs(layer, x, open_axes):
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * scale)


def compiled_outputs(layer, x, open_axes=()):
    """Outputs of a built layer as its backend's compiler computes them.

    On TensorFlow also with the axes `open_axes` unknown to the graph. PyTorch runs as it does
    without a compiler, from a functional call: `torch.compile` is slow, and tested once, on a
    whole network.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        shape = [None if axis in open_axes else n for axis, n in enumerate(x.shape)]
        fused = tf.function(layer, jit_compile=True)
        open_graph = tf.function(layer, input_signature=[tf.TensorSpec(shape, tf.float32)])
        return [to_numpy(run(tf.constant(x))) for run in (fused, open_graph)]
    return [to_numpy(_stateless(layer, x))]


def forward(layer, x):
    """Outputs of a built layer by the quickest way: eagerly, except on JAX, as one program.

    JAX compiles every operation of an eager call for every shape, which takes far longer.
    """
    return _stateless(layer, x) if keras.backend.backend() == "jax" else layer(x)


def _stateless(layer, x):
    """Calls a layer as a function of its weights, compiled on JAX."""
    variables = layer.variables

    def call(values, x):
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return layer(x)

    if keras.backend.backend() == "jax":
        import jax

        call = jax.jit(call)
    return call([variable.value for variable in variables], x)


def _check_saving(layer, x, expected, tmp_path):
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    path = tmp_path / "layer.keras"
    model.save(path)
    again = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_allclose(
        to_numpy(forward(again, x)), expected, rtol=0, atol=1e-6 * np.abs(expected).max()
    )


def _check_half(make_layer, full, x, expected, policy, tolerance):
    layer = make_layer(dtype=policy)
    layer.build(x.shape)
    for own, other in zip(layer.trainable_weights, full.trainable_weights, strict=True):
        own.assign(other.value)
    assert {weight.dtype for weight in layer.trainable_weights} <= {"float32"}
    outputs = forward(layer, x)
    half = policy.removeprefix("mixed_")
    assert layer.compute_dtype == half
    assert keras.backend.standardize_dtype(outputs.dtype) == half
    np.testing.assert_allclose(
        to_numpy(outputs), expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )


def _check_training(layer, x, expected):
    """One step of gradient descent moves every trainable weight, to finite values."""
    if not layer.trainable_weights:
        return
    target = np.random.default_rng(4).standard_normal(expected.shape).astype("float32")
    inputs = keras.Input(batch_shape=x.shape)
    model = keras.Model(inputs, layer(inputs))
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    before = [to_numpy(weight).copy() for weight in layer.trainable_weights]
    assert np.isfinite(model.train_on_batch(x, target))
    for weight, old in zip(layer.trainable_weights, before, strict=True):
        new = to_numpy(weight)
        assert np.isfinite(new).all(), weight.path
        assert (new != old).any(), f"{weight.path} did not learn"
