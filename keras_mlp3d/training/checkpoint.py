"""Checkpoints of a training: each is written whole, and the one before it is kept."""

import json
import logging
import math
import os
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import written_beside
from keras_mlp3d._utils.types import StrPath

_logger = logging.getLogger("keras_mlp3d")

_NAME = re.compile(r"checkpoint-(\d{6,})(?:-(\d{6,}))?\.npz")
_STATE = "state.json"
_STATE_LIMIT = 2**26  # bytes: the history of a million epochs
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def save_checkpoint(
    folder: StrPath,
    model: keras.Model,
    epoch: int,
    state: Mapping[str, Any] | None = None,
    keep: int = 2,
    step: int = 0,
) -> pathlib.Path:
    """Write everything that a training needs to resume: weights, optimizer, seeds and counters.

    The file is written under another name and renamed once it is whole and on the disk. At every
    moment, even if the process is killed or the disk is full, the checkpoint before it exists.

    Args:
        folder: Existing folder of the run.
        model: Compiled model.
        epoch: Number of epochs done.
        state: Further JSON values to store.
        keep: Number of checkpoints to keep, the newest ones.
        step: Number of steps done in the next epoch.

    Returns:
        The path of the checkpoint.

    Raises:
        OSError: If it cannot be written.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_checkpoint(folder, model, 3, {"best": 0.5})
    ...     path.name, load_checkpoint(folder, model)
    ('checkpoint-000003.npz', (3, 0, {'best': 0.5}))
    """
    folder = pathlib.Path(folder)
    path = folder / (f"checkpoint-{epoch:06d}" + (f"-{step:06d}.npz" if step else ".npz"))
    arrays = {name: _as_array(variable) for name, variable in _variables(model).items()}
    header = {"epoch": epoch, "step": step, "state": state or {}}
    text = json.dumps(header, allow_nan=False)
    _write(path, {**arrays, _STATE: np.frombuffer(text.encode(), "uint8")})
    for _, old in _found(folder)[keep:]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: StrPath, model: keras.Model) -> tuple[int, int, dict] | None:
    """Load the newest undamaged checkpoint. The log names damaged checkpoints.

    Args:
        folder: Folder of the run.
        model: Compiled model, as it was when the checkpoint was written.

    Returns:
        Number of epochs done, number of steps done in the next epoch, and the further values. None
        if there is no checkpoint.

    Raises:
        ValueError: If all checkpoints are damaged, or one is of another model.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_checkpoint(folder, model) is None
    True
    """
    reasons = []
    for _, path in _found(pathlib.Path(folder)):
        try:
            arrays = _read(path, _variables(model))
            header = json.loads(arrays.pop(_STATE).tobytes())
            progress = header["epoch"], header.get("step", 0), header["state"]
        except _DAMAGE as error:
            reasons.append(f"{path}: {error}")
            _logger.warning("%s is damaged (%s); the checkpoint before it is used", path, error)
            continue
        _assign(path, _variables(model), arrays)
        return progress
    if reasons:
        raise ValueError(
            f"All checkpoints in {folder} are damaged: {'; '.join(reasons)}. Remove the folder to "
            "start again."
        )
    return None


def restart_epoch(
    folder: StrPath, model: keras.Model, epoch: int, state: Mapping[str, Any], steps: int
) -> None:
    """Set the newest checkpoint back to the beginning of its epoch, and keep the weights.

    The learning rate becomes that of this epoch in a training with the new number of steps per
    epoch. A second call changes nothing, so the process may be killed in between.

    Args:
        folder: Folder of the run.
        model: Compiled model into which the checkpoint was loaded.
        epoch: Number of epochs done.
        state: The further values of the checkpoint.
        steps: Steps per epoch from now on.

    Raises:
        OSError: If the checkpoint cannot be written. The one before it still exists.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_checkpoint(folder, model, 3, step=2)
    ...     restart_epoch(folder, model, 3, {}, steps=10)
    ...     load_checkpoint(folder, model), int(model.optimizer.iterations)
    ((3, 0, {}), 30)
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    every = optimizer.gradient_accumulation_steps or 1
    iterations = next(v for v in optimizer.variables if v.name == "iteration")
    now, wanted = int(keras.ops.convert_to_numpy(iterations)), epoch * steps
    # The remainder is kept: so many gradients of the next update are already summed up.
    iterations.assign(wanted + (now - wanted) % every)
    later = [row for row in _found(pathlib.Path(folder)) if row[0] > (epoch, 0)]
    save_checkpoint(folder, model, epoch, state, keep=len(later) + 2)
    for _, path in reversed(later):  # the newest checkpoint is the one that is loaded
        path.unlink(missing_ok=True)


def newest_checkpoint(folder: StrPath) -> pathlib.Path | None:
    """Return the path of the newest checkpoint, or None.

    Args:
        folder: Folder of the run. It need not exist.

    Example:

    >>> newest_checkpoint("no/such/run") is None
    True
    """
    return next((path for _, path in _found(pathlib.Path(folder))), None)


def save_weights(path: StrPath, model: keras.Model) -> None:
    """Write a model's weights and seeds alone, beside, and rename the file when it is whole.

    Args:
        path: The file.
        model: Built model.

    Raises:
        OSError: If the file cannot be written. The previous file still exists.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(f"{folder}/best.npz", model)
    ...     _ = model.weights[0].assign([[0], [0]])
    ...     load_weights(f"{folder}/best.npz", model)
    >>> bool((np.array(model.weights[0]) != 0).all())
    True
    """
    arrays = _variables(model, optimizer=False).items()
    _write(pathlib.Path(path), {name: _as_array(variable) for name, variable in arrays})


def load_weights(path: StrPath, model: keras.Model) -> None:
    """Load weights that `save_weights` wrote.

    Args:
        path: The file.
        model: Built model with the same weight shapes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or of another model.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> load_weights("no/such/file.npz", model)
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no/such/file.npz'
    """
    variables = _variables(model, optimizer=False)
    try:
        arrays = _read(path, variables)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    _assign(path, variables, arrays)


def _write(path, arrays):
    with written_beside(path, alone=True) as beside, open(beside, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())


def _found(folder):
    """Return [((epoch, step), path)] of all checkpoints, newest first; [] without a folder."""
    if not folder.exists():
        return []
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    found = ((_progress_in(match), path) for match, path in matches if match)
    return sorted(found, reverse=True)


def _progress_in(match):
    return int(match[1]), int(match[2] or 0)


def _variables(model, optimizer=True):
    """Return {number in the file: variable}: Keras may give the variables other names."""
    metrics = {id(variable) for variable in model.metrics_variables}
    groups = {"model": [v for v in model.variables if id(v) not in metrics]}
    if optimizer:
        groups["optimizer"] = model.optimizer.variables
    return {
        f"{group}/{number:05d}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def _as_array(variable):
    # Not of `variable.value`: a scalar of TensorFlow's strategies is no array there.
    array = keras.ops.convert_to_numpy(variable)
    # NumPy's files have no bfloat16, and float32 holds every bfloat16 value.
    return array.astype("float32") if variable.dtype == "bfloat16" else np.asarray(array)


def _read(path, variables):
    """Return all arrays of a file, whose size is limited to little more than that of the model."""
    sizes = (8 * math.prod(variable.shape) + 4096 for variable in variables.values())
    limit = sum(sizes) + _STATE_LIMIT
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > limit:
        raise ValueError(f"it would unpack to {size} bytes, more than the {limit} it may have")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _assign(path, variables, arrays):
    if set(arrays) != set(variables):
        odd = sorted(set(arrays) ^ set(variables))
        raise ValueError(
            f"{path} is of another model or optimizer: {len(odd)} variables differ, such as "
            f"{odd[0]!r}."
        )
    for name, variable in variables.items():
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise ValueError(
                f"{path} is of another model: {variable.path} has shape {arrays[name].shape} in "
                f"the file, {tuple(variable.shape)} in the model."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
