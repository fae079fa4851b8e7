"""Running a network once, in the quickest way of the live backend."""

import contextlib

import keras


@contextlib.contextmanager
def quick_compilation():
    """On JAX, most of the time would be spent on the optimization of programs that run once."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def run(model, inputs):
    """Returns a model's outputs as NumPy arrays."""
    if keras.backend.backend() == "jax":
        with quick_compilation():
            return model.predict(inputs, verbose=0)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
