"""Accuracy against cost of networks in families.

Source: Figure 4.
"""

import math

from keras_mlp3d.plots._marks import in_percent, quiet_axes
from keras_mlp3d.plots.figure import FAINT_INK, INK, new_figure, plain_text, save_figure

_WIDTH, _HEIGHT, _LEGEND = 7.4, 4.6, 1.35  # inches
_ALONE = {
    "2-D": {"marker": "s", "color": "#6b7280", "markersize": 8},
    "S = 1": {"marker": "o", "color": "#1f2430", "markersize": 6},
    "searched": {
        "marker": "*", "color": "#e3b05a", "markersize": 15, "markeredgecolor": "#1f2430",
        "markeredgewidth": 0.8,
    },
}  # fmt: skip
#: Told apart also by readers who see few colours, and by the marker alone in print.
_COLOURS = ("#2f74ad", "#1b9e77", "#c8553d", "#8661a6", "#5bb0d6", "#7a6a2e")
_MARKERS = ("o", "s", "D", "^", "v", "P")


def plot_comparison(networks, path=None):
    """Draws the accuracy of networks against their cost, a line for each family.

    A family's line runs over its group sizes, which stand above, and begins at the network "S = 1",
    where there is one. Several trainings of a network are drawn as their mean with a bar
    from the least to the highest.

    Args:
        networks: Rows as the JSON of `search.compare` has them: dicts with `family`, `group_size`,
            `gmacs` and `accuracies`.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is no network, or a row cannot be read.
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
            "color": _COLOURS[place % len(_COLOURS)], "marker": _MARKERS[place % len(_MARKERS)],
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
    """{family: [(GMACs, mean accuracy, least, highest, group size)]}, in the order they come."""
    families = {}
    for row in networks:
        try:
            accuracies = [float(value) for value in row["accuracies"]]
            gmacs, size = float(row["gmacs"]), row["group_size"]
            mean = math.fsum(accuracies) / len(accuracies)
            found = (gmacs, mean, min(accuracies), max(accuracies), size)
            family = plain_text(row["family"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f"networks hold a row that cannot be read, {row!r}: {type(error).__name__} {error}."
            ) from None
        if not all(map(math.isfinite, found[:4])):
            raise ValueError(f"networks must hold finite numbers, got {row!r}.")
        families.setdefault(family, []).append(found)
    if not families:
        raise ValueError("networks must hold at least one row.")
    return families


def _name_sizes(axes, rows):
    """Writes the group sizes above the costs that they have, which all families share."""
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
