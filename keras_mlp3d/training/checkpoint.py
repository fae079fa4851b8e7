"""Checkpoints of a training: whole, in order, and never the only one in danger."""

import json
import logging
import math
import os
import pathlib
import re
import zipfile

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import written_beside

_logger = logging.getLogger("keras_mlp3d")

_NAME = re.compile(r"checkpoint-(\d{6,})(?:-(\d{6,}))?\.npz")
_STATE = "state.json"
_STATE_LIMIT = 2**26  # bytes: the history of a million epochs
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def save_checkpoint(folder, model, epoch, state=None, keep=2, step=0):
    """Writes everything that a training needs to go on: weights, optimizer, seeds and counters.

    The file is written beside and renamed when it is whole and on the disk: at any moment, a kill
    and a full disk included, the checkpoint before it is still there.

    Args:
        folder: Folder of the run, which exists.
        model: Compiled model.
        epoch: How many epochs are done.
        state: Further values to keep, as JSON has them.
        keep: How many checkpoints to keep, the newest.
        step: How many steps of the next epoch are done besides.

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


def load_checkpoint(folder, model):
    """Loads the newest checkpoint that is whole; one that is damaged is named and passed over.

    Args:
        folder: Folder of the run.
        model: Compiled model, as it was when the checkpoint was written.

    Returns:
        How many epochs are done, how many steps of the next one, and the further values; None
        where there is no checkpoint.

    Raises:
        ValueError: If there are checkpoints and none can be read, or one is of another model.

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
            f"No checkpoint in {folder} can be read: {'; '.join(reasons)}. Remove the folder to "
            "start anew."
        )
    return None


def restart_epoch(folder, model, epoch, state, steps):
    """Puts the newest checkpoint back to the beginning of its epoch, the weights as they are.

    The schedule of the learning rate is at that epoch of a training with so many steps in each.
    Done twice it is as done once, so that a kill in between does no harm.

    Args:
        folder: Folder of the run.
        model: Compiled model, as the checkpoint was loaded into it.
        epoch: How many epochs are done.
        state: The further values of the checkpoint.
        steps: Steps of an epoch from now on.

    Raises:
        OSError: If the checkpoint cannot be written; the one before it is still there.

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
    # Gradients that are summed up already keep their place in the update that they are part of.
    iterations.assign(wanted + (now - wanted) % every)
    later = [row for row in _found(pathlib.Path(folder)) if row[0] > (epoch, 0)]
    save_checkpoint(folder, model, epoch, state, keep=len(later) + 2)
    for _, path in reversed(later):  # the newest counts as long as it is there
        path.unlink(missing_ok=True)


def newest_checkpoint(folder):
    """Returns the path of the newest checkpoint, or None.

    Args:
        folder: Folder of the run.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     newest_checkpoint(folder) is None
    True
    """
    return next((path for _, path in _found(pathlib.Path(folder))), None)


def save_weights(path, model):
    """Writes a model's weights and seeds alone, beside, and renames the file when it is whole.

    Args:
        path: The file.
        model: Built model.

    Raises:
        OSError: If the file cannot be written; what was there before is still there.

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


def load_weights(path, model):
    """Loads what `save_weights` wrote.

    Args:
        path: The file.
        model: Built model of the same form.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or of another model.

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
    """[((epoch, step), path)] of all checkpoints, the newest first."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    found = ((_progress_in(match), path) for match, path in matches if match)
    return sorted(found, reverse=True)


def _progress_in(match):
    return int(match[1]), int(match[2] or 0)


def _variables(model, optimizer=True):
    """{name in the file: variable}. Their order tells them apart: names may be counted up."""
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
    array = keras.ops.convert_to_numpy(variable.value)
    # NumPy's files know no bfloat16, and float32 holds every value of it.
    return array.astype("float32") if variable.dtype == "bfloat16" else np.asarray(array)


def _read(path, variables):
    """All arrays of a file. What it may make us allocate is little over what the model has."""
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
            f"{path} is of another model or optimizer: {len(odd)} variables differ, the first "
            f"{odd[0]!r}."
        )
    for name, variable in variables.items():
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise ValueError(
                f"{path} is of another model: {variable.path} has shape {arrays[name].shape} "
                f"there, {tuple(variable.shape)} here."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
