"""Plots the accuracy of networks against their cost.

Source: Figure 4.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import FAINT_INK, INK, in_percent, new_figure, quiet_axes, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _LEGEND = 7.4, 4.6, 1.35  # inches
_ALONE = {
    "2-D": {"marker": "s", "color": "#6b7280", "markersize": 8},
    "S = 1": {"marker": "o", "color": "#1f2430", "markersize": 6},
    "searched": {
        "marker": "*", "color": "#e3b05a", "markersize": 15, "markeredgecolor": "#1f2430",
        "markeredgewidth": 0.8,
    },
}  # fmt: skip
#: Distinguishable for color-blind readers too, and in print by the markers.
_COLORS = ("#2f74ad", "#1b9e77", "#c8553d", "#8661a6", "#5bb0d6", "#7a6a2e")
_MARKERS = ("o", "s", "D", "^", "v", "P")


def plot_comparison(networks: Iterable[dict[str, Any]], path: StrPath | None = None) -> "Figure":
    """Draw the accuracy of networks against their cost, with a line per family.

    The line of a family goes through its group sizes, which are labeled at the top. It begins at
    the network "S = 1" if there is one. Several trainings of a network are drawn as their mean with
    a bar from the lowest to the highest.

    Args:
        networks: Rows of the JSON of `search.compare`: dicts with `family`, `group_size`, `gmacs`
            and `accuracies`.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is no network, or a row is unreadable.
        ImportError: If matplotlib is not installed.

    Source:
        Figure 4.

    Example:

    >>> row = {"family": "ST", "group_size": 4, "gmacs": 12.0, "accuracies": [0.5, 0.6]}
    >>> figure = plot_comparison([row, {**row, "group_size": 8, "gmacs": 14.0}])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['ST']
    """
    families = _families(networks)
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.add_axes(
        (
            0.75 / _WIDTH,
            0.5 / _HEIGHT,
            (_WIDTH - 0.85 - _LEGEND) / _WIDTH,
            (_HEIGHT - 0.7) / _HEIGHT,
        )
    )
    quiet_axes(axes, "GMACs of one clip", "top-1 accuracy")
    in_percent(axes.yaxis)
    start = families.get("S = 1", [])
    others = [family for family in families if family not in _ALONE]
    for place, family in enumerate(others):
        look = {
            "color": _COLORS[place % len(_COLORS)], "marker": _MARKERS[place % len(_MARKERS)],
            "markersize": 5.5,
        }  # fmt: skip
        rows = sorted(families[family])
        line = sorted([*start, *rows])
        axes.plot(
            [row[0] for row in line], [row[1] for row in line], color=look["color"],
            linewidth=1.4, zorder=2,
        )  # fmt: skip
        _draw_points(axes, family, rows, look)
    for family, look in _ALONE.items():
        if family in families:
            _draw_points(axes, family, families[family], look)
    axes.margins(0.07)
    axes.autoscale_view()
    axes.legend(
        fontsize=8.5, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.01, 1),
        handletextpad=0.3, labelspacing=0.7,
    )  # fmt: skip
    _name_sizes(axes, [row for family in others for row in families[family]])
    if path is not None:
        save_figure(figure, path)
    return figure


def _families(networks):
    """Return {family: [(GMACs, mean accuracy, lowest, highest, group size)]} by rows in turn."""
    families = {}
    for row in networks:
        try:
            accuracies = [float(value) for value in row["accuracies"]]
            gmacs, size = float(row["gmacs"]), row["group_size"]
            mean = math.fsum(accuracies) / len(accuracies)
            found = (gmacs, mean, min(accuracies), max(accuracies), size)
            family = one_line(row["family"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f"networks hold an unreadable row, {row!r}: {type(error).__name__} {error}."
            ) from None
        if not all(map(math.isfinite, found[:4])):
            raise ValueError(f"networks must hold finite numbers, got {row!r}.")
        families.setdefault(family, []).append(found)
    if not families:
        raise ValueError("networks must hold at least one row.")
    return families


def _name_sizes(axes, rows):
    """Label the group sizes at their costs, which are the same in all families."""
    costs = {}
    for gmacs, *_, size in rows:
        if size is not None:
            costs.setdefault(size, []).append(gmacs)
    top = axes.secondary_xaxis("top")
    top.set_xticks(
        [math.fsum(found) / len(found) for found in costs.values()],
        [f"S = {size}" for size in costs],
    )
    top.tick_params(length=0, labelsize=8, labelcolor=FAINT_INK)
    top.spines["top"].set_visible(False)


def _draw_points(axes, family, rows, look):
    for gmacs, _, least, highest, _ in rows:
        if highest > least:
            axes.plot([gmacs] * 2, [least, highest], color=look["color"], linewidth=1, zorder=2)
    axes.plot(
        [row[0] for row in rows], [row[1] for row in rows], linestyle="",
        label=family.replace("$", r"\$"), zorder=4 if family == "searched" else 3,
        **{"markeredgecolor": "white", "markeredgewidth": 0.6, **look},
    )  # fmt: skip
