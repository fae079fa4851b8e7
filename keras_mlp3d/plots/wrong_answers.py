"""Wrong answers as a picture: frames of each video, what it shows and what was said of it."""

import os

from keras_mlp3d.plots._strips import axes_at, strip_of
from keras_mlp3d.plots.figure import FAINT_INK, INK, fit_text, new_figure, plain_text, save_figure
from keras_mlp3d.plots.predictions import MAX_ROWS

_STRIP_WIDTH, _MAX_STRIP_HEIGHT, _MARGIN = 6.4, 2.4, 0.25  # inches
_LINE, _TITLE, _LABEL_WIDTH = 0.2, 0.35, 0.62
_WRONG = "#b3402a"


def plot_wrong_answers(answers, title="", path=None, max_frames=6):
    """Draws a cell for each wrong answer, two side by side: the answer, the truth, and frames.

    Args:
        answers: Objects with `path`, `right`, `answer`, `score` and `frames` (uint8, (T, H, W, 3)),
            such as `inference.WrongAnswer`, in the order in which to draw them.
        title: Words above all.
        path: None, or the .png, .pdf or .svg file to write.
        max_frames: How many frames to show of each at most, evenly spaced.

    Returns:
        `matplotlib.figure.Figure`; without any answer it holds the title alone.

    Raises:
        ValueError: If there is too much to draw, or frames have another form.
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
    if isinstance(max_frames, bool) or not isinstance(max_frames, int) or max_frames < 1:
        raise ValueError(f"max_frames must be a positive integer, got {max_frames!r}.")
    cells = [(answer, strip_of(answer.frames, max_frames)) for answer in answers]
    rows = [cells[start : start + 2] for start in range(0, len(cells), 2)]
    heights = [max(_height(strip) for _, strip in row) for row in rows]
    columns = max(map(len, rows), default=1)
    width = columns * (_STRIP_WIDTH + _MARGIN) + _MARGIN
    height = _TITLE + _MARGIN + sum(heights) + _MARGIN * len(heights)
    figure = new_figure(width, height)
    figure.text(
        _MARGIN / width, 1 - _MARGIN / height, plain_text(title), fontsize=12, color=INK,
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
        ("right", answer.right, os.path.basename(answer.path), INK),
    )
    for place, (word, name, beside, colour) in enumerate(lines):
        _write(axes, _LINE * (1 - place) + 0.05, word, name, beside, colour)


def _write(axes, above, word, name, beside, colour):
    """Writes a line above the frames: a word, a class, and what stands at the right end."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.figure
    style = {"fontsize": 9.5, "verticalalignment": "bottom", "parse_math": False}
    shift = {
        left: axes.transAxes + ScaledTranslation(left, above, figure.dpi_scale_trans)
        for left in (0, _LABEL_WIDTH)
    }
    axes.text(0, 1, word, transform=shift[0], color=FAINT_INK, **style)
    shown = axes.text(
        0, 1, plain_text(name), transform=shift[_LABEL_WIDTH], color=colour, fontweight="bold",
        **style,
    )  # fmt: skip
    fit_text(shown, 0.65 * _STRIP_WIDTH * figure.dpi)
    end = axes.text(
        1, 1, plain_text(beside), transform=shift[0], color=FAINT_INK, horizontalalignment="right",
        **style,
    )  # fmt: skip
    fit_text(end, 0.22 * _STRIP_WIDTH * figure.dpi)
