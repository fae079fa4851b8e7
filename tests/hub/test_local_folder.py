"""Which preset a name means if the current directory has a folder of a built-in name."""

import json
import pathlib

import pytest

from keras_mlp3d import MLP3D, list_presets
from keras_mlp3d.app.networks import Networks, bundled_classifiers
from keras_mlp3d.cli import convert
from keras_mlp3d.hub import builtin_folder, read_builtin, read_preset
from keras_mlp3d.hub.local_folder import handle_nearby

NAME = "mlp3d_nano_motion_shapes"


def make_preset(folder):
    folder.mkdir(parents=True)
    content = {"registered_name": "keras_mlp3d>MLP3DBackbone", "config": {"channels": [4, 4, 4, 4]}}
    (folder / "config.json").write_text(json.dumps(content))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, with a preset of a built-in name."""
    make_preset(tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_that_means_two_presets_is_refused(here):
    with pytest.raises(ValueError, match=f"{NAME!r} is ambiguous.*Write './{NAME}' to load the fo"):
        read_preset(NAME)
    for handle in (f"./{NAME}", f"{NAME}/", str(here / NAME), pathlib.Path(NAME)):
        assert read_preset(handle).config == {"channels": [4, 4, 4, 4]}
    assert read_preset("mlp3d_nano").folder == builtin_folder() / "mlp3d_nano"


def test_a_folder_without_a_preset_hides_nothing(tmp_path, monkeypatch):
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "history.csv").touch()
    monkeypatch.chdir(tmp_path)
    for handle in (NAME, pathlib.Path(NAME)):
        assert read_preset(handle).folder == builtin_folder() / NAME


def test_in_the_folder_of_the_built_in_presets_both_are_one(monkeypatch):
    monkeypatch.chdir(builtin_folder())
    assert read_preset(NAME).class_name == "MLP3D"


def test_what_means_the_built_in_presets_reads_them(here):
    for name in list_presets():
        if name != NAME:
            make_preset(here / name)
    assert read_builtin(NAME).folder == builtin_folder() / NAME
    assert MLP3D.presets[NAME]["weights"] == "bundled"
    assert NAME in bundled_classifiers()
    assert NAME in Networks().names
    assert "cyclemlp_b1" in [preset.handle for preset in convert._built_in("CycleMLP")]
    assert read_builtin("mlp3d_xs_imagenet").download_bytes > 60_000_000


def test_the_handle_that_a_card_names(tmp_path):
    names = list_presets()
    assert handle_nearby(tmp_path / "mine", builtin_folder(), names) == "mine"
    assert handle_nearby(tmp_path / NAME, builtin_folder(), names) == f"./{NAME}"
    assert handle_nearby(builtin_folder() / NAME, builtin_folder(), names) == NAME
