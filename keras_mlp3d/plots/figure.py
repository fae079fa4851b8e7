"""Figures without a window or global state, and what the plots share: text, strips and axes."""

import pathlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mlp3d._utils.atomic_write import check_writable, written_beside
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

FORMATS = (".png", ".pdf", ".svg")
#: Colors of text: that of the data, and that around it.
INK, FAINT_INK = "#1f2430", "#6b7280"


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty matplotlib figure that belongs to no window.

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


def check_picture_path(path: StrPath) -> pathlib.Path:
    """Check that a picture can be written to a path, before anything is computed for it.

    Args:
        path: The .png, .pdf or .svg file, in a directory that exists.

    Returns:
        `pathlib.Path`

    Raises:
        ValueError: If the ending is unknown, or the path is a directory.
        FileNotFoundError: If the directory does not exist.
        ImportError: If matplotlib is not installed.

    Example:

    >>> check_picture_path("out.png").name
    'out.png'
    """
    return check_new_file(path, "picture", FORMATS)


def check_new_file(path: StrPath, what: str, endings: tuple[str, ...]) -> pathlib.Path:
    """Check that matplotlib is there, and that a file can be written to a path.

    Args:
        path: The file.
        what: Name of its kind, such as "picture".
        endings: The endings that it may have.

    Raises:
        ValueError: If the ending is another, or the path is a directory.
        FileNotFoundError: If its directory does not exist.
        OSError: If no file can be written there.
        ImportError: If matplotlib is not installed.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in endings:
        raise ValueError(f"A {what}'s name ends in {', '.join(endings)}, got {str(path)!r}.")
    if path.is_dir():
        raise ValueError(f"Cannot write a {what} to {str(path)!r}: it is a directory.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {str(path)!r}: the directory {str(path.parent)!r} does not exist."
        )
    check_writable(path)
    new_figure(1, 1)
    return path


def save_figure(figure: "Figure", path: StrPath) -> None:
    """Write a figure to a file that is complete or absent."""
    path = check_picture_path(path)
    with written_beside(path) as beside:
        figure.savefig(beside, format=path.suffix[1:].lower())


def renderer_of(figure: Any) -> Any:
    """Return the renderer that measures the text of a figure."""
    return figure.canvas.get_renderer()


def fit_text(artist: "Text", width: float) -> None:
    """Shorten a text artist from its end until it is at most `width` pixels wide."""
    renderer = renderer_of(artist.figure)
    text = artist.get_text()
    kept = len(text)
    while kept and artist.get_window_extent(renderer).width > width:
        kept -= max(1, kept // 20)
        artist.set_text(text[:kept].rstrip() + "…")


def fit_path(artist: "Text", width: float) -> None:
    """Shorten a path until it is at most `width` pixels wide: by folders, then by letters."""
    text, renderer = artist.get_text(), renderer_of(artist.figure)

    def fits(start):
        artist.set_text(text if start == 0 else "…" + text[start:])
        return artist.get_window_extent(renderer).width <= width

    # A folder is removed up to its slash: the rest reads "…/run/00000.mp4".
    slashes = [match.start() for match in re.finditer(r"[/\\]", text) if match.start() > 0]
    if any(fits(start) for start in (0, *slashes)):
        return
    # The name alone is too long: keep its end, which tells numbered files apart.
    low, high = (slashes or [0])[-1], len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    fits(low)


# Strips of frames ---------------------------------------------------------------------------------


def axes_at(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Return axes without a frame at a position in inches."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )
    axes.set_axis_off()
    return axes


def strip_of(clip: np.ndarray, max_frames: int) -> np.ndarray:
    """Join evenly spaced frames of a clip (T, H, W, 3) side by side, with thin gaps."""
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or 0 in clip.shape:
        raise ValueError(
            f"frames must hold uint8 clips (T, H, W, 3), got {clip.dtype} {clip.shape}."
        )
    count = min(max_frames, len(clip))
    chosen = (np.arange(count) + 0.5) * len(clip) / count
    gap = max(1, clip.shape[2] // 40)
    pieces = []
    for frame in clip[chosen.astype(int)]:
        pieces += [frame, np.full((clip.shape[1], gap, 3), 255, "uint8")]
    # Few frames do not grow but leave the rest of the strip empty, so that rows are alike.
    empty = (clip.shape[2] + gap) * (max_frames - count)
    pieces[-1] = np.full((clip.shape[1], empty, 3), 255, "uint8")
    return np.concatenate(pieces, axis=1)


# Axes and names of points -------------------------------------------------------------------------


def quiet_axes(axes: "Axes", x_label: str, y_label: str) -> None:
    """Label axes and remove lines that carry no data."""
    axes.set_xlabel(x_label, fontsize=9, color=FAINT_INK)
    axes.set_ylabel(y_label, fontsize=9, color=FAINT_INK)
    axes.tick_params(labelsize=8, color=FAINT_INK, labelcolor=FAINT_INK)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT_INK)


def in_percent(axis: "Axis") -> None:
    """Label an axis of fractions in percent, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g} %")


def name_points(
    axes: "Axes", points: np.ndarray, names: Iterable[object], size: float = 7.5
) -> None:
    """Write a name next to each point, unless it would cover a point or another name.

    The limits of the axes must be set before.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.figure
    halo = [withStroke(linewidth=2, foreground="white")]
    renderer = renderer_of(figure)
    pixels = axes.transData.transform(points)
    step = 5 * figure.dpi / 72
    taken = [_box_around(x, y, step * 0.7) for x, y in pixels]
    frame = axes.get_window_extent(renderer)
    for (x, y), name in zip(points, names, strict=True):
        for (dx, dy), (across, up) in _PLACES:
            text = axes.annotate(
                one_line(name), (x, y), (5 * dx, 5 * dy), textcoords="offset points",
                fontsize=size, color=INK, horizontalalignment=across, verticalalignment=up,
                parse_math=False, path_effects=halo,
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
            if inside and box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _box_around(x, y, reach):
    from matplotlib.transforms import Bbox

    return Bbox([[x - reach, y - reach], [x + reach, y + reach]])


_PLACES = [
    ((1, 0), ("left", "center")),
    ((-1, 0), ("right", "center")),
    ((0, 1), ("center", "bottom")),
    ((0, -1), ("center", "top")),
    ((0.8, 0.8), ("left", "bottom")),
    ((0.8, -0.8), ("left", "top")),
    ((-0.8, 0.8), ("right", "bottom")),
    ((-0.8, -0.8), ("right", "top")),
    ((2, 2), ("left", "bottom")),
    ((2, -2), ("left", "top")),
    ((-2, 2), ("right", "bottom")),
    ((-2, -2), ("right", "top")),
]
