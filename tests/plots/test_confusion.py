"""Confusion matrices as pictures: what they show, and that names keep apart at any number."""

import itertools

import numpy as np
import pytest
from matplotlib.image import imread

from keras_mlp3d import plots

LONG = "Pretending to put [something] behind [something], number "


def matrix_of(classes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(0.3, (classes, classes)) + np.diag(rng.integers(1, 30, classes))


def names_and_counts(figure):
    """(texts that name classes, texts that count videos) of the matrix."""
    texts = figure.axes[0].texts
    names = [text for text in texts if hasattr(text, "xyann")]
    return names, [text for text in texts if text not in names]


def test_counts_and_names(tmp_path):
    matrix = [[7, 0, 1], [2, 5, 0], [0, 0, 0]]
    figure = plots.plot_confusion(matrix, ["jump", "run", "cost$x_$"], tmp_path / "out.png")
    names, counts = names_and_counts(figure)
    assert [text.get_text() for text in names] == [
        name for name in ("jump", "run", "cost$x_$") for _ in range(2)
    ]
    assert [(text.get_position(), text.get_text()) for text in counts] == [
        ((0, 0), "7"), ((2, 0), "1"), ((0, 1), "2"), ((1, 1), "5"),
    ]  # fmt: skip
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[7 / 8, 0, 1 / 8], [2 / 7, 5 / 7, 0], [0, 0, 0]])
    assert figure.texts[0].get_text() == "15 videos, 80.0 % right"
    height, width, _ = imread(tmp_path / "out.png").shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * figure.dpi, atol=1)
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize(
    ("classes", "named", "counted"),
    [(1, 1, True), (2, 2, True), (10, 10, True), (30, 30, True), (60, 60, False),
     (101, 51, False), (400, 40, False)],
)  # fmt: skip
def test_names_keep_apart(classes, named, counted):
    names = [LONG + str(number) if number % 3 else str(number) for number in range(classes)]
    figure = plots.plot_confusion(matrix_of(classes), names)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    shown, counts = names_and_counts(figure)
    assert (len(shown), bool(counts)) == (2 * named, counted)
    assert ("is named" in figure.texts[1].get_text()) == (named < classes)
    matrix = figure.axes[0].get_window_extent()
    beside = [text.get_window_extent(renderer) for text in shown[::2]]
    below = [text.get_window_extent(renderer) for text in shown[1::2]]
    assert all(box.x1 < matrix.x0 for box in beside)
    assert all(box.y1 < matrix.y0 for box in below)
    for boxes in (beside, below):
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    words = [text.get_window_extent(renderer) for text in figure.texts]
    for box in (*beside, *below, *words):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    assert not any(box.overlaps(other) for box in (*beside, *below) for other in words)


def test_large_counts_fit_their_cells():
    figure = plots.plot_confusion(np.full((20, 20), 123_456), [str(n) for n in range(20)])
    renderer = figure.canvas.get_renderer()
    cell = figure.axes[0].get_window_extent().width / 20
    _, counts = names_and_counts(figure)
    assert len(counts) == 400
    assert max(text.get_window_extent(renderer).width for text in counts) < cell


def test_no_videos_at_all():
    figure = plots.plot_confusion(np.zeros((2, 2), int), ["jump", "run"])
    assert figure.texts[0].get_text() == "0 videos"


@pytest.mark.parametrize(
    ("matrix", "names", "message"),
    [
        (np.zeros((2, 3), int), ["a", "b"], r"got shape \(2, 3\) of int64"),
        (np.zeros((2, 2)), ["a", "b"], "got shape .* of float64"),
        ([[1, -2], [0, 0]], ["a", "b"], "must hold counts, got -2"),
        ([[1]], ["a", "b"], "got 2 names for 1 classes"),
        (np.zeros((0, 0), int), [], "Between 1 and 1200 classes can be drawn, got 0"),
        (np.zeros((1201, 1201), int), ["a"] * 1201, "got 1201"),
    ],
)
def test_what_cannot_be_drawn(matrix, names, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_confusion(matrix, names)
