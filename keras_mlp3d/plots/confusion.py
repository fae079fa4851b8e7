"""Plots a confusion matrix, readably for two classes and for four hundred."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, fit_text, new_figure, renderer_of, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: With more classes, a cell would be smaller than a pixel.
MAX_CLASSES = 1200

_SIDES = (3.2, 9.0)  # inches, smallest and largest side of the whole matrix
_CELL, _NUMBERED_CELL = 0.42, 0.3  # preferred cell, and the smallest one with a number
_MAX_NAME, _NAME_STEP = 2.2, 0.15  # longest name, and smallest distance of two names
_AXIS_TITLE, _TITLE, _SCALE, _GAP = 0.3, 0.5, 1.0, 0.08
_LIGHT, _DARK = "#f4f6f9", "#17507f"


def plot_confusion(
    matrix: ArrayLike, class_names: Iterable[str], path: StrPath | None = None
) -> "Figure":
    """Draw a confusion matrix: a row per true class, a column per predicted class.

    The color of a cell is its fraction of the row. Cells that are large enough show their number of
    videos. Of many classes, only evenly spaced ones are named.

    Args:
        matrix: Integers (classes, classes), true classes in rows, predicted classes in columns.
        class_names: Names of the classes.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If the matrix is not square, holds anything else than counts, has too many
            classes, or has another size than the list of names.
        ImportError: If matplotlib is not installed.

    Example:

    >>> figure = plot_confusion([[8, 2], [1, 9]], ["jump", "run"])
    >>> [text.get_text() for text in figure.axes[0].texts[:4]]
    ['8', '2', '1', '9']
    """
    matrix, names = _checked(matrix, class_names)
    from matplotlib.colors import LinearSegmentedColormap

    classes = len(names)
    side = min(max(_CELL * classes, _SIDES[0]), _SIDES[1])
    figure = new_figure(side, side)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(
        fractions,
        cmap=LinearSegmentedColormap.from_list("counts", [_LIGHT, _DARK]),
        vmin=0,
        vmax=1,
        # Interpolation would blur single cells of a large matrix.
        interpolation="nearest",
    )
    if side / classes >= _NUMBERED_CELL:
        _write_counts(axes, matrix, fractions, side / classes)
    longest, step = _name_classes(axes, names, side)
    # The longest name is known only now.
    low = longest + _AXIS_TITLE + _GAP
    width, height = low + side + _SCALE, low + side + _TITLE
    figure.set_size_inches(width, height)
    axes.set_position((low / width, low / height, side / width, side / height))
    scale = ((low + side + 0.2) / width, low / height, 0.14 / width, side / height)
    _draw_scale(figure, image, scale)
    _write_titles(figure, matrix, low, side, "" if step == 1 else f" (one in {step} is named)")
    if path is not None:
        save_figure(figure, path)
    return figure


def _checked(matrix: Any, class_names: Iterable[str]) -> tuple[np.ndarray, list[str]]:
    matrix, names = np.asarray(matrix), [one_line(name) for name in class_names]
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "iu":
        raise ValueError(
            "matrix must hold integers (classes, classes), got shape "
            f"{matrix.shape} of {matrix.dtype}."
        )
    if not 1 <= len(matrix) <= MAX_CLASSES:
        raise ValueError(f"Between 1 and {MAX_CLASSES} classes can be drawn, got {len(matrix)}.")
    if (matrix < 0).any():
        raise ValueError(f"matrix must hold counts, got {matrix.min()}.")
    if len(names) != len(matrix):
        raise ValueError(
            f"class_names must name each class, got {len(names)} names for {len(matrix)} classes."
        )
    return matrix.astype("int64"), names


def _write_counts(axes, matrix, fractions, cell):
    largest = len(str(matrix.max()))
    size = min(9.0, 72 * cell * 1.4 / max(largest, 2))
    for row, column in np.argwhere(matrix):
        axes.text(
            column, row, str(matrix[row, column]), fontsize=size,
            color="white" if fractions[row, column] > 0.5 else INK,
            horizontalalignment="center", verticalalignment="center",
        )  # fmt: skip


def _name_classes(axes, names, side):
    """Name every class, or every second, fifth, tenth ..., so that names do not touch.

    Returns the length of the longest name in inches, and the step.
    """
    steps = (1, 2, 5, 10, 20, 25, 50)
    step = next(step for step in steps if step * side / len(names) >= _NAME_STEP)
    style = {
        "fontsize": 8 if step * side / len(names) > 0.2 else 6.5, "color": INK,
        "textcoords": "offset points", "annotation_clip": False, "parse_math": False,
    }  # fmt: skip
    dpi, widest = axes.figure.dpi, 0
    renderer = renderer_of(axes.figure)
    for place in range(0, len(names), step):
        left = axes.annotate(
            names[place], (-0.5, place), (-72 * _GAP, 0), horizontalalignment="right",
            verticalalignment="center", **style,
        )  # fmt: skip
        fit_text(left, _MAX_NAME * dpi)
        widest = max(widest, left.get_window_extent(renderer).width)
        axes.annotate(
            left.get_text(), (place, len(names) - 0.5), (0, -72 * _GAP), rotation=90,
            horizontalalignment="center", verticalalignment="top", **style,
        )  # fmt: skip
    return widest / dpi, step


def _draw_scale(figure, image, place):
    axes = figure.add_axes(place)
    scale = figure.colorbar(image, cax=axes, ticks=[0, 0.25, 0.5, 0.75, 1])
    scale.outline.set_visible(False)
    axes.set_yticklabels(["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=8, color=FAINT_INK)
    axes.tick_params(length=2, color=FAINT_INK)


def _write_titles(figure, matrix, low, side, which):
    width, height = figure.get_size_inches()
    total, right = int(matrix.sum()), int(np.trace(matrix))
    videos = "1 video" if total == 1 else f"{total:,} videos"
    share = f", {100 * right / total:.1f} % right" if total else ""
    figure.text(
        low / width, (low + side + 0.12) / height, videos + share, fontsize=11, color=INK,
    )  # fmt: skip
    words = {"fontsize": 9, "color": FAINT_INK}
    figure.text(
        (low + side / 2) / width, _GAP / height, f"predicted class{which}",
        horizontalalignment="center", verticalalignment="bottom", **words,
    )  # fmt: skip
    figure.text(
        _GAP / width, (low + side / 2) / height, f"right class{which}", rotation=90,
        horizontalalignment="left", verticalalignment="center", **words,
    )  # fmt: skip
