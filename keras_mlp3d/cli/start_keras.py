"""Imports Keras for a command: on the backend of `--backend`, and without the backend's log."""

import contextlib
import logging
import os
import subprocess
import sys
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
    """Import Keras on a backend.

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
    with filtered_errors() if _may_import_tensorflow() else contextlib.nullcontext():
        keras_backend.import_package()
    import keras

    if backend is not None and backend != keras.backend.backend():
        raise keras_backend.BackendError(
            f"--backend {backend} came too late: Keras runs on {keras.backend.backend()} already; "
            f"set {keras_backend.VARIABLE}={backend}"
        )
    # These have handlers of their own; setting levels earlier would be undone by their imports.
    for name in ("tensorflow", "torch"):
        if name in sys.modules:
            logging.getLogger(name).setLevel(logging.ERROR)


def _may_import_tensorflow() -> bool:
    """Return whether Keras is still to be imported, and perhaps on TensorFlow: its own default."""
    chosen = os.environ.get(keras_backend.VARIABLE) or "tensorflow"
    return chosen == "tensorflow" and "keras" not in sys.modules


#: A process that passes on what it reads, except lines of TensorFlow's log below errors.
_FILTER = r"""
import re, sys
log = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} \d\d:|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
    rb"|To enable the following instructions|INFO: Created TensorFlow Lite"
)
for line in sys.stdin.buffer:
    if not log.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""


@contextlib.contextmanager
def filtered_errors() -> Iterator[None]:
    """Keep TensorFlow's log off the terminal while the block imports it or runs what it made.

    TensorFlow 2.21 logs two lines about oneDNN to the process's error stream before it reads any
    variable. The filter is a process of its own, so that what a library says before it aborts this
    one is still shown.
    """
    try:
        kept = os.dup(2)
    except OSError:  # this process has no error stream
        yield
        return
    command = [sys.executable, "-I", "-S", "-c", _FILTER]
    source, sink = os.pipe()
    with subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL):
        os.close(source)
        os.dup2(sink, 2)
        os.close(sink)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
