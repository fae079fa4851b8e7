"""What a network says of videos: for each a strip of its frames beside the best classes."""

import re

import numpy as np

from keras_mlp3d.plots._strips import axes_at, strip_of
from keras_mlp3d.plots.figure import FAINT_INK, INK, fit_text, new_figure, plain_text, save_figure

#: More rows than that make a picture that few programs open.
MAX_ROWS = 100

_STRIP_WIDTH, _BARS_WIDTH, _MARGIN = 8.0, 4.2, 0.2  # inches
_TITLE_HEIGHT, _TITLE_GAP, _BAR_HEIGHT, _MAX_STRIP_HEIGHT = 0.26, 0.03, 0.26, 3.0
_BEST, _OTHER = "#9db8e8", "#dfe5ee"


def plot_predictions(predictions, frames, path=None, max_frames=8):
    """Draws a row for each video: frames that the network saw, and bars of the best scores.

    The title of a row is the video's path. If it is too long, it loses folders from its left.

    Args:
        predictions: Objects with `path`, `labels` and `scores`, such as `inference.Prediction`.
        frames: For each of them the frames to show, uint8 (T, H, W, 3).
        path: None, or the .png, .pdf or .svg file to write.
        max_frames: How many frames to show at most, evenly spaced.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is nothing or too much to draw, or frames have another form.
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
    if isinstance(max_frames, bool) or not isinstance(max_frames, int) or max_frames < 1:
        raise ValueError(f"max_frames must be a positive integer, got {max_frames!r}.")
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
        _draw_bars(axes_at(figure, left, top + inner - bars, _BARS_WIDTH, bars), prediction)
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
        0, 1, plain_text(path), transform=above, fontsize=10, color=INK,
        verticalalignment="bottom", parse_math=False, fontweight="bold",
    )  # fmt: skip
    _fit_path(name, axes.get_window_extent().width)


def _fit_path(artist, width):
    """Shortens a path until it is at most `width` pixels wide: by folders, then by letters."""
    text, renderer = artist.get_text(), artist.figure.canvas.get_renderer()

    def fits(start):
        artist.set_text(text if start == 0 else "…" + text[start:])
        return artist.get_window_extent(renderer).width <= width

    # Where a folder begins, its slash kept: what is left reads as "…/run/00000.mp4".
    slashes = [match.start() for match in re.finditer(r"[/\\]", text) if match.start() > 0]
    if any(fits(start) for start in (0, *slashes)):
        return
    # A name that is too long by itself: its end, which tells numbered files apart.
    low, high = (slashes or [0])[-1], len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    fits(low)


def _draw_bars(axes, prediction):
    """Draws one bar for each class, its name inside and its score in a column behind it."""
    places = range(len(prediction.labels))
    colours = [_BEST if place == 0 else _OTHER for place in places]
    axes.set_xlim(0, 1.18)
    axes.set_ylim(len(prediction.labels) - 0.5, -0.5)
    axes.barh(places, prediction.scores, height=0.82, color=colours)
    room = axes.get_window_extent().width
    for place, label, score in zip(places, prediction.labels, prediction.scores, strict=True):
        axes.text(
            1.18, place, f"{100 * score:.1f} %", fontsize=9, color=FAINT_INK, parse_math=False,
            verticalalignment="center", horizontalalignment="right",
        )  # fmt: skip
        name = axes.text(
            0.02, place, plain_text(label), fontsize=9, color=INK, parse_math=False,
            verticalalignment="center",
        )  # fmt: skip
        fit_text(name, 0.81 * room)
