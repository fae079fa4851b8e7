"""Class names that no terminal, file or JSON should get as they are."""

import json
import logging

import numpy as np
import pytest
from models import tiny
from numpy_weights import weights_of

from keras_mlp3d import MLP3D, CycleMLP, TwoPathMLP3D
from keras_mlp3d.hub import read_preset
from keras_mlp3d.models import FrameCycleMLP

#: Name -> what a preset holds instead.
HOSTILE = {
    "\ud800": r"\ud800",
    "caf\udce9": r"caf\udce9",
    "red \x1b[31m": r"red \x1b[31m",
    "title \x1b]0;x\x07": r"title \x1b]0;x\x07",
    "C1 \x9b31m": r"C1 \x9b31m",
    "two\nlines": r"two\nlines",
    "carriage\rreturn": r"carriage\rreturn",
    "nul\x00": r"nul\x00",
    "delete\x7f": r"delete\x7f",
    "separator\u2028": r"separator\u2028",
    "\u202egnp.exe": r"\u202egnp.exe",
    "tab\t": r"tab\t",
    "n" * 5000: "n" * 999 + "…",
    7: "7",
    b"bytes": "b'bytes'",
    None: "None",
}
#: Names that stay as they are.
KEPT = ["Zoë", "走る", "می‌خواهم", "👩‍🚀", "a | b", "<b>", "\\n", "`", "$x$", "שלום", " a ", "ａ"]
RAW = set(map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x2028, 0x202E, 0xD800, 0xDCE9]))


def networks(names):
    count = len(names)
    frame = tiny.tiny_cycle_mlp(num_classes=count)
    paths = [tiny.tiny_model(num_classes=count, task={"name": name}) for name in ("a", "b")]
    yield tiny.tiny_model(num_classes=count)
    yield frame
    yield FrameCycleMLP(frame)
    yield TwoPathMLP3D(*paths, motion_size=(36, 50))


def test_a_new_network_refuses_them():
    """Before any training, not after it."""
    for name in HOSTILE:
        for make in (tiny.tiny_model, tiny.tiny_cycle_mlp):
            options = {"class_names": ["good", name]}
            options = {"task": options} if make is tiny.tiny_model else options
            with pytest.raises(ValueError, match="class_names must") as caught:
                make(num_classes=2, **options)
            message = str(caught.value)
            assert not RAW & set(message)
            assert len(message) < 300
    with pytest.raises(ValueError, match=r"class_names take 1,\d+,\d+ bytes in a preset"):
        tiny.tiny_cycle_mlp(num_classes=2000, class_names=[f"{i:900}" for i in range(2000)])


def test_good_names_are_kept(tmp_path):
    for index, network in enumerate(networks(KEPT)):
        network.class_names = list(KEPT)
        network.save_to_preset(tmp_path / str(index))
        again = type(network).from_preset(tmp_path / str(index))
        if not isinstance(network, FrameCycleMLP):
            assert again.class_names == KEPT


@pytest.mark.parametrize("which", range(4), ids=["MLP3D", "CycleMLP", "FrameCycleMLP", "TwoPath"])
def test_a_training_that_has_run_is_saved(which, tmp_path, capsys):
    """Nobody checks an attribute that is set later: the weights are saved all the same."""
    names = list(HOSTILE)
    network = list(networks(names))[which]
    network.class_names = names
    if isinstance(network, FrameCycleMLP):
        network.cycle_mlp.class_names = names
    network.save_to_preset(
        tmp_path / "preset", "Trained \x1b[31m\ud800.", training={"command": "\x1b"}
    )
    again = type(network).from_preset(tmp_path / "preset")
    assert list(again.class_names) == list(HOSTILE.values())
    given, got = weights_of(network), weights_of(again)
    assert given.keys() == got.keys()
    assert all((got[name] == value).all() for name, value in given.items())
    assert network.class_names == names  # the network in memory stays as it is
    for path in (tmp_path / "preset").iterdir():
        if path.suffix != ".h5":
            assert not RAW & set(path.read_bytes().decode()), path.name
    files = read_preset(tmp_path / "preset")
    for text in (*files.class_names, files.description, (files.folder / "README.md").read_text()):
        print(text)
    assert not RAW & set(capsys.readouterr().out)


def test_names_that_come_twice_are_told_apart(tmp_path):
    network = tiny.tiny_model(num_classes=4)
    network.class_names = ["a", "a", "\x1b", "\\x1b"]
    network.save_to_preset(tmp_path / "preset")
    assert MLP3D.from_preset(tmp_path / "preset").class_names == [
        "a",
        "a (1)",
        "\\x1b",
        "\\x1b (3)",
    ]


def test_presets_from_outside(tmp_path):
    """Raw labels in a preset of someone else's become printable when it is read."""
    tiny.tiny_model(num_classes=2).save_to_preset(tmp_path / "preset")
    task = json.loads((tmp_path / "preset" / "task.json").read_text())
    task["config"]["class_names"] = ["\ud800", "\x1b[31m"]
    (tmp_path / "preset" / "task.json").write_text(json.dumps(task))
    assert read_preset(tmp_path / "preset").class_names == [r"\ud800", r"\x1b[31m"]
    assert MLP3D.from_preset(tmp_path / "preset").class_names == [r"\ud800", r"\x1b[31m"]


def test_numpy_numbers_are_saved(tmp_path):
    network = CycleMLP((4, 8, 8, 12), (1, 1, 1, 1), 2, num_classes=3)
    metrics = [{"name": "top-1", "value": np.float32(0.5)}]
    network.save_to_preset(tmp_path / "preset", metrics=metrics, image_size=np.array([32, 32]))
    assert CycleMLP.from_preset(tmp_path / "preset").num_classes == 3
    metadata = read_preset(tmp_path / "preset").metadata
    assert metadata["metrics"][0]["value"] == 0.5
    assert metadata["image_size"] == [32, 32]


def test_no_name_is_logged_raw(tmp_path, caplog):
    network = tiny.tiny_model(num_classes=2)
    network.class_names = ["\x1b[31m", "\ud800"]
    network.save_to_preset(tmp_path / "preset")
    with caplog.at_level(logging.DEBUG, "keras_mlp3d"):
        MLP3D.from_preset(tmp_path / "preset", num_classes=3)
    assert "newly initialized: head/kernel, head/bias" in caplog.text
    assert not RAW & set(caplog.text)
