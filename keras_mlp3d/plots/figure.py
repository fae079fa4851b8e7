"""Figures without a window: matplotlib's objects alone, no global state, written whole."""

import pathlib

from keras_mlp3d._utils.atomic_write import written_beside

FORMATS = (".png", ".pdf", ".svg")
#: Text that carries no data stands back behind the data.
INK, FAINT_INK = "#1f2430", "#6b7280"


def new_figure(width, height):
    """Returns an empty matplotlib figure that belongs to no window.

    Args:
        width: Width in inches, of 150 pixels each in a PNG.
        height: Height in inches.

    Raises:
        ImportError: If matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed: pip install keras-mlp3d[plots]"
        ) from error
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def check_picture_path(path):
    """Refuses a path to which no picture can be written, before anything is computed for it.

    Args:
        path: Where a picture is to go: .png, .pdf or .svg, in a directory that exists.

    Returns:
        `pathlib.Path`

    Raises:
        ValueError: If the ending is another one, or the path is a directory.
        FileNotFoundError: If the directory does not exist.
        ImportError: If matplotlib is not installed.

    Example:

    >>> check_picture_path("out.png").name
    'out.png'
    """
    new_figure(1, 1)
    path = pathlib.Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"A picture's name ends in {', '.join(FORMATS)}, got {str(path)!r}.")
    if path.is_dir():
        raise ValueError(f"Cannot write a picture to {str(path)!r}: it is a directory.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {str(path)!r}: the directory {str(path.parent)!r} does not exist."
        )
    return path


def save_figure(figure, path):
    """Writes a figure beside `path` and then moves it there, so that no half picture is left."""
    path = check_picture_path(path)
    with written_beside(path) as beside:
        figure.savefig(beside, format=path.suffix[1:].lower())


def plain_text(text):
    """Returns `text` as one line of what can be printed."""
    return "".join(c if c.isprintable() else " " for c in str(text)).strip()


def fit_text(artist, width):
    """Shortens a text artist from its end until it is at most `width` pixels wide."""
    renderer = artist.figure.canvas.get_renderer()
    text = artist.get_text()
    kept = len(text)
    while kept and artist.get_window_extent(renderer).width > width:
        kept -= max(1, kept // 20)
        artist.set_text(text[:kept].rstrip() + "…")
