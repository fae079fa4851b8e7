"""Logs for TensorBoard, read back by its own reader."""

import pytest

from keras_mlp3d.training import EventFiles

pytest.importorskip("tensorboard", reason="needs the package tensorboard")


def read(folder):
    """{tag: [(epoch, value)]}"""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = {}
    for path in sorted(folder.glob("*tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                [scalar] = value.tensor.float_val
                found.setdefault(value.tag, []).append((event.step, scalar))
    return found


def test_each_epoch_is_there_once_whatever_was_written_before(tmp_path):
    history = {"loss": [2.0], "val_loss": [2.5], "learning_rate": [0.5]}
    logs = EventFiles(tmp_path, history)
    logs.on_train_begin()
    for values, new in ((history["loss"], 1.0), (history["val_loss"], 1.5)):
        values.append(new)
    history["learning_rate"].append(0.25)
    logs.on_epoch_end(1)
    # Killed before its checkpoint was written: the history of the next process lacks that epoch.
    EventFiles(tmp_path, {name: values[:1] for name, values in history.items()}).on_train_begin()
    assert read(tmp_path / "train") == {
        "epoch_loss": [(0, 2.0)],
        "epoch_learning_rate": [(0, 0.5)],
    }
    again = EventFiles(tmp_path, history)
    again.on_train_begin()
    assert read(tmp_path / "train") == {
        "epoch_loss": [(0, 2.0), (1, 1.0)],
        "epoch_learning_rate": [(0, 0.5), (1, 0.25)],
    }
    assert read(tmp_path / "validation") == {"epoch_loss": [(0, 2.5), (1, 1.5)]}


def test_files_of_others_stay(tmp_path):
    (tmp_path / "train").mkdir()
    other = tmp_path / "train" / "events.out.tfevents.1.elsewhere"
    other.write_bytes(b"")
    for _ in range(2):
        EventFiles(tmp_path, {"loss": [1.0]}).on_train_begin()
    assert other.exists()
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_without_the_package_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(EventFiles, "available", staticmethod(lambda: False))
    with pytest.raises(ImportError, match=r"pip install keras-mlp3d\[tensorboard\]"):
        EventFiles(tmp_path, {})
