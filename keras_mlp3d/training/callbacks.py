"""What a training run does after steps and epochs: checkpoints, history, best weights, stops."""

import csv
import io
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.atomic_write import naming, write_whole
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.distribution import current_distribution
from keras_mlp3d.training.checkpoint import (
    load_checkpoint,
    load_weights,
    newest_checkpoint,
    save_checkpoint,
    save_weights,
)
from keras_mlp3d.training.unreadable_videos import UnreadableVideos

_BEST, _BEST_SO_FAR = "best.npz", "best-{:06d}.npz"


class TrainingInterrupted(KeyboardInterrupt):
    """Raised by a training that was asked to stop, after its checkpoint was written.

    Example:

    >>> issubclass(TrainingInterrupted, KeyboardInterrupt)
    True
    """


class StopAtNan(keras.callbacks.Callback):
    """Stops a training whose loss is not finite, before a checkpoint of it is written.

    Args:
        folder: Folder of the run, for the error.
        first_step: Number of steps of the first epoch that were done before.

    Raises:
        FloatingPointError: If the loss is not finite. It names the epoch and the step.

    Example:

    >>> watch = StopAtNan("run")
    >>> watch.on_epoch_begin(0)
    >>> watch.on_train_batch_end(2, {"loss": float("nan")})
    Traceback (most recent call last):
    ...
    FloatingPointError: The loss is nan at step 3 of epoch 1. Try a lower learning rate, or \
clip_norm.
    """

    def __init__(self, folder: StrPath, first_step: int = 0):
        super().__init__()
        self.folder, self.epoch, self.first_step = folder, 0, first_step

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.first_step = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Check the loss.

        Args:
            batch: Number of the step in the epoch, from 0.
            logs: Keras's logs, with the loss.

        Raises:
            FloatingPointError: If the loss is not finite.
        """
        # Keras gives the mean over the epoch so far: once it is not finite, it stays so.
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            step = self.first_step + batch + 1
            saved = newest_checkpoint(self.folder)
            before = f" {saved} was written before." if saved else ""
            raise FloatingPointError(
                f"The loss is {loss} at step {step} of epoch {self.epoch + 1}.{before} Try a lower "
                "learning rate, or clip_norm."
            )


class RunRecorder(keras.callbacks.Callback):
    """Writes the history, the best weights and finally the checkpoint of every epoch.

    If the process dies between these writes, the checkpoint wins: on resume, the history is
    rewritten from it, and the best weights are those in the file of its best epoch. A checkpoint
    within an epoch also stores the sums of loss and metrics so far, so that the epoch's row of the
    history covers all of its steps.

    Args:
        folder: Folder of the run.
        state: The state in the checkpoint: `history`, `best_epoch`, and `metrics` within an epoch.
            Empty for a new run.
        steps: Steps per epoch.
        first_step: Number of steps of the first epoch that were done before.
        checkpoint_every: None, or the number of steps between checkpoints within an epoch.
        stop: None, or a function that returns, after each step, whether to stop. `StopAfterEpoch`
            asks it after an epoch.
        unreadable: None, or the `UnreadableVideos` of the run.

    Raises:
        TrainingInterrupted: If `stop` returns true, after the checkpoint is written.

    Attributes:
        history: {metric: value of each epoch}.
        best_epoch: Number of the best epoch, from 0.

    Example:

    >>> RunRecorder("run", {"history": {"loss": [1.0]}, "best_epoch": 0}, steps=9).history
    {'loss': [1.0]}
    """

    def __init__(
        self,
        folder: StrPath,
        state: Mapping[str, Any],
        steps: int,
        first_step: int = 0,
        checkpoint_every: int | None = None,
        stop: Callable[[], bool] | None = None,
        unreadable: UnreadableVideos | None = None,
    ):
        super().__init__()
        self.folder, self.steps, self.first_step = pathlib.Path(folder), steps, first_step
        self.checkpoint_every, self.stop = checkpoint_every, stop or (lambda: False)
        self._epoch, self._sums = 0, state.get("metrics")
        self.unreadable = unreadable or UnreadableVideos(None)
        self.history = {
            name: [math.nan if value is None else value for value in values]
            for name, values in state.get("history", {}).items()
        }
        self.best_epoch = self._stored_best = state.get("best_epoch", 0)
        self._best = tuple(state.get("best", ())) or self._best_of_history()

    def on_train_begin(self, logs: dict | None = None) -> None:
        # Loaded again, as building the trainer may have run the model, which changes its seeds.
        # All processes wait for the first one, which may still be writing.
        current_distribution().barrier()
        load_checkpoint(self.folder, self.model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Write a checkpoint if one is due, and stop if `stop` returns true.

        Args:
            batch: Number of the step since the epoch began or was resumed.
            logs: Keras's logs.

        Raises:
            TrainingInterrupted: If `stop` returns true, after the checkpoint is written.
        """
        if self._sums is not None:
            self._add_sums()
        distribution = current_distribution()
        step, stopping = self.first_step + batch + 1, distribution.any(self.stop())
        if step == self.steps:
            return  # the checkpoint of the whole epoch follows
        due = self.checkpoint_every is not None and step % self.checkpoint_every == 0
        if due or stopping:
            state = {**self._state(), "metrics": distribution.metric_sums(self.model)}
            self._save(self._epoch, state, step)
        if stopping:
            raise TrainingInterrupted(
                f"Stopped after step {step} of {self.steps} in epoch {self._epoch + 1}; the "
                f"checkpoint is in {self.folder}."
            )

    def _add_sums(self):
        # Our metrics are stored as sums. Some backends create them in the first step only.
        sums, self._sums = self._sums, None
        current_distribution().add_metric_sums(self.model, sums)

    def _save(self, epoch, state, step=0):
        if current_distribution().is_chief:
            save_checkpoint(self.folder, self.model, epoch, state, step=step)
            # The checkpoint before this one may be needed, and names a best epoch too.
            kept = {self._path_of_best(number) for number in (self._stored_best, self.best_epoch)}
            for path in {*self.folder.glob("best-*.npz")} - kept:
                path.unlink(missing_ok=True)
        self._stored_best = self.best_epoch

    def _path_of_best(self, epoch):
        return self.folder / _BEST_SO_FAR.format(epoch + 1)

    def _state(self):
        history = {  # JSON has no NaN, which is the loss if no validation video is readable
            name: [None if math.isnan(value) else value for value in values]
            for name, values in self.history.items()
        }
        return {
            "history": history,
            "best_epoch": self.best_epoch,
            "best": list(self._best),
            "unreadable": self.unreadable.to_state(),
        }

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the files of an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Keras's logs of it.
        """
        self.first_step, logs = 0, {} if logs is None else logs
        counted = self.unreadable.after_epoch(epoch, logs)
        values = {**logs, "learning_rate": self._learning_rate()}
        if counted:
            values["val_unreadable"] = counted["val_unreadable"]
        for name, value in values.items():
            # A run of an earlier version did not count them: it ended at the first one.
            before = [0.0] * epoch if name == "val_unreadable" else []
            self.history.setdefault(name, before).append(float(value))
        if self._is_best(epoch, values, counted.get("read", 1.0)):
            self.best_epoch = epoch
            self._save_best()
        if current_distribution().is_chief:
            self.unreadable.write_csv(self.folder)
            text = _history_csv(self.history)
            write_whole(self.folder / "history.csv", text.encode(), alone=True)
        self._save(epoch + 1, self._state())

    def _learning_rate(self):
        return keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)

    def _is_best(self, epoch, values, read):
        """Return whether an epoch is better than all epochs before it.

        Epochs are compared by their accuracy on the readable videos, because unreadable videos are
        not the fault of the weights. An epoch that could read less than half of the videos loses to
        every epoch that could read more.
        """
        accuracy, precision = (
            values.get(f"val_{name}") for name in ("accuracy", "mean_average_precision")
        )
        if accuracy is None and precision is None:
            return True
        if accuracy is not None:  # it is of all videos; a precision is of the readable ones
            precision = accuracy / read if read else 0.0
        score = (read >= 0.5, precision)
        if epoch and self._best and score <= self._best:
            return False
        self._best = score
        return True

    def _best_of_history(self):
        """Return the best epoch's score, which checkpoints of earlier versions do not store."""
        accuracies = self.history.get("val_accuracy", [])[: self.best_epoch + 1]
        return (True, accuracies[-1]) if accuracies else ()

    def _save_best(self):
        """Save the weights, or their moving average if there is one."""
        weights, values = self.model.trainable_variables, []
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
        if optimizer.use_ema:
            values = [np.array(keras.ops.convert_to_numpy(weight)) for weight in weights]
            optimizer.finalize_variable_values(weights)
        try:
            if current_distribution().is_chief:
                save_weights(self._path_of_best(self.best_epoch), self.model)
        finally:
            for weight, value in zip(weights, values, strict=bool(values)):
                weight.assign(value)

    def load_best(self, model: keras.Model) -> None:
        """Load the weights of the best epoch into a model, and name their file `best.npz`.

        Args:
            model: The network that was trained.
        """
        distribution, path = current_distribution(), self._path_of_best(self.best_epoch)
        distribution.barrier()
        load_weights(path if path.exists() else self.folder / _BEST, model)
        distribution.barrier()  # all read before the first one renames
        if distribution.is_chief:
            if path.exists():
                with naming(self.folder / _BEST):
                    os.replace(path, self.folder / _BEST)
            for other in self.folder.glob("best-*.npz"):
                other.unlink(missing_ok=True)


class StopAfterEpoch(keras.callbacks.Callback):
    """Stops a training after an epoch, if it was asked to, when all other callbacks have seen it.

    Args:
        recorder: The `RunRecorder` of the training, whose `stop` is asked. This callback is the
            last of the list.

    Raises:
        TrainingInterrupted: If `stop` returns true.

    Example:

    >>> last = StopAfterEpoch(RunRecorder("run", {}, steps=9, stop=lambda: True))
    >>> try:
    ...     last.on_epoch_end(0)
    ... except TrainingInterrupted as stopped:  # a KeyboardInterrupt
    ...     print(stopped)
    Stopped after epoch 1; the checkpoint is in run.
    """

    def __init__(self, recorder: RunRecorder):
        super().__init__()
        self.recorder = recorder

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if current_distribution().any(self.recorder.stop()):
            raise TrainingInterrupted(
                f"Stopped after epoch {epoch + 1}; the checkpoint is in {self.recorder.folder}."
            )


def _history_csv(history):
    """Return a history as CSV, one row per epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, row in enumerate(zip(*history.values(), strict=True)):
        writer.writerow([epoch, *row])
    return text.getvalue()
