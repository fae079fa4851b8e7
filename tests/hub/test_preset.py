"""Presets in folders: found, read with suspicion, and replaced whole or not at all."""

import json
import os

import pytest

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D, list_presets
from keras_mlp3d.hub import files, read_preset, write_preset

BACKBONE = {
    "channels": [4, 4, 4, 4],
    "depths": [1, 1, 1, 1],
    "mlp_ratios": [1, 1, 1, 1],
    "schedule": [["short_range", 2]] * 4,
}
TASK = {"num_classes": 3, "dropout": 0.1, "activation": None, "class_names": None}


def write(folder, name, class_name, config):
    folder.mkdir(exist_ok=True)
    content = {"registered_name": f"keras_mlp3d>{class_name}", "config": config}
    (folder / name).write_text(json.dumps(content))


@pytest.fixture
def preset(tmp_path):
    """A preset without weights."""
    folder = tmp_path / "preset"
    write(folder, "config.json", "MLP3DBackbone", BACKBONE)
    write(folder, "task.json", "MLP3D", TASK)
    (folder / "metadata.json").write_text('{"class_name": "MLP3D", "parameter_count": 3611}')
    return folder


def test_built_in_names():
    assert {"mlp3d_xs", "mlp3d_l", "cyclemlp_b5"} <= set(list_presets())
    files = read_preset("mlp3d_xs")
    assert (files.class_name, files.weights, files.handle) == ("MLP3D", "none", "mlp3d_xs")
    assert files.clip.size == (224, 224)
    assert files.converter["num_frames"] == files.clip.frames == 64


def test_directory(preset):
    files = read_preset(preset)
    assert (files.config, files.task, files.converter) == (BACKBONE, TASK, None)
    assert (files.class_name, files.weights, files.clip) == ("MLP3D", "bundled", None)
    assert (files.parameter_count, files.macs, files.description) == (3611, None, "")
    (preset / "task.json").unlink()
    assert read_preset(str(preset)).class_name == "MLP3DBackbone"


@pytest.mark.parametrize("handle", [None, 3, b"mlp3d_xs"])
def test_what_names_no_preset(handle):
    with pytest.raises(ValueError, match="named by a string or a path, got"):
        read_preset(handle)


def test_a_directory_without_a_preset(tmp_path):
    with pytest.raises(ValueError, match=r"holds no preset: config\.json is missing"):
        read_preset(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "task.json", "metadata.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"registered_name": ', "is damaged"),
        (b"\xff\xfe{}", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"n": ' + b"1" * 5000 + b"}", "is damaged"),
        (b"[1, 2]", "must hold a JSON object, got list"),
        (b" " * (files.MAX_JSON_BYTES + 1), "has 4,194,305 bytes; at most 4,194,304 are read"),
    ],
)
def test_damaged_json_is_named(preset, name, content, message):
    (preset / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_preset(preset)
    assert str(preset / name) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights", 3),
        ("sha256", ["model.weights.h5"]),
        ("sha256", {"model.weights.h5": "abc"}),
        ("clip", {"frames": 16}),
        ("clip", {"frames": 16, "size": [32, "32"], "sampling": "uniform"}),
        ("parameter_count", -1),
        ("macs", "12"),
        ("description", None),
    ],
)
def test_metadata_of_another_form(preset, key, value):
    (preset / "metadata.json").write_text(json.dumps({key: value}))
    with pytest.raises(ValueError, match=f"is damaged: '{key}' cannot be"):
        read_preset(preset)


@pytest.mark.parametrize(
    "content",
    [{"registered_name": "keras>Dense", "config": {}}, {"config": {}}, {"model_type": "bert"}],
)
def test_presets_of_other_packages(preset, content):
    (preset / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="no file of a keras_mlp3d preset"):
        read_preset(preset)


def test_objects_in_a_configuration_are_never_made(preset):
    """Keras would import modules and make what a configuration names."""
    for key in ("dtype", "activation"):
        named = {"module": "keras.utils", "class_name": "get_file", "config": {}}
        write(preset, "task.json", "MLP3D", {**TASK, key: named})
        with pytest.raises(ValueError, match=f"'{key}' must be a plain value.*serialized 'get_fi"):
            MLP3D.from_preset(preset, load_weights=False)
    nested = {"appearance": {"backbone": {"dtype": named}}}
    write(preset, "config.json", "TwoPathMLP3D", nested)
    (preset / "task.json").unlink()
    with pytest.raises(ValueError, match="'dtype' must be a plain value"):
        TwoPathMLP3D.from_preset(preset, load_weights=False)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", {"colour": 3}, "cannot be built: TypeError.*colour"),
        ("config.json", {"drop_path_rate": "high"}, "must be a number .*, got 'high'"),
        ("task.json", {"backbone": None}, "cannot be built: TypeError.*backbone"),
        ("task.json", {"class_names": ["a"]}, "class_names must be 3 different names"),
        ("config.json", {"channels": [10**6] * 4}, r"metadata\.json states 3,611"),
        ("task.json", {"num_classes": 10**9}, r"metadata\.json states 3,611"),
    ],
)
def test_configurations_that_cannot_or_must_not_be_built(preset, name, change, message):
    class_name, config = {"config.json": ("MLP3DBackbone", BACKBONE), "task.json": ("MLP3D", TASK)}[
        name
    ]
    write(preset, name, class_name, {**config, **change})
    with pytest.raises(ValueError, match=message):
        MLP3D.from_preset(preset, load_weights=False)


def test_missing_arguments(preset):
    write(preset, "config.json", "MLP3DBackbone", {"channels": [4, 4, 4, 4]})
    with pytest.raises(ValueError, match=r"cannot be built: 'depths' is missing"):
        MLP3DBackbone.from_preset(preset, load_weights=False)
    (preset / "task.json").unlink()
    write(preset, "config.json", "TwoPathMLP3D", {"motion_size": [32, 32]})
    with pytest.raises(ValueError, match="cannot be built: 'appearance' is missing"):
        TwoPathMLP3D.from_preset(preset, load_weights=False)


def test_an_override_that_fits_no_argument_is_named(preset):
    with pytest.raises(ValueError, match="cannot be built with dropout overridden"):
        MLP3D.from_preset(preset, load_weights=False, dropout=[0.5])
    paths = {path: {"backbone": BACKBONE, "task": TASK} for path in ("appearance", "motion")}
    write(preset, "config.json", "TwoPathMLP3D", paths)
    (preset / "task.json").unlink()
    (preset / "metadata.json").unlink()
    with pytest.raises(ValueError, match="Unknown override 'appearance'"):
        TwoPathMLP3D.from_preset(preset, load_weights=False, appearance=None)


def test_names_of_arguments_reach_no_terminal_raw(preset):
    write(preset, "config.json", "MLP3DBackbone", {**BACKBONE, "\x1b[31m\u009b": 3})
    with pytest.raises(ValueError, match="cannot be built: TypeError") as caught:
        MLP3D.from_preset(preset, load_weights=False)
    assert str(caught.value).isprintable()
    assert r"\x1b[31m\x9b" in str(caught.value)


def test_a_preset_that_was_read_before(preset):
    files = read_preset(preset)
    assert read_preset(files) is files
    assert MLP3D.from_preset(files, load_weights=False).num_classes == 3


def test_weights_that_are_missing(preset):
    with pytest.raises(FileNotFoundError, match=r"lacks its weights, model\.weights\.h5: get the"):
        MLP3D.from_preset(preset)
    assert MLP3D.from_preset(preset, load_weights=False).num_classes == 3


# --- writing ---------------------------------------------------------------------------------


def fill(folder):
    write(folder, "config.json", "MLP3DBackbone", BACKBONE)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_folder_and_its_parents(tmp_path):
    write_preset(tmp_path / "a" / "b", fill)
    assert list(content(tmp_path / "a" / "b")) == ["config.json"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_an_earlier_preset_is_replaced_whole(preset):
    write_preset(preset, fill)
    assert list(content(preset)) == ["config.json"]


def test_a_link_goes_on_leading_to_the_preset(preset, tmp_path):
    (tmp_path / "latest").symlink_to(preset)
    write_preset(tmp_path / "latest", fill)
    assert (tmp_path / "latest").is_symlink()
    assert list(content(preset)) == ["config.json"]


@pytest.mark.parametrize(
    "held",
    [
        {"notes.txt": "mine"},
        {"README.md": "# My project"},
        {"config.json": '{"registered_name": "keras_hub>X", "config": {}}', "metadata.json": "{}"},
        {"config.json/keep.txt": "a folder under the name of a file"},
    ],
)
def test_what_is_no_preset_stays(tmp_path, held):
    folder = tmp_path / "folder"
    for name, text in held.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(ValueError, match=r"which would be lost\. Choose a new"):
        write_preset(folder, fill)
    for name, text in held.items():
        assert (folder / name).read_text() == text


def test_a_file_and_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="it is a file"):
        write_preset(tmp_path / "file", fill)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(ValueError, match="the current directory"):
        write_preset(".", fill)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", ["config.json", "new"])
def test_an_interrupted_write_leaves_the_earlier_preset(preset, monkeypatch, failing, error):
    before = content(preset)

    def break_off(*_):
        raise error

    rename = os.rename

    def rename_or_break_off(source, target):
        return (break_off if source.name == failing else rename)(source, target)

    monkeypatch.setattr(os, "rename", rename_or_break_off)
    with pytest.raises(type(error)):
        write_preset(preset, break_off if failing == "config.json" else fill)
    assert content(preset) == before
    assert [path.name for path in preset.parent.iterdir()] == ["preset"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_named_as_it_was_given():
    with pytest.raises(OSError) as caught:
        write_preset("/proc/mine", fill)
    assert caught.value.filename == "/proc/mine"


def test_a_preset_that_cannot_be_moved_is_named_as_it_was_given(tmp_path, monkeypatch):
    def failing(source, target):
        raise PermissionError(13, "Permission denied", str(source), None, str(target))

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(PermissionError) as caught:
        write_preset(tmp_path / "preset", fill)
    assert caught.value.filename == str(tmp_path / "preset")
    assert not list(tmp_path.iterdir())


def square(x):
    return x * x


def test_an_activation_that_has_no_name_is_refused_when_saving(tmp_path):
    network = CycleMLP((4, 4, 4, 4), (1, 1, 1, 1), 1, num_classes=2, activation=square)
    with pytest.raises(ValueError, match="'activation' must be a plain value"):
        network.save_to_preset(tmp_path / "preset")
    assert not list(tmp_path.iterdir())
