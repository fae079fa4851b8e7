"""Imports Keras for a command: on the backend of `--backend`, and without the backend's log."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

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
    with _silent_libraries():
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


@contextlib.contextmanager
def _silent_libraries() -> Iterator[None]:
    """Keeps from the terminal what libraries in C++ log while the block runs.

    TensorFlow 2.21 logs lines about itself to the process's error stream before it reads any
    variable. After an error they are shown: they may say what is wrong.
    """
    try:
        kept = os.dup(2)
    except OSError:  # this process has no error stream
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
