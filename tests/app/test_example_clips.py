"""Which clips the page offers as examples."""

import pytest

from keras_mlp3d.app.examples import default_folder, find_examples, notice_of

PRESETS = ("mlp3d_tiny_grid_words", "mlp3d_tiny_radar_gestures")


@pytest.fixture
def folder(tmp_path):
    for name in (
        *("z.mp4", "notes.txt", "grid_words/blue/b.mp4", "grid_words/blue/a.mp4"),
        *("grid_words/green/c.mp4", "grid_words/readme.mp4", "other/blue/a.mp4"),
        *("radar_gestures/train/up/a.mp4", "radar_gestures/val/up/b.mp4"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_the_first_clip_of_each_class_with_the_network_that_knows_it(folder):
    found = find_examples(folder, PRESETS)
    assert [(e.path.removeprefix(f"{folder}/"), e.preset, e.label) for e in found] == [
        ("z.mp4", PRESETS[0], "z"),
        ("grid_words/blue/a.mp4", PRESETS[0], "blue (grid words)"),
        ("grid_words/green/c.mp4", PRESETS[0], "green (grid words)"),
        ("radar_gestures/val/up/b.mp4", PRESETS[1], "up (radar gestures)"),
    ]


def test_data_sets_that_no_network_knows_are_left_out(folder):
    assert [e.label for e in find_examples(folder, ["mlp3d_nano_searched"])] == ["z"]


def test_at_most_six_per_data_set(folder):
    for number in range(9):
        path = folder / "grid_words" / str(number) / "a.mp4"
        path.parent.mkdir()
        path.touch()
    assert len(find_examples(folder, PRESETS[:1])) == 1 + 6


def test_no_folder(tmp_path):
    assert find_examples(None, PRESETS) == []
    with pytest.raises(ValueError, match="examples must be a folder of videos, got"):
        find_examples(tmp_path / "absent", PRESETS)


def test_the_notice_is_the_readme_of_the_folder(tmp_path):
    assert notice_of(None) == notice_of(tmp_path) == ""
    (tmp_path / "README.md").write_text("CC BY 4.0", encoding="utf-8")
    assert notice_of(tmp_path) == "CC BY 4.0"


def test_the_clips_of_the_repository(root_dir):
    assert default_folder() == root_dir / "examples" / "clips"
    found = find_examples(default_folder(), PRESETS)
    assert {e.preset for e in found} == set(PRESETS)
    assert not [e for e in found if "/train/" in e.path]
    notice = notice_of(default_folder())
    assert "CC BY 4.0" in notice
    assert "Permission is hereby granted" in notice


def test_an_installed_wheel_has_no_examples(tmp_path, monkeypatch):
    (tmp_path / "keras_mlp3d" / "_presets").mkdir(parents=True)
    (tmp_path / "examples" / "clips").mkdir(parents=True)  # of another package
    monkeypatch.setattr(
        "keras_mlp3d.hub.builtin_folder", lambda: tmp_path / "keras_mlp3d" / "_presets"
    )
    assert default_folder() is None
