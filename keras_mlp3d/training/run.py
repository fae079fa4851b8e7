"""A training run in a folder. It can be killed at any moment and resumed.

Source: section 3.4, for what a recipe says.
"""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import DISK_ERRORS
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.one_writer import only_writer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.distribution import current_distribution
from keras_mlp3d.models.switchable import paths_of
from keras_mlp3d.training.callbacks import RunRecorder, StopAfterEpoch, StopAtNan
from keras_mlp3d.training.checkpoint import load_checkpoint, newest_checkpoint, restart_epoch
from keras_mlp3d.training.epoch_data import EpochOfData, RestOfEpoch
from keras_mlp3d.training.identity import identity_of
from keras_mlp3d.training.objective import check_labels, compile_model
from keras_mlp3d.training.optimizer import make_optimizer
from keras_mlp3d.training.recipe import Recipe
from keras_mlp3d.training.run_folder import RunFolder
from keras_mlp3d.training.stages import choose_trained_weights
from keras_mlp3d.training.tensorboard import EventFiles
from keras_mlp3d.training.unreadable_videos import UnreadableVideo, UnreadableVideos

_logger = logging.getLogger("keras_mlp3d")

_LOGS = "logs"


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a training gave.

    Args:
        folder: Folder of the run.
        history: {metric: value per epoch}; validation metrics begin with "val_".
        best_epoch: Number of the epoch, from 0, whose weights the model has now.
        unreadable: The videos that were unreadable in some epochs.

    Example:

    >>> TrainingRun("runs/first", {"loss": [2.0, 1.5]}, best_epoch=1).history["loss"][-1]
    1.5
    """

    folder: str
    history: dict[str, list[float]]
    best_epoch: int
    unreadable: tuple[UnreadableVideo, ...] = ()


def train(
    model: keras.Model,
    recipe: Recipe,
    training: keras.utils.PyDataset,
    validation: keras.utils.PyDataset | None = None,
    folder: StrPath = "run",
    identity: Mapping[str, Any] | None = None,
    verbose: str | int = "auto",
    checkpoint_every: int | None = None,
    stop: Callable[[], bool] | None = None,
    anew: bool = False,
    accept_changed_data: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingRun:
    """Train a model with a recipe, or resume a training that was interrupted.

    A checkpoint is written after every epoch, and every `checkpoint_every` steps. After an
    interruption the same call resumes from it, in the middle of an epoch with the remaining clips,
    and ends with the weights of an uninterrupted run. At the end the model has the weights of its
    best epoch by validation accuracy, or of the last epoch without validation.

    On TensorFlow without a GPU, XLA compiles the steps of trainings of 300 steps or more, which
    Keras would not do there.

    With `activation="sigmoid"`, the loss is the binary cross-entropy of each class, and
    `MeanAveragePrecision` takes the place of the accuracy.

    An unreadable video does not end the training. In training another video replaces it. In
    validation it counts as wrong, as in `inference.evaluate`, and is not part of the loss
    (`make_loaders` makes such a loader). The column `val_unreadable` of the history has their
    number. Epochs are compared by their accuracy on the readable videos; a mean average precision
    is of these alone. The loss of an epoch
    without readable videos is NaN in `history.csv`.

    A run resumes even if a few of its videos are gone, new or of another class: at most 5 % of
    them, or at most 5 that are at most a quarter. The log and `run.json` name them. An interrupted
    epoch then starts again with the new videos and the present weights, at the learning rate of
    that epoch. A larger change needs `accept_changed_data`. With other classes it is another run.

    The folder holds `run.json` (recipe, data, versions), `videos.json` (the names of the videos),
    `history.csv`, `unreadable.csv` if there was such a video, the two newest checkpoints, the best
    weights so far, and in the end `best.npz`. With the package tensorboard it also holds `logs` for
    TensorBoard. With several processes (see `distribute`) the first process writes the folder, and
    all must see it; another training in the folder at the same time is refused. Each process feeds
    its own part of the training data, and of the validation data its part or all of it;
    `make_loaders` divides both.

    Args:
        model: `MLP3D`, `TwoPathMLP3D` or `FrameCycleMLP` without activation (its output is logits);
            or, if videos may have several labels, an `MLP3D` with `activation="sigmoid"`.
        recipe: A `Recipe`.
        training: `data.VideoLoader` for training, or another Keras data set that can be indexed and
            has an attribute `epoch` that decides the clips of an epoch.
        validation: None, or a data set of the validation videos.
        folder: Folder of the run; made if it is missing.
        identity: None, or a dict of JSON values that describe what is trained: "model", and
            "training" and "validation" from `data_identity`. A folder that was begun with another
            identity is refused, except with `anew`. By default it is the class and the arguments
            of the model, the shapes of its weights, and the videos of the loaders.
        verbose: As in `fit`.
        checkpoint_every: None, or the number of steps between checkpoints within an epoch.
        stop: None, or a function without arguments. If it returns true after a step, a checkpoint
            is written and `TrainingInterrupted` is raised.
        anew: Whether to start from scratch in a folder that holds another run, whose files are
            moved into a sub-folder, "before-1" and so on. The same run is resumed.
        accept_changed_data: Whether to resume a run however much its videos have changed.
        callbacks: Further Keras callbacks, such as those of a service that tracks experiments. They
            see an interrupted run as several calls of `fit`.

    Returns:
        A `TrainingRun`.

    Raises:
        ValueError: If the folder is of another run (the error names the difference), another
            process trains in it, all its checkpoints are damaged, an argument is wrong, or the
            labels contradict the network's activation.
        TrainingInterrupted: If `stop` returns true. It is a `KeyboardInterrupt`.
        FloatingPointError: If the loss is not finite. The error names the last good checkpoint.
        OSError: If a file cannot be written. The error names it; the last checkpoint stays whole.

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
    check_labels(model, training, validation)
    if checkpoint_every is not None:
        checkpoint_every = check_integer("checkpoint_every", checkpoint_every)
    is_chief = current_distribution().is_chief
    verbose = verbose if is_chief else 0
    choose_trained_weights(model, recipe.frozen_stages, recipe.lora_rank)
    optimizer = make_optimizer(model, recipe, len(training), verbose != 0)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    alone = only_writer(folder) if is_chief else contextlib.nullcontext()
    with alone, _naming_checkpoint(folder):
        if identity is None:
            identity = identity_of(model, training, validation)
        run = RunFolder(folder, recipe, identity, anew, accept_changed_data)
        current_distribution().barrier()  # all compare before the first one writes
        if is_chief:
            run.begin()
        current_distribution().barrier()
        compile_model(model, optimizer, training, recipe.epochs * len(training))
        done, step, state = _progress(folder, model, run, len(training))
        unreadable = UnreadableVideos(training, validation, state.get("unreadable", ()))
        recorder = RunRecorder(
            folder, state, len(training), step, checkpoint_every, stop, unreadable
        )
        _fit(model, recipe, training, validation, recorder, done, verbose, callbacks)
        recorder.load_best(model)
    return TrainingRun(str(folder), recorder.history, recorder.best_epoch, unreadable.videos)


@contextlib.contextmanager
def _naming_checkpoint(folder):
    """Add to the error of a full disk from which checkpoint the run resumes."""
    try:
        yield
    except OSError as error:
        path = newest_checkpoint(folder)
        if error.errno in DISK_ERRORS and path is not None:
            error.add_note(
                f"{path} is whole: once there is space on the disk, the same call resumes from it."
            )
        raise


def _progress(folder, model, run, steps):
    """Load the checkpoint: epochs done, steps done in the next one, and the recorder's state.

    If the videos changed, the checkpoint is set back to the beginning of its epoch, because the
    remaining clips of an epoch depend on the number of videos.
    """
    done, step, state = load_checkpoint(folder, model) or (0, 0, {})
    if not run.changes:
        return done, step, state
    state.pop("metrics", None)
    current_distribution().barrier()  # all read before the first one writes
    if current_distribution().is_chief:
        if step:
            _logger.warning(
                "Epoch %d was interrupted after step %d and begins again with the present videos; "
                "the weights are kept",
                *(done + 1, step),
            )
        if done or step:
            restart_epoch(folder, model, done, state, steps)
        run.accept_changes(done)
    # When the recorder begins, all processes load what the first one wrote.
    return done, 0, state


def _fit(model, recipe, training, validation, recorder, done, verbose, further):
    """Train the remaining epochs, the first of them from where it was interrupted."""

    def fit(data, first, last):
        folder, step = recorder.folder, recorder.first_step
        callbacks = [EpochOfData(training), StopAtNan(folder, step), recorder, *further]
        if current_distribution().is_chief and EventFiles.available():
            callbacks.append(EventFiles(folder / _LOGS, recorder.history))
        if recipe.ema_momentum is not None:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        callbacks.append(StopAfterEpoch(recorder))
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


#: Fields of a recipe that are arguments of the network too, with their defaults.
_OF_THE_NETWORK = {
    "random_mixing": 0.0,
    "remat": False,
    "pixel_mean": None,
    "pixel_std": None,
    "subtract_mean": None,
}


#: Fields that a user may have decided otherwise when the network was built.
_OF_THE_USER = ("dropout", "drop_path_rate")


def _check_network(model, recipe):
    """Refuse a network that was built without what the recipe asks for, or say what differs."""
    differing = {}
    for path in paths_of(model):
        parts = (getattr(path, name, None) for name in ("backbone", "cycle_mlp"))
        network = next((part for part in parts if part is not None), path)
        for field, default in _OF_THE_NETWORK.items():
            asked, built = getattr(recipe, field), getattr(network, field, None)
            if asked not in (None, default) and asked != built:
                raise ValueError(
                    f"The recipe {recipe.name!r} asks for {field}={asked!r}, but the network has "
                    f"{built!r}: build it with training.network_options(recipe, num_frames), or "
                    f"set {field}={default} in the recipe."
                )
        pairs = {
            field: (getattr(recipe, field), getattr(path, field, getattr(network, field, None)))
            for field in _OF_THE_USER
        }
        if recipe.dtype != "float32":  # the default, with which a recipe leaves it open
            policies = {layer.dtype_policy.name for layer in network._flatten_layers()}
            pairs["dtype"] = recipe.dtype, None if recipe.dtype in policies else sorted(policies)
        for field, (asked, built) in pairs.items():
            if None not in (asked, built) and asked != built:
                differing.setdefault(field, (asked, built))
    for field, (asked, built) in differing.items():
        _logger.warning(
            "The recipe %r asks for %s=%s, but the network was built with %s; "
            "training.network_options(recipe, num_frames) has the recipe's arguments.",
            *(recipe.name, field, asked, built),
        )


def _check_clips(model, training):
    """Refuse clips that the network cannot take, before the first one is decoded."""
    converter = getattr(getattr(training, "source", None), "converter", None)
    if hasattr(model, "check_input") and hasattr(converter, "num_frames"):
        shape = (1, converter.num_frames, *converter.image_size, 3)
        model.check_input(np.broadcast_to(np.uint8(0), shape))
