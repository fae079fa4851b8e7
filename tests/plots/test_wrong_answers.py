"""Wrong answers as a picture: who stands where, and that nothing runs into anything."""

import itertools

import numpy as np
import pytest

from keras_mlp3d import plots
from keras_mlp3d.inference import WrongAnswer

LONG = (
    "Pretending to put [something] behind [something], while the camera moves $x_1$ from the left"
)


def answer(number=0, height=90, width=160, name="jump"):
    frames = np.full((6, height, width, 3), number, "uint8")
    return WrongAnswer(f"folder/{number}.mp4", name, f"{name} not", 0.9 - number / 100, frames)


def lines_of(axes):
    return [text.get_text() for text in axes.texts]


def test_cells_stand_two_by_two_in_the_given_order(tmp_path):
    answers = [answer(number) for number in range(5)]
    figure = plots.plot_wrong_answers(answers, "5 wrong answers", tmp_path / "wrong.png")
    assert [text.get_text() for text in figure.texts] == ["5 wrong answers"]
    assert [lines_of(axes)[-1] for axes in figure.axes] == [f"folder/{n}.mp4" for n in range(5)]
    assert lines_of(figure.axes[1]) == [
        "said",
        "jump not",
        "89.0 %",
        "right",
        "jump",
        "folder/1.mp4",
    ]
    corners = [axes.get_position() for axes in figure.axes]
    assert corners[0].y0 == corners[1].y0 > corners[2].y0 > corners[4].y0
    assert corners[0].x0 == corners[2].x0 < corners[1].x0
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.png"]


@pytest.mark.parametrize(("height", "width"), [(160, 90), (90, 160), (40, 400)])
def test_long_names_stay_inside_and_apart(height, width):
    figure = plots.plot_wrong_answers([answer(n, height, width, LONG) for n in range(3)], LONG)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for axes in figure.axes for text in axes.texts]
    pictures = [axes.images[0].get_window_extent(renderer) for axes in figure.axes]
    for one, other in itertools.combinations([*boxes, *pictures], 2):
        assert not one.overlaps(other)
    for box in (*boxes, *pictures):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
    shown = figure.axes[0].texts[1].get_text()
    assert shown.endswith("…")
    assert LONG.startswith(shown[:-1])


def test_files_of_one_name_are_told_apart_by_their_folders():
    clip = np.zeros((6, 90, 160, 3), "uint8")
    paths = ["data/" + "deep/" * 40 + f"{name}/00001.mp4" for name in ("run", "jump")]
    answers = [WrongAnswer(path, "a", "b", 0.5, clip) for path in paths]
    figure = plots.plot_wrong_answers(answers)
    shown = [lines_of(axes)[-1] for axes in figure.axes]
    assert shown[0].endswith("/run/00001.mp4")
    assert shown[1].endswith("/jump/00001.mp4")
    assert len(set(shown)) == 2
    assert all(text.startswith("…/deep/") for text in shown)


def test_frames_are_those_of_the_video():
    clip = np.arange(8, dtype="uint8")[:, None, None, None] * np.ones((1, 10, 10, 3), "uint8")
    one = WrongAnswer("a.mp4", "jump", "run", 0.5, clip)
    figure = plots.plot_wrong_answers([one], max_frames=4)
    strip = figure.axes[0].images[0].get_array()
    assert [strip[5, column, 0] for column in (5, 16, 27, 38)] == [1, 3, 5, 7]


def test_no_wrong_answer_leaves_the_words(tmp_path):
    figure = plots.plot_wrong_answers([], "no wrong answer on 9 videos", tmp_path / "wrong.svg")
    assert not figure.axes
    assert "no wrong answer" in figure.texts[0].get_text()
    assert (tmp_path / "wrong.svg").stat().st_size > 100


@pytest.mark.parametrize(
    ("answers", "options", "message"),
    [
        ([answer()] * 101, {}, "At most 100 wrong answers can be drawn, got 101"),
        ([answer()], {"max_frames": 0}, "max_frames must be a positive integer, got 0"),
        ([WrongAnswer("a", "b", "c", 0.5, np.zeros((6, 8, 8)))], {}, "uint8 clips"),
    ],
)
def test_what_cannot_be_drawn(answers, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_wrong_answers(answers, **options)
