"""Plots the average precision of each class, readably for two classes and for four hundred."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, axes_at, fit_text, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: With more classes, a bar would be thinner than a pixel.
MAX_CLASSES = 1200

_NAMES, _BARS, _NUMBERS, _MARGIN = 2.4, 4.6, 1.8, 0.2  # inches
_ROW, _HIGHEST, _NAME_STEP = 0.28, 12.0, 0.16  # inches: of a class, of all, between two names
_TITLE, _SCALE = 0.62, 0.42
_BAR, _TRACK, _CHANCE = "#9db8e8", "#f1f4f8", "#b3402a"


def plot_average_precision(
    average_precisions: Iterable[float | None],
    class_names: Iterable[str],
    path: StrPath | None = None,
    class_counts: Iterable[int] | None = None,
    videos: int | None = None,
) -> "Figure":
    """Draw a bar per class, the best first, and say their mean.

    Classes without videos, which have no average precision, come last and have no bar. If there
    are many classes, only evenly spaced ones are named.

    Args:
        average_precisions: From 0 to 1 for each class, or None for a class without videos.
        class_names: Names of the classes.
        path: None, or the .png, .pdf or .svg file to write.
        class_counts: None, or the number of videos with each class, which is then written.
        videos: None, or the number of all videos: with `class_counts`, a tick at each bar shows
            their share, near which scores at random come to be.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there are no classes or too many, or the lists differ in length or hold
            other values.
        ImportError: If matplotlib is not installed.

    Example:

    >>> figure = plot_average_precision([0.5, None, 1.0], ["jump", "fall", "run"])
    >>> figure.texts[0].get_text()
    'mean average precision 75.0 % of 2 classes; 1 class has no video'
    """
    values, names, counts = _checked(average_precisions, class_names, class_counts)
    order = np.argsort(-np.where(np.isnan(values), -1, values), kind="stable").tolist()
    row = min(_ROW, _HIGHEST / len(values))
    width = _NAMES + _BARS + _NUMBERS + 2 * _MARGIN
    height = row * len(values) + _TITLE + _SCALE
    figure = new_figure(width, height)
    figure.text(
        _MARGIN / width, 1 - 0.16 / height, _title(values), fontsize=11, color=INK,
        verticalalignment="top",
    )  # fmt: skip
    axes = axes_at(figure, _MARGIN + _NAMES, _SCALE, _BARS, row * len(values))
    axes.set_xlim(0, 1)
    axes.set_ylim(len(values) - 0.5, -0.5)
    places = np.arange(len(values))
    ordered = values[order]
    axes.barh(places, np.where(np.isnan(ordered), 0, 1), height=0.8, color=_TRACK)
    axes.barh(places, np.nan_to_num(ordered), height=0.8, color=_BAR)
    if counts is not None and videos:
        shares = counts[order] / videos
        there = ~np.isnan(ordered)
        axes.vlines(
            shares[there], places[there] - 0.4, places[there] + 0.4, color=_CHANCE, linewidth=1.2
        )
    step = next(n for n in (1, 2, 5, 10, 20, 50, 100) if n * row >= _NAME_STEP)
    for place in range(0, len(values), step):
        k = order[place]
        _write_row(axes, place, names[k], values[k], None if counts is None else counts[k])
    _write_scale(axes, counts is not None and bool(videos), step)
    if path is not None:
        save_figure(figure, path)
    return figure


def _checked(average_precisions, class_names, class_counts):
    listed, names = list(average_precisions), [one_line(name) for name in class_names]
    if not 1 <= len(listed) <= MAX_CLASSES:
        raise ValueError(f"Between 1 and {MAX_CLASSES} classes can be drawn, got {len(listed)}.")
    if len(names) != len(listed):
        raise ValueError(
            f"class_names must name each class, got {len(names)} names for {len(listed)} classes."
        )
    values = np.array([np.nan if value is None else value for value in listed], "float64")
    if (np.nan_to_num(values) < 0).any() or (np.nan_to_num(values) > 1).any():
        raise ValueError("average_precisions must be from 0 to 1, or None.")
    counts = None if class_counts is None else np.asarray(list(class_counts))
    if counts is not None and (counts.shape != values.shape or counts.dtype.kind not in "iu"):
        raise ValueError(f"class_counts must be {len(values)} integers, one per class.")
    return values, names, counts


def _title(values):
    there = values[~np.isnan(values)]
    lacking = len(values) - len(there)
    if not len(there):
        return "no class has a video"
    classes = "1 class" if len(there) == 1 else f"{len(there)} classes"
    said = f"mean average precision {100 * there.mean():.1f} % of {classes}"
    if lacking:
        said += "; 1 class has no video" if lacking == 1 else f"; {lacking} classes have no video"
    return said


def _write_row(axes, place, name, value, count):
    style = {"fontsize": 9, "verticalalignment": "center", "parse_math": False}
    pixels = axes.get_window_extent().width / _BARS
    left = axes.text(-0.02, place, name, color=INK, horizontalalignment="right", **style)
    fit_text(left, (_NAMES - 0.15) * pixels)
    said = "no video" if np.isnan(value) else f"{100 * value:.1f} %"
    if count is not None and count:
        said += "   1 video" if count == 1 else f"   {count:,} videos"
    axes.text(1.02, place, said, color=FAINT_INK, **style)


def _write_scale(axes, has_chance, step):
    from matplotlib.transforms import ScaledTranslation

    words = "average precision; red: share of the class's videos" if has_chance else (
        "average precision"
    )  # fmt: skip
    if step > 1:
        words += f"; one class in {step} is named"
    below = axes.transAxes + ScaledTranslation(0, -0.12, axes.figure.dpi_scale_trans)
    axes.text(
        0, 0, words, transform=below, fontsize=9, color=FAINT_INK, verticalalignment="top"
    )  # fmt: skip
