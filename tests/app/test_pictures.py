"""The pictures and the words of the page, from plain arrays and strings."""

import json
import shutil

import numpy as np
import pytest
from data.make_videos import moving_frames

from keras_mlp3d import plots
from keras_mlp3d.app import Answer, Limits, Networks
from keras_mlp3d.app.markup import (
    STYLE,
    about_html,
    answer_html,
    bars_html,
    caption_html,
    title_html,
)
from keras_mlp3d.app.pictures import contact_sheet, picture_of


def test_the_frames_stand_row_by_row_with_transparent_gaps():
    clip = moving_frames(5, 100, 120)
    sheet = contact_sheet(clip, columns=3)
    gap = 3
    assert sheet.shape == (2 * 100 + gap, 3 * 120 + 2 * gap, 4)
    for place, frame in enumerate(clip):
        top, left = place // 3 * (100 + gap), place % 3 * (120 + gap)
        cell = sheet[top : top + 100, left : left + 120]
        np.testing.assert_array_equal(cell[..., :3], frame)
        assert (cell[..., 3] == 255).all()
    assert sheet[..., 3].sum() == 5 * 100 * 120 * 255  # nothing else is opaque


def test_small_frames_are_enlarged_by_whole_pixels():
    clip = moving_frames(2, 32, 32)
    sheet = contact_sheet(clip)
    np.testing.assert_array_equal(sheet[:96:3, :96:3, :3], clip[0])
    np.testing.assert_array_equal(sheet[2:96:3, 1:96:3, :3], clip[0])


@pytest.mark.parametrize("clip", [np.zeros((0, 4, 4, 3), "uint8"), np.zeros((2, 4, 4, 3))])
def test_other_arrays_are_refused(clip):
    with pytest.raises(ValueError, match="clip must be uint8"):
        contact_sheet(clip)


def test_a_figure_as_pixels():
    figure = plots.plot_timeline([(0.0, 2.0, [0.9, 0.1])], ["jump", "run"])
    picture = picture_of(figure)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert (picture == 255).all(axis=-1).any()  # white paper,
    assert (picture < 128).all(axis=-1).any()  # and ink


def test_a_bar_is_as_long_as_its_score():
    html = bars_html({"jump": 0.751, "run & hide": 0.0})
    assert html.count("<dt>") == 2
    assert '<span style="width: 75.1%"></span>' in html
    assert "run &amp; hide" in html
    assert bars_html({}) == ""


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", 'a" onload="x', "a\x1b[2J\nb"])
def test_nothing_of_a_preset_or_a_file_becomes_a_tag(text):
    pages = (answer_html(Answer(text)), bars_html({text: 0.5}), caption_html(text))
    for page in pages:
        assert "<script" not in page
        assert 'a" onload' not in page
        assert "\x1b" not in page


def test_an_error_is_announced():
    assert 'role="alert"' in answer_html(Answer("The file is empty.", is_error=True))
    assert 'role="status"' in answer_html(Answer("Of 3 classes, …"))


def test_a_preset_is_described_by_its_classes():
    networks = Networks(["mlp3d_tiny_radar_gestures"])
    about = about_html(networks, "mlp3d_tiny_radar_gestures")
    assert "one of its 10 classes: circle, clap, down, knock" in about
    assert networks.files("mlp3d_tiny_radar_gestures").description[:40] in about


def test_a_preset_that_scores_each_class_by_itself(root_dir, tmp_path):
    folder = shutil.copytree(
        root_dir / "presets" / "mlp3d_nano_motion_shapes", tmp_path / "several"
    )
    task = json.loads((folder / "task.json").read_text())
    task["config"]["activation"] = "sigmoid"
    (folder / "task.json").write_text(json.dumps(task))
    about = about_html(Networks([str(folder)]), str(folder))
    assert "those of its 20 classes that it sees, perhaps none: " in about


def test_the_page_loads_nothing_of_its_own_from_elsewhere():
    for text in (STYLE, title_html(Limits())):
        assert "http" not in text
        assert "url(" not in text
        assert "@import" not in text
