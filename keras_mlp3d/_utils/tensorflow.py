"""Imports TensorFlow when it is needed, and keeps it off the GPUs of other backends."""

import contextlib
import types


def load_tensorflow(hint: str) -> types.ModuleType:
    """Return the module `tensorflow`.

    Args:
        hint: Text of the error: what needs it, and what to do without it.

    Raises:
        ImportError: If it is not installed.
    """
    import keras  # late: a process that only decodes does not need it

    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(hint) from error
    if keras.config.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it has started, so it is too late
            tf.config.set_visible_devices([], "GPU")
    return tf
