"""Plots wrong answers: frames of each video, its true class and the predicted one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.checks import check_integer
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
from keras_mlp3d.plots.predictions import MAX_ROWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STRIP_WIDTH, _MAX_STRIP_HEIGHT, _MARGIN = 6.4, 2.4, 0.25  # inches
_LINE, _TITLE, _LABEL_WIDTH = 0.2, 0.35, 0.62
_WRONG = "#b3402a"


def plot_wrong_answers(
    answers: Iterable[Any],
    title: str = "",
    path: StrPath | None = None,
    max_frames: int = 6,
) -> "Figure":
    """Draw a cell per wrong answer, in two columns: the answer, the true class, and frames.

    A cell names the path of its video. If the path is too long, folders are removed from its left.

    Args:
        answers: Objects with `path`, `right`, `answer`, `score` and `frames` (uint8, (T, H, W, 3)),
            such as `inference.WrongAnswer`, in the order in which they are drawn.
        title: Line above all cells.
        path: None, or the .png, .pdf or .svg file to write.
        max_frames: Largest number of frames per video, evenly spaced.

    Returns:
        `matplotlib.figure.Figure`. Without answers, it holds the title only.

    Raises:
        ValueError: If there is too much to draw, or frames have another shape or type.
        ImportError: If matplotlib is not installed.

    Example:

    >>> from keras_mlp3d.inference import WrongAnswer
    >>> frames = np.zeros((6, 90, 160, 3), "uint8")
    >>> figure = plot_wrong_answers([WrongAnswer("a.mp4", "jump", "run", 0.75, frames)])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['said', 'run', '75.0 %', 'right', 'jump', 'a.mp4']
    """
    answers = list(answers)
    if len(answers) > MAX_ROWS:
        raise ValueError(f"At most {MAX_ROWS} wrong answers can be drawn, got {len(answers)}.")
    check_integer("max_frames", max_frames)
    cells = [(answer, strip_of(answer.frames, max_frames)) for answer in answers]
    rows = [cells[start : start + 2] for start in range(0, len(cells), 2)]
    heights = [max(_height(strip) for _, strip in row) for row in rows]
    columns = max(map(len, rows), default=1)
    width = columns * (_STRIP_WIDTH + _MARGIN) + _MARGIN
    height = _TITLE + _MARGIN + sum(heights) + _MARGIN * len(heights)
    figure = new_figure(width, height)
    figure.text(
        _MARGIN / width, 1 - _MARGIN / height, one_line(title), fontsize=12, color=INK,
        verticalalignment="top", parse_math=False,
    )  # fmt: skip
    top = height - _TITLE - _MARGIN
    for row, row_height in zip(rows, heights, strict=True):
        for column, (answer, strip) in enumerate(row):
            left = _MARGIN + column * (_STRIP_WIDTH + _MARGIN)
            inner = _height(strip) - 2 * _LINE
            bottom = top - 2 * _LINE - inner
            _draw(axes_at(figure, left, bottom, _STRIP_WIDTH, inner), strip, answer)
        top -= row_height + _MARGIN
    if path is not None:
        save_figure(figure, path)
    return figure


def _height(strip):
    frames = min(_STRIP_WIDTH * strip.shape[0] / strip.shape[1], _MAX_STRIP_HEIGHT)
    return 2 * _LINE + frames


def _draw(axes, strip, answer):
    axes.imshow(strip, aspect="equal", interpolation="antialiased")
    axes.set_anchor("NW")
    lines = (
        ("said", answer.answer, f"{100 * answer.score:.1f} %", _WRONG),
        ("right", answer.right, answer.path, INK),
    )
    for place, (word, name, end, color) in enumerate(lines):
        _write(axes, _LINE * (1 - place) + 0.05, word, name, end, color)


def _write(axes, above, word, name, end, color):
    """Write a line above the frames: a word, a class, and a text at the right end."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.figure
    style = {"fontsize": 9.5, "verticalalignment": "bottom", "parse_math": False}
    shift = {
        left: axes.transAxes + ScaledTranslation(left, above, figure.dpi_scale_trans)
        for left in (0, _LABEL_WIDTH)
    }
    axes.text(0, 1, word, transform=shift[0], color=FAINT_INK, **style)
    shown = axes.text(
        0, 1, one_line(name), transform=shift[_LABEL_WIDTH], color=color, fontweight="bold",
        **style,
    )  # fmt: skip
    fit_text(shown, 0.5 * _STRIP_WIDTH * figure.dpi)
    end = axes.text(
        1, 1, one_line(end), transform=shift[0], color=FAINT_INK, horizontalalignment="right",
        **style,
    )  # fmt: skip
    fit_path(end, 0.37 * _STRIP_WIDTH * figure.dpi)
