"""Keras's backend: an installed one if none is chosen, and an error that says how to get one.

Keras decides when it is first imported, so this file imports neither Keras nor a backend.
"""

import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from keras_mlp3d._utils.compile_cache import keep_compiled_programs
from keras_mlp3d._utils.openmp import let_waiting_threads_sleep

#: In Keras's order: TensorFlow is its default. Another order would let the backend depend on
#: whether `keras` or `keras_mlp3d` is imported first.
BACKENDS = ("tensorflow", "jax", "torch")
VARIABLE = "KERAS_BACKEND"

#: Modules that a backend cannot do without.
_MODULES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}
#: Backends of Keras that this package is not tested on, and does not refuse.
_UNTESTED = ("numpy", "openvino")
_DEFAULT = "tensorflow"
_PROGRAM, _PACKAGE = "keras-mlp3d", "keras_mlp3d"
_LATE = "keras-late"
#: Options of Python for a process in which importing the package does not import Keras.
WITHOUT_KERAS = ("-X", f"{_PACKAGE}={_LATE}")

_logger = logging.getLogger(_PACKAGE)
#: Before, predictions on a CPU wrote garbage into weights that were loaded from a file: Keras lets
#: JAX reuse their memory, which NumPy had lent it.
_OLDEST_JAX = (0, 6)
_is_prepared = False
#: Imports Keras, and the package as a user has it. `keras_mlp3d` puts it here, in all processes.
import_package: Callable[[], None]
_unregistered: list[type] = []
_Class = TypeVar("_Class", bound=type)


class BackendError(ImportError):
    """Keras has no backend, or not the one that was chosen."""


def is_command() -> bool:
    """Return whether this process was started as `keras-mlp3d` or `python -m keras_mlp3d`.

    The command imports Keras itself: after its options are read, as `--backend` must come first
    and `--help` must not wait for it.
    """
    if not sys.argv:
        return False
    program = os.path.basename(sys.argv[0])
    if program == "-m":  # what Python puts there until it has found the module
        module = sys.orig_argv[-len(sys.argv) :][:1]
        return module in ([_PACKAGE], [f"-m{_PACKAGE}"])
    return program.removesuffix(".exe").removesuffix("-script.py") == _PROGRAM


def starts_without_keras() -> bool:
    """Return whether this is a process of ours for videos, started with `WITHOUT_KERAS`."""
    return sys._xoptions.get(_PACKAGE) == _LATE


def is_installed(backend: str) -> bool:
    """Return whether a backend can be found, without importing it."""
    return all(map(_is_module, _MODULES[backend]))


def installed_backends() -> list[str]:
    """Return the backends that can be found, in the order of `BACKENDS`."""
    return [backend for backend in BACKENDS if is_installed(backend)]


def install_line(backend: str) -> str:
    """Return the command that installs a backend."""
    return f"pip install '{_PROGRAM}[{backend}]'"


def import_keras() -> None:
    """Import Keras, on an installed backend if none is chosen.

    Raises:
        BackendError: If no backend is installed, or the chosen one is missing, broken or too old.
    """
    if "keras" in sys.modules:
        _prepare()
        return
    failed = sys.modules.get("keras.src.backend.config")
    if failed is None:
        choose_backend()
    if _chosen()[0] == "torch":
        let_waiting_threads_sleep()
    try:
        import keras  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: a library that the backend needs
        if getattr(error, "name", None) == "keras":
            raise
        if failed is None:
            reason = f"Keras cannot be imported on its backend {_chosen()[0]}: {error}."
            raise _error(reason) from error
        raise _error(
            f"Keras was imported before {_PACKAGE}, on its backend {failed.backend()}, and failed "
            f"({error}). Restart Python, and import {_PACKAGE} first or set {VARIABLE}."
        ) from error
    _prepare()


def serializable(cls: _Class) -> _Class:
    """Register a class with Keras, now or as soon as `import_keras` is called.

    For classes that a process without Keras has a use for; the others are registered by Keras's own
    decorator.
    """
    _unregistered.append(cls)
    if "keras" in sys.modules:
        _register()
    return cls


def _register() -> None:
    import keras

    while _unregistered:
        keras.saving.register_keras_serializable(package=_PACKAGE)(_unregistered.pop())


def _prepare() -> None:
    """Register what waits for Keras; on JAX, first refuse an old one and keep programs."""
    global _is_prepared
    import keras

    _register()
    if not _is_prepared and keras.backend.backend() == "jax":
        version = sys.modules["jax"].__version__
        if tuple(map(int, version.split(".")[:2])) < _OLDEST_JAX:
            raise BackendError(
                f"jax {version} is installed. Before {'.'.join(map(str, _OLDEST_JAX))}, "
                "predictions change the weights of a loaded network at random: "
                f"{install_line('jax')}"
            )
        keep_compiled_programs()
    _is_prepared = True


def choose_backend(say: Callable[[str], None] | None = None) -> None:
    """Set KERAS_BACKEND to an installed backend, unless it or Keras's own file chooses one.

    Keras writes that file itself, with "tensorflow" in it, so that this value is no choice.

    Args:
        say: Function that gets one sentence if this function chooses; by default it is logged as
            a warning, which Python writes to standard error.

    Raises:
        BackendError: If no backend is installed, or the chosen one is missing.
    """
    backend, source = _chosen()
    if backend is not None and (backend != _DEFAULT or source == VARIABLE):
        if backend in _UNTESTED or (backend in BACKENDS and is_installed(backend)):
            return
        what = "is not installed" if backend in BACKENDS else "is no backend of Keras"
        raise _error(f"{source} chooses the Keras backend {backend!r}, which {what}.")
    installed = installed_backends()
    if not installed:
        raise _error("No Keras backend is installed.")
    if installed[0] == backend:  # as Keras itself will do
        return
    os.environ[VARIABLE] = installed[0]
    (say or _logger.warning)(
        f"{_PACKAGE} uses the Keras backend {installed[0]}, the first installed of "
        f"{', '.join(BACKENDS)}; set {VARIABLE} to choose."
    )


def _chosen() -> tuple[str | None, str]:
    """Return the backend that Keras would use and what says so, or None and an empty text."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE], VARIABLE
    path = _config_path()
    try:
        with open(path) as file:
            content = json.load(file)
    except (OSError, ValueError):  # as Keras: a file that it cannot parse is an empty one
        return None, ""
    backend = content.get("backend") if isinstance(content, dict) else None
    return (backend, path) if isinstance(backend, str) else (None, "")


def _config_path() -> str:
    """Return the path of Keras's configuration file, found as Keras finds it."""
    folder = os.environ.get("KERAS_HOME")
    if folder is None:
        home = os.path.expanduser("~")
        folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return os.path.expanduser(os.path.join(folder, "keras.json"))


def _is_module(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    spec = importlib.util.find_spec(name)
    # Without an origin it is a folder of that name, such as an uninstalled package leaves.
    return spec is not None and spec.origin is not None


def _error(reason: str) -> BackendError:
    installed = installed_backends()
    if installed:
        reason = f"{reason} Installed: {', '.join(installed)}."
    return BackendError(
        "\n".join(
            [
                reason,
                "Install a backend:",
                *(f"  {install_line(backend)}" for backend in ("jax", "torch", "tensorflow")),
                f"The environment variable {VARIABLE} chooses: jax, torch or tensorflow.",
            ]
        )
    )
