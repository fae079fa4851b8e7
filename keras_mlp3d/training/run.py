"""A training run in a folder: it can be killed at any moment, and goes on where it was.

Source: section 3.4, for what a recipe says.
"""

import dataclasses
import json
import pathlib
import platform

import keras
import numpy as np

from keras_mlp3d.training._files import write_beside
from keras_mlp3d.training.callbacks import EpochOfData, RunRecorder, StopAtNan
from keras_mlp3d.training.checkpoint import load_checkpoint
from keras_mlp3d.training.freeze import freeze
from keras_mlp3d.training.optimiser import make_optimizer
from keras_mlp3d.version import __version__

_DESCRIPTION = "run.json"
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


def train(model, recipe, training, validation=None, folder="run", identity=None, verbose="auto"):
    """Trains a model as a recipe says, or goes on with a training that was cut short.

    After every epoch a checkpoint is written beside and renamed. The same call after a kill goes
    on from it and ends with the weights of a run without interruption. In the end the model has
    the weights of its best epoch by validation accuracy, or of the last without validation.

    The folder holds `run.json` (recipe, data, versions), `history.csv`, the two newest checkpoints
    and `best.npz`.

    Args:
        model: `MLP3D`, `TwoPathMLP3D` or `CycleMLP` without activation (it gives logits).
        recipe: A `Recipe`.
        training: `data.VideoLoader` for training, or another Keras data set with the attribute
            `epoch` that decides the clips of an epoch.
        validation: None, or a data set of the validation videos.
        folder: Folder of the run; made where it is missing.
        identity: None, or a dict of JSON values that say what is trained on what, under "model",
            "training" and "validation"; a folder that was begun with another is refused.
        verbose: As in `fit`.

    Returns:
        A `TrainingRun`.

    Raises:
        ValueError: If the folder is of another run (the difference is named), no checkpoint in it
            can be read, or an argument is wrong.
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
    for field in ("random_mixing", "remat"):
        if getattr(recipe, field):
            raise ValueError(
                f"train cannot do what the recipe {recipe.name!r} asks for with {field}="
                f"{getattr(recipe, field)!r}; replace it: {field}={type(getattr(recipe, field))()}."
            )
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _describe(folder, recipe, identity or {})
    freeze(model, recipe.frozen_stages)
    _compile(model, recipe, training, verbose != 0)
    done, state = load_checkpoint(folder, model) or (0, {})
    recorder = RunRecorder(folder, state)
    if done < recipe.epochs:
        callbacks = [EpochOfData(training), StopAtNan(folder), recorder]
        if recipe.ema_momentum is not None:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        model.fit(
            training,
            validation_data=validation,
            initial_epoch=done,
            epochs=recipe.epochs,
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )
    recorder.load_best(model)
    return TrainingRun(str(folder), recorder.history, recorder.best_epoch)


def _compile(model, recipe, training, verbose):
    _, labels = training[0]
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


def _describe(folder, recipe, identity):
    """Writes run.json, or refuses a folder whose run.json says another thing."""
    content = {"recipe": recipe.to_dict(), **json.loads(json.dumps(identity))}
    path = folder / _DESCRIPTION
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}. Take another folder.") from error
        differences = _differences(before, content)
        if differences:
            raise ValueError(
                f"{folder} holds another run: {'; '.join(differences)}. Take another folder, or "
                "remove this one to start anew."
            )
        return
    content["versions"] = {
        "keras_mlp3d": __version__,
        "keras": keras.__version__,
        "backend": keras.config.backend(),
        "python": platform.python_version(),
    }
    write_beside(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _differences(before, now):
    found = []
    for entry in _DECISIVE:
        old, new = before.get(entry), now.get(entry)
        if isinstance(old, dict) and isinstance(new, dict):
            keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
            found += [f"{entry} {key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys]
        elif old != new:
            found.append(f"{entry} was {old!r}, is {new!r}")
    return found
