"""Imports Keras for a command: on the backend of `--backend`, and without the backend's log."""

import logging
import os
import sys

from keras_mlp3d._utils import backend as keras_backend
from keras_mlp3d.cli.terminal import note

#: Read when the backends are imported. Errors are still logged.
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow, and XLA below JAX
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "GRPC_VERBOSITY": "ERROR",
}


def start_keras(backend: str | None) -> None:
    """Imports Keras on a backend.

    Args:
        backend: Name of the backend; None for KERAS_BACKEND, Keras's file or an installed one.

    Raises:
        BackendError: If the backend is not installed, or Keras runs on another one already.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if backend is not None and not keras_backend.is_installed(backend):
        line = keras_backend.install_line(backend)
        raise keras_backend.BackendError(f"--backend {backend} is not installed: {line}")
    if "keras" not in sys.modules:
        if backend is None:
            keras_backend.choose_backend(note)
        else:
            os.environ[keras_backend.VARIABLE] = backend
    keras_backend.import_keras()
    import keras

    import keras_mlp3d.conversion  # noqa: F401 - with it, `from_preset` can convert weights

    if backend is not None and backend != keras.backend.backend():
        raise keras_backend.BackendError(
            f"--backend {backend} came too late: Keras runs on {keras.backend.backend()} already; "
            f"set {keras_backend.VARIABLE}={backend}"
        )
    # These have handlers of their own; setting levels earlier would be undone by their imports.
    for name in ("tensorflow", "torch"):
        if name in sys.modules:
            logging.getLogger(name).setLevel(logging.ERROR)
