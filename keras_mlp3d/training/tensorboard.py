"""The history of a run as event files for TensorBoard."""

import importlib.util
import io
import pathlib
import time
from collections.abc import Mapping, Sequence

import keras

from keras_mlp3d._utils.atomic_write import append
from keras_mlp3d._utils.types import StrPath

_PREFIX, _SUFFIX = "events.out.tfevents.", ".keras_mlp3d"


class EventFiles(keras.callbacks.Callback):
    """Writes the history as event files: scalars per epoch, in `train` and `validation`.

    Tags are Keras's: `epoch_loss`, `epoch_accuracy`, `epoch_learning_rate`. When a training begins
    or is resumed, the files are rewritten from the history, so that no epoch appears twice. They
    are written by the package tensorboard on every backend, without TensorFlow.

    Args:
        folder: Folder of the logs; made if it is missing.
        history: {metric: value per epoch}, which grows epoch by epoch: the `history` of a
            `RunRecorder` that precedes this callback in the list.

    Raises:
        ImportError: If tensorboard is not installed (`keras-mlp3d[tensorboard]`).

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     EventFiles(folder, {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}).on_train_begin()
    ...     sorted(path.parent.name for path in pathlib.Path(folder).rglob("*tfevents*"))
    ['train', 'validation']
    """

    def __init__(self, folder: StrPath, history: Mapping[str, Sequence[float]]):
        super().__init__()
        if not self.available():
            raise ImportError(
                "Logs for TensorBoard need the package tensorboard: "
                "pip install keras-mlp3d[tensorboard]"
            )
        self.folder, self.history, self._paths = pathlib.Path(folder), history, {}

    @staticmethod
    def available() -> bool:
        """Return whether the package tensorboard is installed."""
        return importlib.util.find_spec("tensorboard") is not None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._paths = {}
        for epoch in range(max(map(len, self.history.values()), default=0)):
            self._write(epoch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
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
    """Return the path of a new event file, which replaces our earlier files."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        old.unlink()
    return folder / f"{_PREFIX}{int(now):010d}{_SUFFIX}"


def _write_record(path, event):
    from tensorboard.summary.writer.record_writer import RecordWriter

    record = io.BytesIO()
    RecordWriter(record).write(event.SerializeToString())
    append(path, record.getvalue())
