"""Plots the loss and the accuracy of a training run by epoch."""

import csv
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CSV_BYTES = 64 * 2**20

_WIDTH, _HEIGHT = 5.2, 3.6  # inches, each panel
_TRAINING, _VALIDATION = "#8a94a6", "#2f74ad"
_PANELS = (("loss", "loss"), ("accuracy", "acc"), ("average precision", "average_precision"))
_STYLES = ("-", "--", ":", "-.")


def plot_curves(
    history: Mapping[str, Sequence[float]] | StrPath, path: StrPath | None = None
) -> "Figure":
    """Draw loss and accuracy by epoch, on the training and on the validation data.

    Args:
        history: Dict of lists with a number per epoch, such as `keras.callbacks.History.history`,
            or the CSV file that `keras.callbacks.CSVLogger` writes. Keys that contain "loss", "acc"
            or "average_precision" are drawn; keys that start with "val_" are of the validation
            data. If a CSV holds an epoch twice, as after a resumed run, the later row counts.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`, with a panel for losses, for accuracies and for average
        precisions, if any.

    Raises:
        ValueError: If there is nothing to draw, or lists differ in length or hold no numbers.
        FileNotFoundError: If the CSV file does not exist.
        ImportError: If matplotlib is not installed.

    Example:

    >>> figure = plot_curves({"loss": [2.0, 1.5], "val_loss": [2.1, 1.8], "accuracy": [0.2, 0.4]})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['loss', 'accuracy']
    """
    if isinstance(history, str | os.PathLike):
        epochs, columns = _read_csv(pathlib.Path(history))
    else:
        epochs, columns = _checked_dict(history)
    panels = []
    for title, part in _PANELS:
        chosen = {name: column for name, column in columns.items() if part in name.lower()}
        if chosen:
            panels.append((title, chosen))
    if not panels:
        raise ValueError(
            "history must hold a loss, an accuracy or an average precision, got "
            f"{sorted(columns) or 'nothing'}."
        )
    figure = new_figure(_WIDTH * len(panels), _HEIGHT)
    for place, (title, chosen) in enumerate(panels):
        # In inches, with margins for the tick labels, the title and the label of the axis.
        left, width = _WIDTH * place + 0.6, _WIDTH - 0.8
        axes = figure.add_axes(
            (left / (_WIDTH * len(panels)), 0.55 / _HEIGHT, width / (_WIDTH * len(panels)),
             (_HEIGHT - 0.95) / _HEIGHT)
        )  # fmt: skip
        _draw(axes, title, epochs, chosen)
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw(axes, title, epochs, columns):
    training = [name for name in columns if not name.startswith("val_")]
    metrics = training + [
        name.removeprefix("val_") for name in columns if name.removeprefix("val_") not in training
    ]
    for name, values in columns.items():
        validation = name.startswith("val_")
        words = "validation" if validation else "training"
        metric = name.removeprefix("val_")
        if len(metrics) > 1:
            words = f"{one_line(metric)}, {words}"
        axes.plot(
            epochs, values, label=words.replace("$", r"\$"), linewidth=1.6,
            color=_VALIDATION if validation else _TRAINING,
            linestyle=_STYLES[metrics.index(metric) % len(_STYLES)],
            # A line through a single epoch, or between two gaps, would not be seen.
            marker="o", markersize=3 if len(epochs) <= 30 else 1,
        )  # fmt: skip
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel("epoch", fontsize=9, color=FAINT_INK)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8, color=FAINT_INK, labelcolor=FAINT_INK)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT_INK)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)


def _checked_dict(history):
    if not isinstance(history, dict):
        raise ValueError(
            "history must be a dict of lists or the path of a CSV file, got "
            f"{type(history).__name__}."
        )
    columns = {}
    for name, values in history.items():
        try:
            columns[str(name)] = [float(value) for value in values]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"history must hold a list of numbers for each key, {name!r} does not: {error}."
            ) from None
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"All lists of history must have one length above 0, got {lengths}.")
    epochs = [epoch + 1 for epoch in range(next(iter(lengths.values()), 0))]
    return epochs, columns


def _read_csv(path):
    size = path.stat().st_size
    if size > MAX_CSV_BYTES:
        raise ValueError(f"{path} has {size:,} bytes; at most {MAX_CSV_BYTES:,} are read.")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows, names = list(reader), list(reader.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file: {error}.") from error
    if "epoch" not in names or not rows:
        raise ValueError(
            f"{path} must hold a column 'epoch' and a row for each epoch, as "
            f"keras.callbacks.CSVLogger writes it; got columns {names} and {len(rows)} rows."
        )
    by_epoch = {}
    for line, row in enumerate(rows, start=2):
        try:
            by_epoch[int(row["epoch"])] = {
                name: _number(row[name]) for name in names if name != "epoch"
            }
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, row {line}, is damaged: {error}.") from None
    epochs = sorted(by_epoch)
    columns = {
        name: [by_epoch[epoch][name] for epoch in epochs] for name in names if name != "epoch"
    }
    return [epoch + 1 for epoch in epochs], columns  # Keras counts from 0 in the file


def _number(text):
    """Read a value of `CSVLogger`, which writes NA or nothing where an epoch had none."""
    return math.nan if text in ("", "NA", None) else float(text)
