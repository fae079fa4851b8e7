"""Draws the pictures of docs/network.md from the layers themselves, and those of docs/search.md.

    KERAS_BACKEND=torch python docs/draw_network.py

Which token reads which, and by which matrix, is what the layers answer when one token at a time is
set to one. Shapes and numbers of weights are those of the layers as they are built. The search is
the one of benchmarks/gesture_search.py, whose summary is in benchmarks/results.
"""

import argparse
import json
import os
import pathlib

import keras
import numpy as np

import keras_mlp3d as km  # before keras: takes an installed backend
from keras_mlp3d.layers import GroupedTimeMixing, MLP3DBlock
from keras_mlp3d.layers.time_mixing import KINDS
from keras_mlp3d.plots import plot_comparison, plot_correlation, plot_schedule, plot_search
from keras_mlp3d.plots.figure import FAINT_INK, INK, axes_at, new_figure, save_figure
from keras_mlp3d.search import spearman

FOLDER = pathlib.Path(__file__).parent / "pictures"
SUMMARY = FOLDER.parent.parent / "benchmarks" / "results" / "gesture_search.json"
#: Tokens in time, and the group size, of the picture of groups.
TOKENS, SIZE = 8, 4
#: Colors of the groups, and of shift-token and full, whose groups are not apart.
COLORS = ("#93bfe0", "#f2c48d", "#a8d5a2", "#d9a9c9")
TITLES = {
    "short_range": "short-range: neighbors",
    "long_range": "long-range: T'/S apart",
    "shift_window": "shift-window: rolled by S // 2",
    "shift_token": "shift-token: the S - 1 before",
    "full": "full: all tokens, Eq. (3)",
}


def intervals(kind, tokens=TOKENS, size=SIZE):
    """Return which matrix w_Δ leads from each input token to each output token.

    Args:
        kind: Kind of time mixing.
        tokens: Number of tokens in time.
        size: Group size S; `full` has none.

    Returns:
        Float array (tokens, tokens), outputs by inputs: Δ, or NaN where no matrix leads.
    """
    layer = GroupedTimeMixing(kind, None if kind == "full" else size, use_bias=False)
    layer.build((None, tokens, 1, 1, 1))
    count = layer.kernel.shape[0]
    layer.kernel.assign(np.arange(1, count + 1, dtype="float32").reshape(count, 1, 1))
    impulses = np.eye(tokens, dtype="float32").reshape(tokens, tokens, 1, 1, 1)
    answers = keras.ops.convert_to_numpy(layer(impulses)).reshape(tokens, tokens).T
    return np.where(answers > 0, np.round(answers) - 1 - layer.center, np.nan)


def groups(matrix):
    """Return the number of the group of each input token: tokens with the same readers."""
    readers = [tuple(~np.isnan(column)) for column in matrix.T]
    numbers = {reader: number for number, reader in enumerate(dict.fromkeys(readers))}
    return [numbers[reader] for reader in readers]


def draw_groups(path, columns=3):
    """Draw, for each kind, which output token reads which input token, and by which matrix."""
    side, gap, left, label = 1.9, 0.35, 0.5, 0.7
    rows = -(-len(KINDS) // columns)
    height = rows * (side + label)
    figure = new_figure(left + columns * (side + gap), height + 0.05)
    for place, kind in enumerate(KINDS):
        matrix = intervals(kind)
        number = groups(matrix)
        apart = max(number) < len(COLORS)
        row, column = divmod(place, columns)
        bottom = height - (row + 1) * (side + label) + 0.35
        axes = axes_at(figure, left + column * (side + gap), bottom, side, side)
        axes.set_xlim(0, TOKENS)
        axes.set_ylim(TOKENS, 0)
        for y in range(TOKENS):
            for x in range(TOKENS):
                value = matrix[y, x]
                color = COLORS[number[x] if apart else 0]
                face = "#f3f4f6" if np.isnan(value) else color
                _cell(axes, x, y, face, "" if np.isnan(value) else f"{value:+.0f}")
        axes.text(0, -0.35, TITLES[kind], fontsize=9, fontweight="bold", color=INK)
        faint = {"fontsize": 8, "color": FAINT_INK, "clip_on": False}
        axes.text(TOKENS / 2, TOKENS + 0.8, "input token", ha="center", **faint)
        if column == 0:
            axes.text(-0.7, TOKENS / 2, "output token", rotation=90, va="center", **faint)
    save_figure(figure, path)


def _cell(axes, column, row, color, text):
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="white"))
    text = text.replace("+0", "0").replace("-", "−")
    axes.text(
        column + 0.5, row + 0.52, text, fontsize=7, color=INK,
        horizontalalignment="center", verticalalignment="center",
    )  # fmt: skip


def draw_block(path, channels=64, tokens=16, side=56):
    """Draw a block with the shapes and weights of its layers."""
    block = MLP3DBlock({"kind": "short_range", "group_size": SIZE})
    block.build((None, tokens, side, side, channels))
    mixing = block.token_mixing
    figure = new_figure(8.6, 3.0)
    axes = axes_at(figure, 0, 0, 8.6, 3.0)
    axes.set_xlim(0, 8.6)
    axes.set_ylim(0, 3.0)
    middle = 1.4
    _arrow(axes, (0.1, middle), (0.5, middle))
    _box(axes, 0.5, middle, 0.7, "norm", _weights(block.token_norm))
    for height, layer, name in (
        (2.15, mixing.mix_width, "width: Cycle FC"),
        (middle, mixing.mix_height, "height: Cycle FC"),
        (0.65, mixing.mix_time, f"time: groups, S = {SIZE}"),
    ):
        _arrow(axes, (1.2, middle), (1.5, height))
        _box(axes, 1.5, height, 1.75, name, f"{_shape(layer.kernel)}, {_weights(layer)}")
        _arrow(axes, (3.25, height), (3.6, middle))
    summed = _count(mixing.squeeze, mixing.excite)
    _box(axes, 3.6, middle, 1.15, "weighted sum", f"{summed:,} weights")
    _arrow(axes, (4.75, middle), (4.95, middle))
    _box(axes, 4.95, middle, 0.8, "linear", _weights(mixing.projection))
    _arrow(axes, (5.75, middle), (6.0, middle))
    _plus(axes, 6.1, middle)
    _arrow(axes, (6.2, middle), (6.35, middle))
    _box(axes, 6.35, middle, 0.65, "norm", _weights(block.channel_norm))
    _arrow(axes, (7.0, middle), (7.15, middle))
    hidden = block.channel_mlp.expand.kernel.shape[1]
    mlp = f"{channels} → {hidden} → {channels}"
    _box(axes, 7.15, middle, 0.95, "channel MLP", f"{mlp}\n{_weights(block.channel_mlp)}")
    _arrow(axes, (8.1, middle), (8.23, middle))
    _plus(axes, 8.32, middle)
    _arrow(axes, (8.41, middle), (8.58, middle))
    _shortcut(axes, 0.3, 6.1, middle, 2.72)
    _shortcut(axes, 6.27, 8.32, middle, 2.72)
    axes.text(3.6, 2.80, "token mixing, Eq. (2)", fontsize=8, color=FAINT_INK, ha="center")
    axes.text(7.3, 2.80, "channel MLP, Eq. (1)", fontsize=8, color=FAINT_INK, ha="center")
    shape = f"tokens ({tokens}, {side}, {side}, {channels}); {block.count_params():,} weights"
    axes.text(0.1, 0.1, f"{shape} in the block", fontsize=8, color=FAINT_INK)
    save_figure(figure, path)


def _count(*layers):
    return sum(layer.count_params() for layer in layers)


def _weights(layer):
    return f"{layer.count_params():,}"


def _shape(variable):
    return "×".join(str(size) for size in variable.shape)


def _box(axes, left, middle, width, name, detail=""):
    from matplotlib.patches import FancyBboxPatch

    height = 0.5 if "\n" not in detail else 0.66
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.04, middle - height / 2), width - 0.08, height,
            boxstyle="round,pad=0.04", facecolor="#e6eef7", edgecolor=FAINT_INK, linewidth=0.7,
        )
    )  # fmt: skip
    lines = 1 + detail.count("\n") / 2
    center = {"ha": "center", "va": "center"}
    axes.text(left + width / 2, middle + 0.11 * lines, name, fontsize=8, color=INK, **center)
    axes.text(left + width / 2, middle - 0.13, detail, fontsize=6.5, color=FAINT_INK, **center)


def _arrow(axes, start, end):
    style = {"arrowstyle": "-|>", "color": FAINT_INK, "linewidth": 0.8, "mutation_scale": 7}
    axes.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def _plus(axes, x, y):
    from matplotlib.patches import Circle

    axes.add_patch(Circle((x, y), 0.1, facecolor="white", edgecolor=FAINT_INK, linewidth=0.8))
    axes.text(x, y - 0.01, "+", fontsize=9, color=INK, ha="center", va="center")


def _shortcut(axes, start, end, low, high):
    axes.plot([start, start, end], [low, high, high], color=FAINT_INK, linewidth=0.8)
    _arrow(axes, (end, high), (end, low + 0.1))


def draw_network(path, preset="mlp3d_xs", clip=(64, 224, 224, 3)):
    """Draw the stages of a preset with the shapes of their tokens for one clip."""
    backbone = km.MLP3DBackbone.from_preset(preset, load_weights=False, input_shape=clip)
    outputs = [tuple(tokens.shape[1:]) for tokens in backbone.pyramid_outputs.values()]
    stages = [("clip", clip, "")]
    for number, (shape, depth) in enumerate(zip(outputs, backbone.depths, strict=True), 1):
        way = "tubelets" if number == 1 else "transition"
        blocks = "block" if depth == 1 else "blocks"
        stages.append((f"stage {number}", shape, f"{way}, then {depth} {blocks}"))
    figure = new_figure(8.6, 2.6)
    axes = axes_at(figure, 0, 0, 8.6, 2.6)
    axes.set_xlim(0, 8.6)
    axes.set_ylim(0, 2.6)
    step = 8.6 / len(stages)
    for place, (name, shape, note) in enumerate(stages):
        _slab(axes, place * step + 0.25, 0.75, shape, "#dbe4ee" if place == 0 else COLORS[0])
        text = {"ha": "left", "color": INK}
        axes.text(place * step + 0.2, 0.5, name, fontsize=8.5, fontweight="bold", **text)
        axes.text(place * step + 0.2, 0.3, " × ".join(map(str, shape)), fontsize=7.5, **text)
        axes.text(place * step + 0.2, 0.12, note, fontsize=7, ha="left", color=FAINT_INK)
    save_figure(figure, path)


def _slab(axes, left, bottom, shape, color):
    """Return a stack of sheets, one for every four time steps, as large as the picture is."""
    from matplotlib.patches import Rectangle

    time, height, width, _ = shape
    sheets, side = max(1, time // 4), 0.18 + 0.92 * (height / 224) ** 0.5
    shift = 0.55 / 16
    for sheet in reversed(range(sheets)):
        corner = (left + shift * sheet, bottom + shift * sheet)
        axes.add_patch(
            Rectangle(corner, side * width / height, side, facecolor=color, edgecolor="white")
        )


def draw_search(folder):
    """Return what a search scored, and what its networks reach: Figures 4 to 6."""
    summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
    networks = summary["networks"]
    plot_search(summary["scores"], folder / "search_process.svg")
    plot_comparison(networks, folder / "search_networks.svg")
    estimated = [row["estimated"] for row in networks]
    real = [row["accuracies"][0] for row in networks]
    names = [row["name"] for row in networks]
    path = folder / "search_estimates.svg"
    plot_correlation(estimated, real, names, spearman(estimated, real), path)


def main(arguments=None):
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=pathlib.Path, default=FOLDER, help="folder of the pictures")
    folder = parser.parse_args(arguments).to
    folder.mkdir(exist_ok=True)
    import matplotlib

    os.environ["SOURCE_DATE_EPOCH"] = "0"  # the same bytes whenever it is drawn
    with matplotlib.rc_context({"svg.hashsalt": "keras_mlp3d"}):
        draw_groups(folder / "groups.svg")
        draw_block(folder / "block.svg")
        draw_network(folder / "network.svg")
        hand_made = km.parse_schedule("short_range:4+shift_window:4", depth=10)
        depths = km.hub.read_preset("mlp3d_xs").config["depths"]
        title = "SR-SW, S = 4, in the ten blocks of MLP-3D-XS"
        plot_schedule(hand_made, folder / "schedule.svg", depths, title)
        title = "mlp3d_xs_searched, found by a search"
        found = km.hub.read_preset("mlp3d_xs_searched").schedule
        plot_schedule(found, folder / "searched.svg", depths, title)
        draw_search(folder)


if __name__ == "__main__":
    main()
