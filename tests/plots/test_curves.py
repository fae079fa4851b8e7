"""Curves of a training run, from a dict and from the file that Keras writes."""

import keras
import numpy as np
import pytest
from matplotlib.image import imread

from keras_mlp3d import plots

HISTORY = {
    "loss": [2.0, 1.5, 1.2],
    "accuracy": [0.2, 0.4, 0.5],
    "learning_rate": [0.1, 0.1, 0.01],
    "val_loss": [2.1, 1.8, 1.7],
    "val_accuracy": [0.2, 0.3, 0.4],
}


def lines_of(axes):
    return {
        line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist())
        if hasattr(line.get_xdata(), "tolist")
        else (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.lines
    }


def test_loss_and_accuracy(tmp_path):
    figure = plots.plot_curves(HISTORY, tmp_path / "out.png")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    assert lines_of(figure.axes[0]) == {
        "training": ([1, 2, 3], HISTORY["loss"]),
        "validation": ([1, 2, 3], HISTORY["val_loss"]),
    }
    assert lines_of(figure.axes[1]) == {
        "training": ([1, 2, 3], HISTORY["accuracy"]),
        "validation": ([1, 2, 3], HISTORY["val_accuracy"]),
    }
    height, width, _ = imread(tmp_path / "out.png").shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * figure.dpi, atol=1)
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


def test_a_loss_alone():
    figure = plots.plot_curves({"loss": [2.0], "lr": [0.1]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss"]
    assert lines_of(figure.axes[0]) == {"training": ([1], [2.0])}


def test_several_accuracies_are_told_apart():
    history = {"accuracy": [0.1, 0.2], "val_accuracy": [0.1, 0.2], "val_top_5_acc": [0.5, 0.6]}
    [axes] = plots.plot_curves(history).axes
    assert list(lines_of(axes)) == [
        "accuracy, training", "accuracy, validation", "top_5_acc, validation",
    ]  # fmt: skip
    styles = [line.get_linestyle() for line in axes.lines]
    assert styles[0] == styles[1] != styles[2]
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] != colours[1] == colours[2]


def test_the_file_of_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(path)
    logger.set_model(keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)]))
    logger.on_train_begin()
    for epoch in range(3):
        logger.on_epoch_end(epoch, {name: values[epoch] for name, values in HISTORY.items()})
    logger.on_train_end()
    from_file, from_dict = plots.plot_curves(path), plots.plot_curves(HISTORY)
    for one, other in zip(from_file.axes, from_dict.axes, strict=True):
        assert lines_of(one) == lines_of(other)


def test_a_resumed_run_and_gaps(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_accuracy\n0,2.0,NA\n1,1.5,0.25\n2,9.0,0.1\n2,1.2,\n3,nan,0.5\n")
    loss, accuracy = plots.plot_curves(str(path)).axes
    np.testing.assert_equal(
        lines_of(loss), {"training": ([1, 2, 3, 4], [2.0, 1.5, 1.2, float("nan")])}
    )
    np.testing.assert_equal(
        lines_of(accuracy),
        {"validation": ([1, 2, 3, 4], [float("nan"), 0.25, float("nan"), 0.5])},
    )


def test_names_are_no_formulas():
    figure = plots.plot_curves({"loss": [1.0], "$\\frac{_loss": [2.0]})
    figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["loss, training", "\\$\\frac{_loss, training"]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({}, "must hold a loss, an accuracy or an average precision, got nothing"),
        ({"lr": [0.1]}, r"got \['lr'\]"),
        ({"loss": [1.0], "accuracy": [0.1, 0.2]}, "must have one length above 0"),
        ({"loss": []}, "must have one length above 0"),
        ({"loss": ["high"]}, "'loss' does not: could not convert"),
        ({"loss": 3.0}, "'loss' does not"),
        ([1.0, 2.0], "must be a dict of lists or the path of a CSV file, got list"),
    ],
)
def test_what_cannot_be_drawn(history, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_curves(history)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold a column 'epoch'"),
        (b"epoch,loss\n", "and 0 rows"),
        (b"step,loss\n1,2\n", r"got columns \['step', 'loss'\]"),
        (b"epoch,loss\n0,high\n", "row 2, is damaged"),
        (b"epoch,loss\n0,1\nx,2\n", "row 3, is damaged"),
        (b"\xff\xfe\x00", "is no CSV file"),
        (b'epoch,loss\n0,"1', "is no CSV file"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        plots.plot_curves(path)


def test_files_that_are_absent_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        plots.plot_curves(tmp_path / "absent.csv")
    monkeypatch.setattr("keras_mlp3d.plots.curves.MAX_CSV_BYTES", 10)
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1\n")
    with pytest.raises(ValueError, match="has 15 bytes; at most 10 are read"):
        plots.plot_curves(tmp_path / "log.csv")
