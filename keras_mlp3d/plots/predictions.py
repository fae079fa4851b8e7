"""Plots predictions: a strip of frames per video, next to its best classes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import (
    FAINT_INK,
    INK,
    axes_at,
    fit_path,
    fit_text,
    new_figure,
    save_figure,
    strip_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Few programs open a picture with more rows.
MAX_ROWS = 100

_STRIP_WIDTH, _BARS_WIDTH, _MARGIN = 8.0, 4.2, 0.2  # inches
_TITLE_HEIGHT, _TITLE_GAP, _BAR_HEIGHT, _MAX_STRIP_HEIGHT = 0.26, 0.03, 0.26, 3.0
_BEST, _OTHER = "#9db8e8", "#dfe5ee"


def plot_predictions(
    predictions: Iterable[Any],
    frames: Iterable[np.ndarray],
    path: StrPath | None = None,
    max_frames: int = 8,
    threshold: float = 0.5,
) -> "Figure":
    """Draw a row per video: frames that the network saw, and bars of the best scores.

    The title of a row is the video's path. If it is too long, folders are removed from its left.
    The bar of the best class is dark; if a video may have several classes, those of all classes
    from a threshold on, which a line shows.

    Args:
        predictions: Objects with `path`, `labels` and `scores`, such as `inference.Prediction`. Its
            `multi_label` says whether a video may have several classes.
        frames: Frames of each video, uint8 (T, H, W, 3).
        path: None, or the .png, .pdf or .svg file to write.
        max_frames: Largest number of frames per video, evenly spaced.
        threshold: Score from which on a class is dark, if a video may have several.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is nothing or too much to draw, or frames have another shape or type.
        ImportError: If matplotlib is not installed.

    Example:

    >>> from keras_mlp3d.inference import Prediction
    >>> prediction = Prediction("a.mp4", ("jump", "run"), (0.75, 0.25), np.array([[0, 2, 4, 6]]))
    >>> figure = plot_predictions([prediction], [np.zeros((4, 48, 64, 3), "uint8")])
    >>> len(figure.axes)
    2
    """
    predictions, frames = list(predictions), [np.asarray(clip) for clip in frames]
    if not 1 <= len(predictions) <= MAX_ROWS:
        raise ValueError(f"Between 1 and {MAX_ROWS} videos can be drawn, got {len(predictions)}.")
    if len(frames) != len(predictions):
        raise ValueError(
            f"frames must hold one clip for each prediction, got {len(frames)} clips and "
            f"{len(predictions)} predictions."
        )
    check_integer("max_frames", max_frames)
    check_number("threshold", threshold, 0, 1)
    strips = [strip_of(clip, max_frames) for clip in frames]
    heights = [
        _TITLE_HEIGHT
        + max(
            min(_STRIP_WIDTH * strip.shape[0] / strip.shape[1], _MAX_STRIP_HEIGHT),
            _BAR_HEIGHT * len(prediction.labels),
        )
        for prediction, strip in zip(predictions, strips, strict=True)
    ]
    width = _STRIP_WIDTH + _BARS_WIDTH + 3 * _MARGIN
    height = sum(heights) + _MARGIN * (len(heights) + 1)
    figure = new_figure(width, height)
    top = height - _MARGIN
    for prediction, strip, row in zip(predictions, strips, heights, strict=True):
        top -= row
        inner = row - _TITLE_HEIGHT
        axes = axes_at(figure, _MARGIN, top, _STRIP_WIDTH, inner)
        _draw_strip(axes, strip, prediction.path)
        left = _STRIP_WIDTH + 2 * _MARGIN
        bars = min(inner, 1.3 * _BAR_HEIGHT * len(prediction.labels))
        axes = axes_at(figure, left, top + inner - bars, _BARS_WIDTH, bars)
        _draw_bars(axes, prediction, threshold)
        top -= _MARGIN
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw_strip(axes, strip, path):
    axes.imshow(strip, aspect="equal", interpolation="antialiased")
    axes.set_anchor("NW")
    from matplotlib.transforms import ScaledTranslation

    above = axes.transAxes + ScaledTranslation(0, _TITLE_GAP, axes.figure.dpi_scale_trans)
    # `parse_math=False`: a dollar sign in a file name or a class is no formula.
    name = axes.text(
        0, 1, one_line(path), transform=above, fontsize=10, color=INK,
        verticalalignment="bottom", parse_math=False, fontweight="bold",
    )  # fmt: skip
    fit_path(name, axes.get_window_extent().width)


def _draw_bars(axes, prediction, threshold):
    """Draw a bar per class, with its name inside and its score in a column to the right."""
    places = range(len(prediction.labels))
    several = getattr(prediction, "multi_label", False)
    is_said = [
        score >= threshold if several else place == 0
        for place, score in enumerate(prediction.scores)
    ]
    colors = [_BEST if said else _OTHER for said in is_said]
    axes.set_xlim(0, 1.18)
    axes.set_ylim(len(prediction.labels) - 0.5, -0.5)
    axes.barh(places, prediction.scores, height=0.82, color=colors)
    if several:
        axes.axvline(threshold, color=FAINT_INK, linewidth=0.8, linestyle=":")
    width = axes.get_window_extent().width
    for place, label, score in zip(places, prediction.labels, prediction.scores, strict=True):
        axes.text(
            1.18, place, f"{100 * score:.1f} %", fontsize=9, color=FAINT_INK, parse_math=False,
            verticalalignment="center", horizontalalignment="right",
        )  # fmt: skip
        name = axes.text(
            0.02, place, one_line(label), fontsize=9, color=INK, parse_math=False,
            verticalalignment="center",
        )  # fmt: skip
        fit_text(name, 0.81 * width)
