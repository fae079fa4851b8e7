"""What a training run does at the end of steps and epochs."""

import math
import pathlib

import keras
import numpy as np

from keras_mlp3d.training._files import history_csv, write_beside
from keras_mlp3d.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)

_BEST = "best.npz"


class StopAtNan(keras.callbacks.Callback):
    """Stops a training whose loss is no finite number, before a checkpoint of it is written.

    Args:
        folder: Folder of the run, for the message.

    Raises:
        FloatingPointError: Naming the epoch and the step.

    Example:

    >>> watch = StopAtNan("run")
    >>> watch.on_epoch_begin(0)
    >>> watch.on_train_batch_end(2, {"loss": float("nan")})
    Traceback (most recent call last):
    ...
    FloatingPointError: The loss is nan at step 3 of epoch 1. The last checkpoint in run is from \
before; a lower learning rate, or clip_norm, may help.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder, self.epoch = folder, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss.

        Args:
            batch: Number of the step in the epoch, from 0.
            logs: What Keras logs, the loss among it.

        Raises:
            FloatingPointError: If the loss is no finite number.
        """
        # Keras gives the mean over the epoch until now: once spoilt, it stays so.
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {batch + 1} of epoch {self.epoch + 1}. The last "
                f"checkpoint in {self.folder} is from before; a lower learning rate, or "
                "clip_norm, may help."
            )


class EpochOfData(keras.callbacks.Callback):
    """Tells a data set which epoch begins, whatever Keras has read of it before.

    Args:
        data: Data set whose attribute `epoch` decides its clips.

    Example:

    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(epoch=0)
    >>> EpochOfData(data).on_epoch_begin(3)
    >>> data.epoch
    3
    """

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch


class RunRecorder(keras.callbacks.Callback):
    """Writes the history, the best weights and, last, the checkpoint of every epoch.

    A kill between two of them costs nothing: what the checkpoint says is what counts, and the
    others are written anew.

    Args:
        folder: Folder of the run.
        state: What the checkpoint kept: `history` and `best_epoch`; empty at first.

    Attributes:
        history: {metric: value of each epoch}.
        best_epoch: Number of the best epoch, from 0.

    Example:

    >>> RunRecorder("run", {"history": {"loss": [1.0]}, "best_epoch": 0}).history
    {'loss': [1.0]}
    """

    def __init__(self, folder, state):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.history = {name: list(values) for name, values in state.get("history", {}).items()}
        self.best_epoch = state.get("best_epoch", 0)

    def on_train_begin(self, logs=None):
        # Once more, as building the trainer may have run the model and so moved on its seeds.
        load_checkpoint(self.folder, self.model)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if self._is_best(epoch):
            self.best_epoch = epoch
            self._save_best()
        write_beside(self.folder / "history.csv", history_csv(self.history))
        state = {"history": self.history, "best_epoch": self.best_epoch}
        save_checkpoint(self.folder, self.model, epoch + 1, state)

    def _is_best(self, epoch):
        scores = self.history.get("val_accuracy")
        return scores is None or epoch == 0 or scores[-1] > max(scores[:-1])

    def _save_best(self):
        """Saves the weights, or their moving average where there is one."""
        weights, values = self.model.trainable_variables, []
        if self.model.optimizer.use_ema:
            values = [np.array(keras.ops.convert_to_numpy(weight)) for weight in weights]
            self.model.optimizer.finalize_variable_values(weights)
        try:
            save_weights(self.folder / _BEST, self.model)
        finally:
            for weight, value in zip(weights, values, strict=bool(values)):
                weight.assign(value)

    def load_best(self, model):
        """Puts the weights of the best epoch into a model."""
        load_weights(self.folder / _BEST, model)
