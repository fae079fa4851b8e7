"""TensorFlow, for those who ask for it: imported late, and kept off the GPU of other backends."""

import contextlib


def load_tensorflow(hint):
    """The module `tensorflow`.

    Args:
        hint: What needs it, and what to do without it, for the error.

    Raises:
        ImportError: It is not installed.
    """
    import keras  # late: a process that only decodes does without

    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(hint) from error
    if keras.config.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it is running already: too late to tell it
            tf.config.set_visible_devices([], "GPU")
    return tf
