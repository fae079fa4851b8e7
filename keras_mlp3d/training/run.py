"""A training run in a folder: it can be killed at any moment, and goes on where it was.

Source: section 3.4, for what a recipe says.
"""

import contextlib
import dataclasses
import logging
import pathlib

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import DISK_ERRORS
from keras_mlp3d.distribution import current_distribution
from keras_mlp3d.training.callbacks import RunRecorder, StopAtNan
from keras_mlp3d.training.checkpoint import load_checkpoint, newest_checkpoint, restart_epoch
from keras_mlp3d.training.epoch_data import EpochOfData, RestOfEpoch
from keras_mlp3d.training.optimizer import make_optimizer
from keras_mlp3d.training.run_folder import RunFolder
from keras_mlp3d.training.stages import freeze
from keras_mlp3d.training.tensorboard import EventFiles
from keras_mlp3d.training.unreadable_videos import UnreadableVideos

_logger = logging.getLogger("keras_mlp3d")

_LOGS = "logs"


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a training gave.

    Args:
        folder: Folder of the run.
        history: {metric: value of each epoch}; validation metrics begin with "val_".
        best_epoch: Number of the epoch, from 0, whose weights the model now has.
        unreadable: Tuple of `UnreadableVideo`: the videos that could not be read in some epochs.

    Example:

    >>> TrainingRun("runs/first", {"loss": [2.0, 1.5]}, best_epoch=1).history["loss"][-1]
    1.5
    """

    folder: str
    history: dict
    best_epoch: int
    unreadable: tuple = ()


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
    accept_changed_data=False,
):
    """Trains a model as a recipe says, or resumes a training that was interrupted.

    After every epoch, and every `checkpoint_every` steps, a checkpoint is written. The same call
    after a kill resumes from it, in the middle of an epoch with the clips that are still to come,
    and ends with the weights of a run without interruption. In the end the model has the weights
    of its best epoch by validation accuracy, or of the last without validation.

    A video that cannot be read does not end the training. In training another one takes its place.
    In validation it counts as wrong, as in `inference.evaluate`, and does not enter the loss
    (`make_loaders` gives a loader that does so); the column `val_unreadable` of the history says
    how many they were. Epochs are compared by their accuracy on the readable videos. `history.csv`
    has a loss of NaN for an epoch that could read none.

    A run resumes although a few of its videos are gone, new or of another class: at most 5 % of
    them, or 5 if that is no more than a quarter. The log and `run.json` say which. An epoch that
    was interrupted then begins again with the new videos and the weights as they are, and the
    learning rate is that of the epoch. A larger change needs `accept_changed_data`; another list of
    classes is another run.

    The folder holds `run.json` (recipe, data, versions), `videos.json` (the videos by name),
    `history.csv`, `unreadable.csv` if there was such a video, the two newest checkpoints and
    `best.npz`; with the package tensorboard also `logs` for TensorBoard. In several processes (see
    `distribute`) the first writes it, and all must see it; each gives its own part of the training
    data, and all of the validation data.

    Args:
        model: `MLP3D`, `TwoPathMLP3D` or `FrameCycleMLP` without activation (it gives logits).
        recipe: A `Recipe`.
        training: `data.VideoLoader` for training, or another Keras data set with the attribute
            `epoch` that decides the clips of an epoch, whose batches can be had by number.
        validation: None, or a data set of the validation videos.
        folder: Folder of the run; made where it is missing.
        identity: None, or a dict of JSON values that say what is trained on what, under "model",
            "training" and "validation", the latter as `data_identity` gives them; a folder that
            was begun with another is refused, unless with `anew`.
        verbose: As in `fit`.
        checkpoint_every: None, or after how many steps to write a checkpoint within an epoch.
        stop: None, or a function without arguments: where it returns true after a step, a
            checkpoint is written there and `TrainingInterrupted` raised.
        anew: Whether to begin anew in a folder that holds another run: that one's files go into a
            sub-folder, "before-1" and so on. A run that is the same is resumed.
        accept_changed_data: Whether a run resumes however much its videos have changed.

    Returns:
        A `TrainingRun`.

    Raises:
        ValueError: If the folder is of another run (the difference is named), no checkpoint in it
            can be read, or an argument is wrong.
        TrainingInterrupted: If `stop` says so; it is a `KeyboardInterrupt`.
        FloatingPointError: If the loss is not a finite number; the last good checkpoint is named.
        OSError: If a file cannot be written; it is named, and the last checkpoint stays whole.

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
    _check_clips(model, training)
    if checkpoint_every is not None and (type(checkpoint_every) is not int or checkpoint_every < 1):
        raise ValueError(
            f"checkpoint_every must be None or a positive integer, got {checkpoint_every!r}."
        )
    is_chief = current_distribution().is_chief
    verbose = verbose if is_chief else 0
    freeze(model, recipe.frozen_stages)
    optimizer = make_optimizer(model, recipe, len(training), verbose != 0)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _saying_what_is_whole(folder):
        run = RunFolder(folder, recipe, identity or {}, anew, accept_changed_data)
        current_distribution().barrier()  # all have compared before the first one writes
        if is_chief:
            run.begin()
        current_distribution().barrier()
        _compile(model, optimizer, training)
        done, step, state = _progress(folder, model, run, len(training))
        unreadable = UnreadableVideos(training, validation, state.get("unreadable", ()))
        recorder = RunRecorder(
            folder, state, len(training), step, checkpoint_every, stop, unreadable
        )
        _fit(model, recipe, training, validation, recorder, done, verbose)
        recorder.load_best(model)
    return TrainingRun(str(folder), recorder.history, recorder.best_epoch, unreadable.videos)


@contextlib.contextmanager
def _saying_what_is_whole(folder):
    """Adds to the error of a full disk what the run resumes from."""
    try:
        yield
    except OSError as error:
        path = newest_checkpoint(folder)
        if error.errno in DISK_ERRORS and path is not None:
            error.add_note(
                f"{path} is whole: with space on the disk, the same run resumes from it."
            )
        raise


def _progress(folder, model, run, steps):
    """Loads the checkpoint: epochs done, steps of the next one, and what the recorder kept.

    If the videos changed, the checkpoint is put back to the beginning of its epoch: which clips
    are still to come in it depends on how many there are.
    """
    done, step, state = load_checkpoint(folder, model) or (0, 0, {})
    if not run.changes:
        return done, step, state
    state.pop("metrics", None)
    current_distribution().barrier()  # all have read before the first one writes
    if current_distribution().is_chief:
        if step:
            _logger.warning(
                "Epoch %d was interrupted after step %d and begins again with the videos as they "
                "are now; the weights stay",
                *(done + 1, step),
            )
        if done or step:
            restart_epoch(folder, model, done, state, steps)
        run.accept_changes(done)
    # All processes load what the first one wrote, when the recorder begins.
    return done, 0, state


def _fit(model, recipe, training, validation, recorder, done, verbose):
    """Trains the epochs that are left, the first of them from where it was interrupted."""

    def fit(data, first, last):
        folder, step = recorder.folder, recorder.first_step
        callbacks = [EpochOfData(training), StopAtNan(folder, step), recorder]
        if current_distribution().is_chief and EventFiles.available():
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

    if recorder.first_step:
        fit(RestOfEpoch(training, recorder.first_step), done, done + 1)
        done += 1
    if done < recipe.epochs:
        fit(training, done, recipe.epochs)


def _check_network(model, recipe):
    """Refuses a network that was not built for what the recipe asks of it, before all else."""
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


def _check_clips(model, training):
    """Refuses clips that the network cannot take before the first one is decoded."""
    converter = getattr(getattr(training, "source", None), "converter", None)
    if hasattr(model, "check_input") and hasattr(converter, "num_frames"):
        shape = (1, converter.num_frames, *converter.image_size, 3)
        model.check_input(np.broadcast_to(np.uint8(0), shape))


def _compile(model, optimizer, training):
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
    # Weights are those of validation videos that cannot be read, 0: see `UnreadableVideos`.
    model.compile(optimizer, loss, weighted_metrics=[accuracy])
    optimizer.build(model.trainable_variables)
