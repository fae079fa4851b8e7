"""A training run in a folder: it can be killed at any moment, and goes on where it was.

Source: section 3.4, for what a recipe says.
"""

import dataclasses
import json
import logging
import pathlib
import platform

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.training._files import set_aside
from keras_mlp3d.training.callbacks import EpochOfData, RunRecorder, StopAtNan
from keras_mlp3d.training.checkpoint import load_checkpoint
from keras_mlp3d.training.distribution import current_distribution
from keras_mlp3d.training.event_files import EventFiles
from keras_mlp3d.training.freeze import freeze
from keras_mlp3d.training.optimiser import make_optimizer
from keras_mlp3d.training.recipe import WORDS
from keras_mlp3d.training.rest_of_epoch import RestOfEpoch
from keras_mlp3d.version import __version__

_logger = logging.getLogger("keras_mlp3d")

_DESCRIPTION, _LOGS = "run.json", "logs"
#: Entries of run.json that must agree for a run to be gone on with; the others are for the reader.
_DECISIVE = ("recipe", "model", "training", "validation")


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a training gave.

    Args:
        folder: Folder of the run.
        history: {metric: value of each epoch}; validation metrics begin with "val_".
        best_epoch: Number of the epoch, from 0, whose weights the model now has.

    Example:

    >>> TrainingRun("runs/first", {"loss": [2.0, 1.5]}, best_epoch=1).history["loss"][-1]
    1.5
    """

    folder: str
    history: dict
    best_epoch: int


def train(
    model,
    recipe,
    training,
    validation=None,
    folder="run",
    identity=None,
    verbose="auto",
    checkpoint_every=None,
    stop=None,
    anew=False,
):
    """Trains a model as a recipe says, or goes on with a training that was cut short.

    After every epoch, and every `checkpoint_every` steps, a checkpoint is written beside and
    renamed. The same call after a kill goes on from it, in the middle of an epoch with the clips
    that are still to come, and ends with the weights of a run without interruption. In the end the
    model has the weights of its best epoch by validation accuracy, or of the last without
    validation.

    The folder holds `run.json` (recipe, data, versions), `history.csv`, the two newest checkpoints
    and `best.npz`; with the package tensorboard also `logs` for TensorBoard. In several processes
    (see `distribute`) the first writes it, and all must see it; each gives its own part of the
    training data, and all of the validation data.

    Args:
        model: `MLP3D`, `TwoPathMLP3D` or `FrameCycleMLP` without activation (it gives logits).
        recipe: A `Recipe`.
        training: `data.VideoLoader` for training, or another Keras data set with the attribute
            `epoch` that decides the clips of an epoch, whose batches can be had by number.
        validation: None, or a data set of the validation videos.
        folder: Folder of the run; made where it is missing.
        identity: None, or a dict of JSON values that say what is trained on what, under "model",
            "training" and "validation"; a folder that was begun with another is refused, but for
            `anew`.
        verbose: As in `fit`.
        checkpoint_every: None, or after how many steps to write a checkpoint within an epoch.
        stop: None, or a function without arguments: where it returns true after a step, a
            checkpoint is written there and `TrainingInterrupted` raised.
        anew: Whether to begin anew in a folder that holds another run: that one's files go into a
            sub-folder, "before-1" and so on. A run that is the same is gone on with.

    Returns:
        A `TrainingRun`.

    Raises:
        ValueError: If the folder is of another run (the difference is named), no checkpoint in it
            can be read, or an argument is wrong.
        TrainingInterrupted: If `stop` says so; it is a `KeyboardInterrupt`.
        FloatingPointError: If the loss is not a finite number; the last good checkpoint is named.
        OSError: If a file cannot be written; the last checkpoint stays whole.

    Source:
        Section 3.4.

    Example:

    >>> import numpy as np, tempfile
    >>> from keras_mlp3d import MLP3D, MLP3DBackbone
    >>> from keras_mlp3d.training import Recipe
    >>> class Noise(keras.utils.PyDataset):
    ...     epoch = 0
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return np.zeros((2, 8, 32, 32, 3), "uint8"), np.array([0, 1], "int32")
    >>> backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2")
    >>> recipe = Recipe("unmeasured", "example", epochs=2, warmup_epochs=0.5, batch_size=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(MLP3D(backbone, 2), recipe, Noise(), folder=folder, verbose=0)
    >>> len(run.history["loss"]), run.best_epoch
    (2, 1)
    """
    _check_network(model, recipe)
    if checkpoint_every is not None and (type(checkpoint_every) is not int or checkpoint_every < 1):
        raise ValueError(
            f"checkpoint_every must be None or a positive integer, got {checkpoint_every!r}."
        )
    is_chief = current_distribution().is_chief
    verbose = verbose if is_chief else 0
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _describe(folder, recipe, identity or {}, anew)
    current_distribution().barrier()
    freeze(model, recipe.frozen_stages)
    _compile(model, recipe, training, verbose != 0)
    done, step, state = load_checkpoint(folder, model) or (0, 0, {})
    recorder = RunRecorder(folder, state, len(training), step, checkpoint_every, stop)

    def fit(data, first, last):
        callbacks = [EpochOfData(training), StopAtNan(folder, recorder.first_step), recorder]
        if is_chief and EventFiles.available():
            callbacks.append(EventFiles(folder / _LOGS, recorder.history))
        if recipe.ema_momentum is not None:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        model.fit(
            data,
            validation_data=validation,
            initial_epoch=first,
            epochs=last,
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )

    if step:
        fit(RestOfEpoch(training, step), done, done + 1)
        done += 1
    if done < recipe.epochs:
        fit(training, done, recipe.epochs)
    recorder.load_best(model)
    return TrainingRun(str(folder), recorder.history, recorder.best_epoch)


def _check_network(model, recipe):
    """Refuses a network that was not built for what the recipe asks of it."""
    for field in ("random_mixing", "remat"):
        asked = getattr(recipe, field)
        built = getattr(getattr(model, "backbone", None), field, None)
        if asked and asked != built:
            raise ValueError(
                f"The recipe {recipe.name!r} asks for {field}={asked!r}, the network has "
                f"{built!r}: build an MLP3D with the options that "
                "training.network_options(recipe, num_frames) returns, or "
                f"replace it in the recipe: {field}={type(asked)()}."
            )


def _compile(model, recipe, training, verbose):
    _, labels = training[0]
    distribution = current_distribution()
    distribution.check_batch_size(len(labels) * distribution.shard[1])
    mixed = np.ndim(labels) == 2
    if mixed:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    optimizer = make_optimizer(model, recipe, len(training), verbose)
    model.compile(optimizer, loss, metrics=[accuracy])
    optimizer.build(model.trainable_variables)


def _describe(folder, recipe, identity, anew):
    """Writes run.json; a folder whose run.json says another thing is refused, or set aside."""
    content = {"recipe": recipe.to_dict(), **json.loads(json.dumps(identity))}
    path = folder / _DESCRIPTION
    if not current_distribution().is_chief and anew:
        return
    if path.exists():
        reason = _other_run(path, content)
        if reason is None:
            return
        if not anew:
            raise ValueError(
                f"{reason}. Take another folder, or start anew in this one: --anew on the command "
                "line, anew=True in Python; the files of that run then go into a sub-folder."
            )
        _logger.warning("%s. Its files are in %s now", reason, set_aside(folder))
    if not current_distribution().is_chief:
        return
    content["versions"] = {
        "keras_mlp3d": __version__,
        "keras": keras.__version__,
        "backend": keras.config.backend(),
        "python": platform.python_version(),
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_whole(path, text.encode(), alone=True)


def _other_run(path, content):
    """Returns in words why run.json is not of this run, or None if it is."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{path} is damaged: {error}"
    differences = _differences(before, content)
    return f"{path.parent} holds another run: {'; '.join(differences)}" if differences else None


def _differences(before, now):
    found = []
    for entry in _DECISIVE:
        old, new = before.get(entry), now.get(entry)
        if isinstance(old, dict) and isinstance(new, dict):
            keys = {*old, *new} - (WORDS if entry == "recipe" else set())
            keys = sorted(key for key in keys if old.get(key) != new.get(key))
            found += [f"{entry} {key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys]
        elif old != new:
            found.append(f"{entry} was {old!r}, is {new!r}")
    return found
