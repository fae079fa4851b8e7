"""Pictures of a search: its process, its correlation, its comparison."""

import math

import numpy as np
import pytest
from matplotlib.image import imread

from keras_mlp3d import plots

KINDS = ("short_range", "long_range", "shift_window", "shift_token")


def search_rows(repeats=2, depth=3, sizes=(1, 2, 4)):
    rng = np.random.default_rng(0)
    rows = []
    for repeat in range(repeats):
        for block in range(depth):
            names = [f"{kind}:{size}" for kind in KINDS for size in sizes]
            kept = int(rng.integers(len(names)))
            rows += [
                {"repeat": repeat, "block": block, "mixing": name, "value": float(rng.random()),
                 "kept": place == kept}
                for place, name in enumerate(names)
            ]  # fmt: skip
    return rows


def texts_inside(figure):
    """The boxes of all texts, every one of which must be within the figure."""
    renderer = figure.canvas.get_renderer()
    figure.canvas.draw()
    found = []
    for axes in figure.axes:
        artists = [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            artists += [label for place, label in ticks if low <= place <= high]
        found += [text.get_window_extent(renderer) for text in artists if text.get_text()]
    return [box for box in found if box.width]


def test_the_process_of_a_search(tmp_path):
    rows = search_rows()
    figure = plots.plot_search(rows, tmp_path / "out.png")
    assert len(figure.axes) == 2
    for repeat, axes in enumerate(figure.axes):
        kept = [row for row in rows if row["repeat"] == repeat and row["kept"]]
        drawn = [line for line in axes.lines if len(line.get_xdata()) == 3]
        assert all(list(line.get_ydata()) == [row["value"] for row in kept] for line in drawn)
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert [label.split("\n")[0] for label in labels] == ["1", "2", "3"]
        short = dict(zip(KINDS, ("SR", "LR", "SW", "ST"), strict=True))
        for label, row in zip(labels, kept, strict=True):
            kind, size = row["mixing"].split(":")
            assert label.split("\n")[1] == f"{short[kind]}{size}"
        points = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert len(points) == 3 * 12
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["SR", "LR", "SW", "ST", "S = 1", "S = 2", "S = 4", "kept"]
    assert imread(tmp_path / "out.png").shape[2] == 4


@pytest.mark.parametrize(("repeats", "depth"), [(1, 1), (3, 34)])
def test_small_and_large_searches_keep_to_the_picture(repeats, depth):
    figure = plots.plot_search(search_rows(repeats, depth))
    for box in texts_inside(figure):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        ([{"repeat": 0}], "an unreadable row"),
        ([{**search_rows()[0], "mixing": "sideways:2"}], "must hold kinds .*'sideways'"),
        ([{**search_rows()[0], "mixing": None}], "an unreadable row"),
        (search_rows(21, 1, (1,)), "At most 20 repeats of 100 blocks"),
    ],
)
def test_searches_that_cannot_be_drawn(rows, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_search(rows)


def test_real_against_estimated_accuracies(tmp_path):
    estimated, real = [0.3, 0.4, 0.5, 0.45], [0.5, 0.55, 0.7, 0.6]
    names = ["SR 2", "LR 2", "$ST$ 4", "SR-SW 8"]
    figure = plots.plot_correlation(estimated, real, names, 0.8, tmp_path / "out.pdf")
    [axes] = figure.axes
    assert axes.get_title(loc="left") == "4 networks, Spearman's ρ = 0.80"
    assert [text.get_text() for text in axes.texts] == names
    np.testing.assert_array_equal(
        axes.collections[-1].get_offsets(), np.stack([estimated, real], 1)
    )
    slope, offset = np.polyfit(estimated, real, 1)
    line = axes.lines[0]
    np.testing.assert_allclose(line.get_ydata(), slope * line.get_xdata() + offset, atol=1e-12)
    boxes = texts_inside(figure)
    for place, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_few_or_equal_networks():
    assert len(plots.plot_correlation([0.5], [0.5]).axes[0].lines) == 0
    same = plots.plot_correlation([0.5, 0.5], [0.4, 0.6], rho=math.nan)
    assert same.axes[0].get_title(loc="left") == "2 networks"
    two = plots.plot_correlation([0.4, 0.5], [0.4, 0.6])
    assert len(two.axes[0].lines) == 1
    assert len(two.axes[0].collections) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "as many in both"),
        (([0.1], [0.1, 0.2]), "as many in both"),
        (([math.nan], [0.1]), "finite numbers"),
        (([0.1], [0.1], []), "names must name each of 1 networks, got 0"),
    ],
)
def test_correlations_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_correlation(*arguments)


def network(family, size, gmacs, *accuracies):
    return {"family": family, "group_size": size, "gmacs": gmacs, "accuracies": list(accuracies)}


def test_accuracy_against_cost(tmp_path):
    rows = [
        network("2-D", None, 1.0, 0.25),
        network("S = 1", 1, 2.0, 0.4, 0.5),
        network("ST", 4, 4.0, 0.6),
        network("ST", 2, 3.0, 0.5),
        network("SR-SW", 2, 3.0, 0.55),
        network("searched", None, 3.5, 0.7, 0.8),
    ]
    figure = plots.plot_comparison(rows, tmp_path / "out.png")
    axes = figure.axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["ST", "SR-SW", "2-D", "S = 1", "searched"]
    joined = axes.lines[0]
    assert list(joined.get_xdata()) == [2.0, 3.0, 4.0]
    assert list(joined.get_ydata()) == [0.45, 0.5, 0.6]
    bars = [line for line in axes.lines if list(line.get_xdata()) == [3.5, 3.5]]
    assert [list(line.get_ydata()) for line in bars] == [[0.7, 0.8]]
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [list(line.get_ydata()) for line in stars] == [[0.75]]
    [top] = axes.child_axes
    assert [label.get_text() for label in top.get_xticklabels()] == ["S = 4", "S = 2"]
    assert list(top.get_xticks()) == [4.0, 3.0]
    for box in texts_inside(figure):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        ([{"family": "ST"}], "an unreadable row"),
        ([network("ST", 2, 1.0)], "ZeroDivisionError"),
        ([network("ST", 2, math.nan, 0.5)], "finite numbers"),
    ],
)
def test_comparisons_that_cannot_be_drawn(rows, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_comparison(rows)
