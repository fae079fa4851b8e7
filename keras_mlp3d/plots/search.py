"""Plots a greedy search: all candidates of all blocks, and the choices.

Source: Figure 5.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, in_percent, new_figure, quiet_axes, save_figure
from keras_mlp3d.plots.schedules import SHORT_NAMES, shade_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Few programs open a picture with more panels or blocks.
MAX_REPEATS, MAX_STEPS = 20, 100

_MARKERS = {"short_range": "o", "long_range": "s", "shift_window": "^", "shift_token": "D"}
_PANEL, _TOP, _LOW, _LEFT, _RIGHT = 1.9, 0.35, 0.4, 0.75, 0.15  # inches
_CANDIDATE, _LEAST_BLOCK, _MOST = 0.09, 0.5, 16.0  # inches of width
_BAND, _KEPT = "#f4f6f9", "#d1495b"


def plot_search(scores: Sequence[dict[str, Any]], path: StrPath | None = None) -> "Figure":
    """Draw a greedy search: the estimated accuracy of all candidates, block by block.

    Each repeat has a panel. Markers show the kind, colors the group size. The chosen candidates
    have rings, are joined by a line, and are named below.

    Args:
        scores: Rows in the order of the search, as in `SearchResult.to_dict()["scores"]`: dicts
            with `repeat`, `block`, `mixing` ("kind:size"), `value` and `kept`.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is no score, a row is unreadable, or there are too many to draw.
        ImportError: If matplotlib is not installed.

    Source:
        Figure 5.

    Example:

    >>> row = {"repeat": 0, "block": 0, "mixing": "shift_token:4", "value": 0.5, "kept": True}
    >>> figure = plot_search([row])
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['1\\nST4']
    """
    panels = _panels(scores)
    depth = max(len(blocks) for blocks in panels.values())
    most = max(len(rows) for blocks in panels.values() for rows in blocks.values())
    if len(panels) > MAX_REPEATS or depth > MAX_STEPS:
        raise ValueError(
            f"At most {MAX_REPEATS} repeats of {MAX_STEPS} blocks can be drawn, got {len(panels)} "
            f"of {depth}."
        )
    block = max(_LEAST_BLOCK, min(_CANDIDATE * (most + 3), _MOST / depth))
    wide = max(depth * block, 5.6)
    width, height = _LEFT + wide + _RIGHT, _TOP + len(panels) * (_PANEL + _LOW)
    figure = new_figure(width, height)
    values = [row["value"] for row in scores]
    reach = max(0.08 * (max(values) - min(values)), 0.01)
    for place, (repeat, blocks) in enumerate(panels.items()):
        bottom = height - _TOP - (place + 1) * (_PANEL + _LOW) + _LOW
        axes = figure.add_axes(
            (_LEFT / width, bottom / height, wide / width, (_PANEL - 0.25) / height)
        )
        quiet_axes(axes, "", "accuracy")
        axes.grid(axis="x", visible=False)
        axes.set_xlim(0, depth)
        axes.set_ylim(min(values) - reach, max(values) + reach)
        in_percent(axes.yaxis)
        _draw_blocks(axes, blocks, most)
        if len(panels) > 1:
            axes.set_title(f"repeat {repeat + 1}", fontsize=9, color=INK, loc="left", pad=4)
    _draw_legend(figure, scores, width, height)
    if path is not None:
        save_figure(figure, path)
    return figure


def _panels(scores):
    """Return {repeat: {block: rows}}, each row with its kind and group size."""
    panels = {}
    for row in scores:
        try:
            kind, _, size = row["mixing"].partition(":")
            size, value, kept = int(size), float(row["value"]), bool(row["kept"])
            rows = panels.setdefault(row["repeat"], {}).setdefault(row["block"], [])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"scores hold an unreadable row, {row!r}: {error}.") from None
        if kind not in _MARKERS:
            raise ValueError(f"scores must hold kinds of {list(_MARKERS)}, got {kind!r}.")
        rows.append((kind, size, value, kept))
    if not panels:
        raise ValueError("scores must hold at least one row.")
    return panels


def _draw_blocks(axes, blocks, most):
    kept, labels = [], []
    for block, rows in sorted(blocks.items()):
        if block % 2 == 0:
            axes.axvspan(block, block + 1, color=_BAND, linewidth=0, zorder=0)
        label = str(block + 1)
        for place, (kind, size, value, stays) in enumerate(rows):
            x = block + (place + 2) / (most + 3)
            if stays:
                kept.append((x, value))
                label = f"{block + 1}\n{SHORT_NAMES[kind]}{size}"
            axes.plot(
                [x], [value], marker=_MARKERS[kind], markersize=4.6, color=shade_of(size),
                markeredgecolor=INK, markeredgewidth=0.5, zorder=3,
            )  # fmt: skip
        labels.append(label)
    axes.plot(*zip(*kept, strict=True), color=FAINT_INK, linewidth=1, zorder=2)
    axes.plot(
        *zip(*kept, strict=True), linestyle="", marker="o", markersize=9, markerfacecolor="none",
        markeredgecolor=_KEPT, markeredgewidth=1.4, zorder=4,
    )  # fmt: skip
    axes.set_xticks([block + 0.5 for block in sorted(blocks)], labels)
    axes.tick_params(axis="x", length=0, labelcolor=INK)


def _draw_legend(figure, scores, width, height):
    from matplotlib.lines import Line2D

    kinds = dict.fromkeys(row["mixing"].partition(":")[0] for row in scores)
    sizes = sorted({int(row["mixing"].partition(":")[2]) for row in scores})
    style = {"linestyle": "", "markeredgecolor": INK, "markeredgewidth": 0.5, "markersize": 6}
    handles = [
        Line2D([], [], marker=_MARKERS[kind], color="white", label=SHORT_NAMES[kind], **style)
        for kind in kinds
    ]
    handles += [
        Line2D([], [], marker="s", color=shade_of(size), label=f"S = {size}", **style)
        for size in sizes
    ]
    ring = {**style, "markeredgecolor": _KEPT, "markeredgewidth": 1.4, "markersize": 8}
    handles.append(Line2D([], [], marker="o", color="none", label="kept", **ring))
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), fontsize=8, frameon=False,
        bbox_to_anchor=(_LEFT / width, 1 - 0.06 / height), labelcolor=INK, borderpad=0,
        borderaxespad=0, columnspacing=1.2, handletextpad=0.1,
    )  # fmt: skip
