"""Plots a schedule as a row of blocks, colored by group size.

Source: Figure 7.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, fit_text, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The paper's short names of the kinds of grouped time mixing, section 3.3.
SHORT_NAMES = {
    "short_range": "SR",
    "long_range": "LR",
    "shift_window": "SW",
    "shift_token": "ST",
    "full": "full",
}
#: Few programs open a picture with more blocks.
MAX_BLOCKS = 100

#: From light to dark as the group size doubles; "full" has a color of its own.
_COLORS = ("#eef2f7", "#c9dcf0", "#93bfe0", "#5a9bcb", "#2f74ad", "#17507f")
_FULL_COLOR = "#e3b05a"

_BLOCK, _GAP, _STAGE_GAP, _HEIGHT = 0.5, 0.06, 0.28, 0.8  # inches


def plot_schedule(
    schedule: Iterable[Any],
    path: StrPath | None = None,
    depths: Sequence[int] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw each block as a box with the kind and the group size of its time mixing.

    Args:
        schedule: `Mixing` objects, such as `backbone.schedule`, or (kind, group_size) pairs: one
            per block, from the input on.
        path: None, or the .png, .pdf or .svg file to write.
        depths: None, or the number of blocks per stage, such as `backbone.depths`. Stages are then
            drawn apart, with names below.
        title: None, or a line above the blocks.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If the schedule is empty, too long or unreadable, or the sum of `depths` is not
            its length.
        ImportError: If matplotlib is not installed.

    Source:
        Figure 7.

    Example:

    >>> figure = plot_schedule([("short_range", 4), ("shift_window", 4)], depths=(1, 1))
    >>> [text.get_text() for text in figure.axes[0].texts[:2]]
    ['SR', '4']
    """
    blocks = [_block(item) for item in schedule]
    depths = [len(blocks)] if depths is None else list(depths)
    if not 1 <= len(blocks) <= MAX_BLOCKS or sum(depths) != len(blocks):
        raise ValueError(
            f"schedule must have one entry for each block, at least one and at most {MAX_BLOCKS}; "
            f"got {len(blocks)} entries and depths {depths}."
        )
    stages = len(depths)
    wide = len(blocks) * (_BLOCK + _GAP) + (stages - 1) * _STAGE_GAP - _GAP
    low, high = (0.35 if stages > 1 else 0.15), _HEIGHT + (0.4 if title else 0.15)
    width = max(wide + 0.4, 0.095 * len(title or "") + 0.4)
    figure = new_figure(width, low + high)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.2, width - 0.2)
    axes.set_ylim(-low, high)
    left, coming = 0.0, iter(blocks)
    for stage, depth in enumerate(depths, start=1):
        start = left
        for _ in range(depth):
            _draw_block(axes, left, *next(coming))
            left += _BLOCK + _GAP
        if stages > 1:
            _draw_stage(axes, start, left - _GAP, stage)
        left += _STAGE_GAP
    if title:
        line = axes.text(
            0, _HEIGHT + 0.1, one_line(title), fontsize=11, color=INK, parse_math=False,
            verticalalignment="bottom", fontweight="bold",
        )  # fmt: skip
        fit_text(line, (width - 0.4) * figure.dpi)
    if path is not None:
        save_figure(figure, path)
    return figure


def shade_of(size: int) -> str:
    """Return the color of a group size: 1, 2, 4, 8 and 16 have the first five shades."""
    return _COLORS[min(size.bit_length() - 1, len(_COLORS) - 1)]


def _block(item):
    """Return (kind, group size) of a `Mixing` or a pair."""
    kind, size = getattr(item, "kind", None), getattr(item, "group_size", None)
    if kind is None and isinstance(item, list | tuple) and len(item) == 2:
        kind, size = item
    whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
    if kind not in SHORT_NAMES or not (whole or (kind == "full" and size is None)):
        raise ValueError(
            f"schedule must hold Mixing objects or (kind, group_size) pairs with a kind of "
            f"{list(SHORT_NAMES)}, got {item!r}."
        )
    return kind, size


def _draw_block(axes, left, kind, size):
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    color = _FULL_COLOR if size is None else shade_of(size)
    red, green, blue = to_rgb(color)
    ink = INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else "white"
    inset = 0.04
    axes.add_patch(
        FancyBboxPatch(
            (left + inset, inset), _BLOCK - 2 * inset, _HEIGHT - 2 * inset,
            boxstyle=f"round,pad={inset}", facecolor=color, edgecolor=FAINT_INK, linewidth=0.6,
        )
    )  # fmt: skip
    middle = left + _BLOCK / 2
    centered = {"horizontalalignment": "center", "verticalalignment": "center", "color": ink}
    # With S = 1 no time is mixed, so the kind has no meaning and is drawn faintly.
    axes.text(
        middle, 0.54, SHORT_NAMES[kind], fontsize=8, alpha=0.5 if size == 1 else 1, **centered
    )
    if size is not None:
        axes.text(middle, 0.27, str(size), fontsize=12, fontweight="bold", **centered)


def _draw_stage(axes, start, end, stage):
    axes.plot([start, end], [-0.08, -0.08], color=FAINT_INK, linewidth=0.8)
    centered = {"horizontalalignment": "center", "verticalalignment": "top"}
    axes.text((start + end) / 2, -0.12, f"stage {stage}", fontsize=8, color=FAINT_INK, **centered)
