"""Plots real accuracies against accuracies that were estimated with shared weights.

Source: Figure 6.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.plots.figure import (
    INK,
    in_percent,
    name_points,
    new_figure,
    quiet_axes,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 5.4, 4.4  # inches
_POINT, _LINE = "#2f74ad", "#17507f"
_RESAMPLINGS = 2000


def plot_correlation(
    estimated: Sequence[float],
    real: Sequence[float],
    names: Sequence[str] | None = None,
    rho: float | None = None,
    path: StrPath | None = None,
) -> "Figure":
    """Draw the real accuracy of networks against the estimated one, with the line of best fit.

    The band is a 95 % bootstrap interval of the line: it is fitted again to networks sampled from
    these with replacement. It is left out for fewer than four networks.

    Args:
        estimated: Estimated accuracies, from 0 to 1.
        real: Real accuracies, likewise.
        names: None, or the names of the networks.
        rho: None, or the rank correlation, for the title.
        path: None, or the .png, .pdf or .svg file to write.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: If there is no network, or the lists differ in length or hold no finite numbers.
        ImportError: If matplotlib is not installed.

    Source:
        Figure 6.

    Example:

    >>> figure = plot_correlation([0.4, 0.5], [0.6, 0.7], names=["ST 2", "ST 4"], rho=1.0)
    >>> figure.axes[0].get_title(loc="left")
    "2 networks, Spearman's ρ = 1.00"
    """
    x, y = (np.asarray(values, "float64") for values in (estimated, real))
    if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.isfinite([x, y]).all():
        raise ValueError(
            "estimated and real must be lists of finite numbers, as many in both, got shapes "
            f"{x.shape} and {y.shape}."
        )
    if names is not None and len(names) != len(x):
        raise ValueError(f"names must name each of {len(x)} networks, got {len(names)}.")
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.add_axes((0.13, 0.12, 0.84, 0.79))
    quiet_axes(axes, "estimated accuracy (shared weights)", "real accuracy (trained by itself)")
    in_percent(axes.xaxis)
    in_percent(axes.yaxis)
    low, high = _limits(x)
    axes.set_xlim(low, high)
    axes.set_ylim(*_limits(y))
    if len(set(x)) > 1:
        _draw_fit(axes, x, y, np.linspace(low, high, 100))
    axes.scatter(x, y, s=34, color=_POINT, edgecolor="white", linewidth=0.8, zorder=3)
    title = "1 network" if len(x) == 1 else f"{len(x)} networks"
    if rho is not None and math.isfinite(rho):
        title += f", Spearman's ρ = {rho:.2f}"
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    if names is not None:
        name_points(axes, np.stack([x, y], axis=1), names)
    if path is not None:
        save_figure(figure, path)
    return figure


def _limits(values):
    reach = max(0.12 * float(np.ptp(values)), 0.01)
    return values.min() - reach, values.max() + reach


def _draw_fit(axes, x, y, places):
    axes.plot(places, _fit(x, y, places), color=_LINE, linewidth=1.4, zorder=2)
    if len(x) < 4:
        return
    rng = np.random.default_rng(0)
    samples = rng.integers(len(x), size=(_RESAMPLINGS, len(x)))
    # A sample of a single place has no line.
    lines = [_fit(x[sample], y[sample], places) for sample in samples if np.ptp(x[sample])]
    lower, upper = np.percentile(lines, [2.5, 97.5], axis=0)
    axes.fill_between(places, lower, upper, color=_POINT, alpha=0.15, linewidth=0, zorder=1)


def _fit(x, y, places):
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return y.mean() + slope * (places - x.mean())
