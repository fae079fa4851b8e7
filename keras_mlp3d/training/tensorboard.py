"""The history of a run as event files, which TensorBoard draws."""

import importlib.util
import io
import pathlib
import time

import keras

from keras_mlp3d._utils.atomic_write import append

_PREFIX, _SUFFIX = "events.out.tfevents.", ".keras_mlp3d"


class EventFiles(keras.callbacks.Callback):
    """Writes the history as event files: scalars of each epoch, in `train` and `validation`.

    Tags are those of Keras: `epoch_loss`, `epoch_accuracy`, `epoch_learning_rate`. When a training
    begins or is gone on with, the files are written anew from the history, so that no epoch stands
    there twice. The package tensorboard does the writing, on every backend, without TensorFlow.

    Args:
        folder: Folder of the logs; made where it is missing.
        history: {metric: value of each epoch}, which grows epoch by epoch: the `history` of a
            `RunRecorder` that stands before this in the list of callbacks.

    Raises:
        ImportError: If tensorboard is not installed (`keras-mlp3d[tensorboard]`).

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     EventFiles(folder, {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}).on_train_begin()
    ...     sorted(path.parent.name for path in pathlib.Path(folder).rglob("*tfevents*"))
    ['train', 'validation']
    """

    def __init__(self, folder, history):
        super().__init__()
        if not self.available():
            raise ImportError(
                "Logs for TensorBoard need the package tensorboard: "
                "pip install keras-mlp3d[tensorboard]"
            )
        self.folder, self.history, self._paths = pathlib.Path(folder), history, {}

    @staticmethod
    def available():
        """Whether the package tensorboard is installed."""
        return importlib.util.find_spec("tensorboard") is not None

    def on_train_begin(self, logs=None):
        self._paths = {}
        for epoch in range(max(map(len, self.history.values()), default=0)):
            self._write(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self._write(epoch)

    def _write(self, epoch):
        parts = {"train": {}, "validation": {}}
        for name, values in self.history.items():
            part = "validation" if name.startswith("val_") else "train"
            parts[part][f"epoch_{name.removeprefix('val_')}"] = values[epoch]
        for part, scalars in parts.items():
            if scalars:
                self._append(part, epoch, scalars)

    def _append(self, part, epoch, scalars):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        now = time.time()
        if part not in self._paths:
            self._paths[part] = _only_file(self.folder / part, now)
            _write_record(self._paths[part], Event(wall_time=now, file_version="brain.Event:2"))
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = Event(wall_time=now, step=epoch, summary=Summary(value=values))
        _write_record(self._paths[part], event)


def _only_file(folder, now):
    """Returns the path of a new event file, and removes those that it stands for."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        old.unlink()
    return folder / f"{_PREFIX}{int(now):010d}{_SUFFIX}"


def _write_record(path, event):
    from tensorboard.summary.writer.record_writer import RecordWriter

    record = io.BytesIO()
    RecordWriter(record).write(event.SerializeToString())
    append(path, record.getvalue())
