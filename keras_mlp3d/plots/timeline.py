"""Scores over time: as a picture, and drawn on the video itself."""

import pathlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mlp3d._utils.atomic_write import written_beside
from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import (
    FAINT_INK,
    INK,
    check_new_file,
    fit_text,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OVERLAYS = (".mp4", ".mkv", ".mov")

#: Seconds: the clock of the videos that are written.
_TICK = Fraction(1, 90_000)
_WIDTH, _ROW, _NAMES, _MARGIN = 9.0, 0.34, 2.0, 0.2  # inches
_LIGHT, _DARK = "#f4f6f9", "#17507f"


def _rows_of(windows: Iterable[Any], class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (starts and ends, scores) of windows."""
    listed = list(windows)
    if not listed:
        raise ValueError("windows must hold at least one window, got none.")
    times = np.array([[start, end] for start, end, _ in listed], "float64")
    scores = np.array([row for *_, row in listed], "float64")
    if scores.ndim != 2 or scores.shape[1] != len(class_names):
        raise ValueError(
            f"windows must have {len(class_names)} scores each, one per class, got an array of "
            f"shape {scores.shape}."
        )
    return times, scores


def plot_timeline(
    windows: Iterable[Any],
    class_names: Sequence[str],
    path: StrPath | None = None,
    top_k: int = 5,
    title: str = "",
) -> "Figure":
    """Draw the scores of a video over time: a row per class, from left to right in seconds.

    A window is drawn around its middle, up to half-way to the next. The classes are those with the
    highest score in any window, the earliest first.

    Args:
        windows: (start, end, scores) of each window in order, such as
            `inference.classify_windows` yields.
        class_names: Names of all classes.
        path: None, or the .png, .pdf or .svg file to write.
        top_k: Largest number of classes to draw.
        title: Text above, such as the name of the video.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is no window, or the scores are not those of the classes.
        ImportError: If matplotlib is not installed.

    Example:

    >>> windows = [(0.0, 2.0, [0.9, 0.1]), (0.5, 2.5, [0.2, 0.8])]
    >>> figure = plot_timeline(windows, ["jump", "run"])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['jump', 'run']
    """
    times, scores = _rows_of(windows, class_names)
    best = np.argsort(-scores.max(axis=0), kind="stable")[: check_integer("top_k", top_k)]
    best = best[np.argsort(scores[:, best].argmax(axis=0), kind="stable")]
    middles = times.mean(axis=1)
    edges = np.concatenate([times[:1, 0], (middles[1:] + middles[:-1]) / 2, times[-1:, 1]])
    height = _ROW * len(best) + 1.0
    figure = new_figure(_WIDTH, height)
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.add_axes(
        (
            _NAMES / _WIDTH,
            0.55 / height,
            (_WIDTH - _NAMES - _MARGIN) / _WIDTH,
            _ROW * len(best) / height,
        )
    )
    colors = LinearSegmentedColormap.from_list("scores", [_LIGHT, _DARK])
    rows = np.arange(len(best) + 1) - 0.5
    axes.pcolormesh(edges, rows, scores[:, best].T, cmap=colors, vmin=0, vmax=1)
    axes.set_ylim(len(best) - 0.5, -0.5)
    axes.set_yticks(range(len(best)), [one_line(class_names[place]) for place in best])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
        fit_text(label, (_NAMES - 0.2) * figure.dpi)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_xlabel("seconds; dark is a score of 1", fontsize=9, color=FAINT_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(
            one_line(title), fontsize=10, color=INK, loc="left", fontweight="bold", parse_math=False
        )
    if path is not None:
        save_figure(figure, path)
    return figure


def check_overlay_path(path: StrPath) -> pathlib.Path:
    """Check that a video can be written to a path, before anything is computed for it.

    Args:
        path: The .mp4, .mkv or .mov file, in a directory that exists.

    Returns:
        `pathlib.Path`

    Raises:
        ValueError: If the ending is unknown, or the path is a directory.
        FileNotFoundError: If the directory does not exist.
        ImportError: If matplotlib, whose font is used, is not installed.

    Example:

    >>> check_overlay_path("out.mp4").name
    'out.mp4'
    """
    return check_new_file(path, "video", OVERLAYS)


def write_overlay(
    frames: Iterable[tuple[float, np.ndarray]],
    windows: Iterable[Any],
    class_names: Sequence[str],
    path: StrPath,
    fps: float,
    top_k: int = 3,
) -> None:
    """Write a video with the best classes drawn on each frame, without sound.

    A frame shows the scores of the window whose middle is nearest. Sides are cut to even numbers
    of pixels, which H.264 needs.

    Args:
        frames: (second, picture) of each frame in order, which is shown at that second; pictures
            are uint8 (H, W, 3), all of one size.
        windows: (start, end, scores) of each window in order.
        class_names: Names of all classes.
        path: The .mp4, .mkv or .mov file to write; complete or absent.
        fps: Mean frames per second, for the encoder.
        top_k: Largest number of classes on a frame.

    Raises:
        ValueError: If there is no window or no frame, or the scores are not those of the classes.
        ImportError: If matplotlib is not installed.

    Example:

    >>> import tempfile
    >>> pictures = [(second / 4, np.zeros((48, 64, 3), "uint8")) for second in range(8)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "out.mp4")
    ...     write_overlay(pictures, [(0.0, 2.0, [0.9, 0.1])], ["jump", "run"], path, fps=4)
    ...     path.stat().st_size > 0
    True
    """
    import av

    path = check_overlay_path(path)
    times, scores = _rows_of(windows, class_names)
    check_integer("top_k", top_k)
    rate = Fraction(check_number("fps", fps, above=0)).limit_denominator(1001)
    middles, place, captions = times.mean(axis=1), 0, _Captions(class_names, scores, top_k)
    count, stream, last = 0, None, -1  # type: int, Any, int
    with written_beside(path, ending=path.suffix) as beside, av.open(str(beside), "w") as file:
        for count, (second, picture) in enumerate(frames, start=1):
            height, width = (side // 2 * 2 for side in picture.shape[:2])
            if not height or not width:
                raise ValueError(
                    f"frames must be of at least 2 x 2 pixels, got shape {picture.shape}."
                )
            if count == 1:
                codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
                stream = file.add_stream(codec, rate=rate, width=width, height=height)
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = _TICK
            while place + 1 < len(middles) and abs(middles[place + 1] - second) <= abs(
                middles[place] - second
            ):
                place += 1
            drawn = captions.draw(np.ascontiguousarray(picture[:height, :width]), place)
            frame = av.VideoFrame.from_ndarray(drawn, "rgb24")
            last = max(last + 1, round(float(second) / _TICK))
            frame.pts, frame.time_base = last, _TICK
            file.mux(stream.encode(frame))
        if not count:
            raise ValueError("frames must hold at least one frame, got none.")
        file.mux(stream.encode(None))


class _Captions:
    """Draws the best classes of a window into the lower left corner of a picture."""

    def __init__(self, class_names: Sequence[str], scores: np.ndarray, top_k: int):
        self.names, self.scores, self.top_k = class_names, scores, top_k
        self.font: Any = None

    def draw(self, picture: np.ndarray, place: int) -> np.ndarray:
        """Return the picture with the scores of one window."""
        from PIL import Image, ImageDraw

        row = self.scores[place]
        best = np.argsort(-row, kind="stable")[: self.top_k]
        text = "\n".join(f"{100 * row[k]:3.0f} %  {one_line(self.names[k])}" for k in best)
        image = Image.fromarray(picture)
        brush = ImageDraw.Draw(image, "RGBA")
        font, gap = self._font_for(picture.shape[0]), max(2, picture.shape[0] // 100)
        left, top, right, bottom = brush.multiline_textbbox((0, 0), text, font=font)
        base = picture.shape[0] - (bottom - top) - 2 * gap
        brush.rectangle((0, base - gap, right - left + 4 * gap, picture.shape[0]), (0, 0, 0, 150))
        brush.multiline_text((2 * gap - left, base - top), text, (255, 255, 255, 255), font=font)
        return np.asarray(image)

    def _font_for(self, height: int) -> Any:
        if self.font is None:
            import matplotlib
            from PIL import ImageFont

            file = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
            self.font = ImageFont.truetype(str(file), max(9, height // 22))
        return self.font
