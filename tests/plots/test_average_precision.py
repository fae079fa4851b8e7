"""The picture of average precisions, and predictions of which several may be right."""

import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread
from plots.test_plots import Said, boxes, clip, texts_of

from keras_mlp3d import plots


@dataclasses.dataclass
class Several(Said):
    labels: tuple = ("run", "fast", "jump")
    scores: tuple = (0.9, 0.5, 0.2)
    multi_label: bool = True


def test_a_bar_for_each_class_the_best_first(tmp_path):
    path = tmp_path / "out.png"
    values, names = [0.5, None, 1.0, 0.25], ["jump", "fall", "run", "$x_1$"]
    figure = plots.plot_average_precision(values, names, path, [2, 0, 3, 1], videos=6)
    [axes] = figure.axes
    assert texts_of(axes)[:-1] == [
        *("run", "100.0 %   3 videos", "jump", "50.0 %   2 videos"),
        *("$x_1$", "25.0 %   1 video", "fall", "no video"),
    ]
    tracks, bars = axes.containers
    assert [bar.get_width() for bar in tracks] == [1, 1, 1, 0]
    assert [bar.get_width() for bar in bars] == [1.0, 0.5, 0.25, 0.0]
    [ticks] = axes.collections
    starts = [segment[0][0] for segment in ticks.get_segments()]
    np.testing.assert_allclose(starts, [3 / 6, 2 / 6, 1 / 6])
    title = "mean average precision 58.3 % of 3 classes; 1 class has no video"
    assert figure.texts[0].get_text() == title
    height, width, _ = imread(path).shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * figure.dpi, atol=1)


def test_texts_stay_in_the_picture_and_apart():
    names = [f"Moving [something] {k} and [something] so that they collide" for k in range(400)]
    figure = plots.plot_average_precision(
        np.linspace(0, 1, 400), names, class_counts=[99_999] * 400
    )
    [axes] = figure.axes
    assert len(axes.texts) < 170
    assert "is named" in texts_of(axes)[-1]
    width, height = figure.get_size_inches() * figure.dpi
    found = boxes(axes)
    for box in found:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for first, second in zip(found[0:-1:2], found[2:-1:2], strict=False):
        assert first.y0 >= second.y1 - 1


def test_one_class_and_none_with_videos():
    figure = plots.plot_average_precision([0.5], ["jump"])
    assert figure.texts[0].get_text() == "mean average precision 50.0 % of 1 class"
    assert texts_of(figure.axes[0])[1] == "50.0 %"
    figure = plots.plot_average_precision([None, None], ["jump", "run"])
    assert figure.texts[0].get_text() == "no class has a video"


@pytest.mark.parametrize(
    ("values", "names", "counts", "message"),
    [
        ([], [], None, "Between 1 and 1200 classes can be drawn, got 0"),
        ([0.5], ["a", "b"], None, "got 2 names for 1 classes"),
        ([1.5], ["a"], None, "must be from 0 to 1, or None"),
        ([0.5], ["a"], [0.5], "class_counts must be 1 integers"),
        ([0.5], ["a"], [1, 2], "class_counts must be 1 integers"),
    ],
)
def test_refusals(values, names, counts, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_average_precision(values, names, class_counts=counts)


def test_predictions_with_a_threshold():
    figure = plots.plot_predictions([Several(), Said()], [clip(), clip()])
    several, one = figure.axes[1::2]
    dark, light, *_ = [to_hex(bar.get_facecolor()) for bar in one.patches]
    assert dark != light
    assert [to_hex(bar.get_facecolor()) for bar in several.patches] == [dark, dark, light]
    [line] = several.lines
    assert list(line.get_xdata()) == [0.5, 0.5]
    assert not one.lines
    figure = plots.plot_predictions([Several()], [clip()], threshold=0.95)
    assert {to_hex(bar.get_facecolor()) for bar in figure.axes[1].patches} == {light}
    with pytest.raises(ValueError, match="threshold must be a number of at least 0 and of at most"):
        plots.plot_predictions([Several()], [clip()], threshold=2)


def test_curves_of_average_precision():
    history = {"loss": [2.0, 1.5], "val_mean_average_precision": [0.2, 0.4]}
    figure = plots.plot_curves(history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "average precision"]
