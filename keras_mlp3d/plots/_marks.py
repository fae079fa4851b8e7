"""What scatter plots have in common: axes without clutter, and names beside their points."""

from keras_mlp3d.plots.figure import FAINT_INK, INK, plain_text


def quiet_axes(axes, x_label, y_label):
    """Gives axes their labels and takes away what carries no data."""
    axes.set_xlabel(x_label, fontsize=9, color=FAINT_INK)
    axes.set_ylabel(y_label, fontsize=9, color=FAINT_INK)
    axes.tick_params(labelsize=8, color=FAINT_INK, labelcolor=FAINT_INK)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT_INK)


def in_percent(axis):
    """Marks an axis of fractions in per cent, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g} %")


def name_points(axes, points, names, size=7.5):
    """Writes a name beside every point, where it covers neither a point nor another name.

    Where there is no such place the name is left out. The limits of the axes must stand.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.figure
    halo = [withStroke(linewidth=2, foreground="white")]
    renderer = figure.canvas.get_renderer()
    pixels = axes.transData.transform(points)
    step = 5 * figure.dpi / 72
    taken = [_box_around(x, y, step * 0.7) for x, y in pixels]
    frame = axes.get_window_extent(renderer)
    for (x, y), name in zip(points, names, strict=True):
        for (dx, dy), (across, up) in _PLACES:
            text = axes.annotate(
                plain_text(name), (x, y), (5 * dx, 5 * dy), textcoords="offset points",
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
