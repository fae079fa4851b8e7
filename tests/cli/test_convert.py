"""`convert`: checkpoints to presets, and what is refused before anything is read or written."""

import json
import re
import shlex

import numpy as np
import pytest
import safetensors.numpy
from cli.checkpoints import state_dict
from cli.conftest import SIZES

from keras_mlp3d import conversion, hub, models
from keras_mlp3d.cli import convert
from keras_mlp3d.models import MLP3D, CycleMLP

BUILT_IN = {
    "cyclemlp_b1": ((64, 128, 320, 512), (2, 2, 4, 2), (4, 4, 4, 4)),
    "cyclemlp_b2": ((64, 128, 320, 512), (2, 3, 10, 3), (4, 4, 4, 4)),
    "cyclemlp_b3": ((64, 128, 320, 512), (3, 4, 18, 3), (8, 8, 4, 4)),
    "cyclemlp_b5": ((96, 192, 384, 768), (3, 4, 24, 3), (4, 4, 4, 4)),
    "cyclemlp_nano": ((16, 32, 64, 96), (1, 1, 1, 1), (2, 2, 2, 2)),
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Weights of the sizes of the tiny presets, with 7 classes, which none of them has."""
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    safetensors.numpy.save_file(state_dict(*SIZES, classes=7), path)
    return path


def test_to_a_preset_of_cyclemlp(run, presets, checkpoint, tmp_path):
    source = presets / "frames"
    code, out, err = run("convert", checkpoint, "--to", tmp_path / "new", "--from", source)
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'new'}: CycleMLP with the weights of tiny.safetensors")
    model = CycleMLP.from_preset(tmp_path / "new")
    state = state_dict(*SIZES, classes=7)
    head = model.get_layer("head")
    np.testing.assert_array_equal(np.asarray(head.kernel), state["head.weight"].T)
    np.testing.assert_array_equal(np.asarray(model.get_layer("norm").gamma), state["norm.weight"])
    metadata = json.loads((tmp_path / "new" / "metadata.json").read_text())
    assert metadata["source"].startswith("Converted from tiny.safetensors, SHA-256 ")
    assert metadata["source"].endswith(hub.file_sha256(checkpoint))
    assert metadata["image_size"] == [32, 32]


@pytest.mark.parametrize(("num_classes", "fresh"), [(None, True), (7, False)])
def test_to_a_preset_of_mlp3d(run, presets, checkpoint, tmp_path, num_classes, fresh):
    classes = [] if num_classes is None else ["--num-classes", num_classes]
    code, out, err = run(
        *("convert", checkpoint, "--to", tmp_path / "new", "--inflate", presets / "clips"),
        *("--from", presets / "frames", *classes),
    )
    assert (code, err) == (0, "")
    model = MLP3D.from_preset(tmp_path / "new")
    assert model.num_classes == (num_classes or 4)
    assert model.converter.num_frames == 8
    frame_model = CycleMLP.from_preset(presets / "frames", load_weights=False, num_classes=7)
    conversion.load_cyclemlp(frame_model, checkpoint)
    kernels = [
        np.asarray(network.get_layer("embedding").kernel)
        for network in (model.backbone, frame_model)
    ]
    np.testing.assert_array_equal(kernels[0][2], kernels[1][0])
    assert (kernels[0][[0, 1, 3]] == 0).all()
    heads = [np.asarray(network.get_layer("head").bias) for network in (model, frame_model)]
    assert np.array_equal(*heads) is not fresh
    assert ("New, not from the checkpoint: head/kernel, head/bias" in out) is fresh


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_architecture_is_found_from_the_shapes(name):
    channels, depths, ratios = BUILT_IN[name]
    shapes = {}
    for stage in range(4):
        for block in range(depths[stage]):
            wide, key = channels[stage], f"network.{2 * stage}.{block}"
            shapes[f"{key}.norm1.weight"] = (wide,)
            shapes[f"{key}.mlp.fc1.weight"] = (ratios[stage] * wide, wide)
    assert convert._find_architecture(shapes, "a.pth").handle == name


def test_an_unknown_architecture_needs_its_preset(run, checkpoint, tmp_path):
    code, _, err = run("convert", checkpoint, "--to", tmp_path / "new")
    assert code == 2
    assert "its channels are (8, 8, 16, 16), its depths (1, 1, 1, 1)" in err
    assert "with --from" in err
    assert not (tmp_path / "new").exists()


def test_a_directory_that_holds_other_things_is_refused_first(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, _, err = run("convert", "absent.pth", "--to", tmp_path)
    assert code == 2
    assert "thesis.tex" in err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pth"], "'absent.pth' does not exist"),
        (["absent.pth", "--inflate", "cyclemlp_b1"], "--inflate needs a preset of MLP3D, such as"),
        (["absent.pth", "--from", "mlp3d_xs"], "--from needs a preset of CycleMLP, such as"),
        (["absent.pth", "--num-classes", "5"], "--num-classes is for --inflate"),
        (
            ["{checkpoint}", "--from", "{presets}/frames", "--inflate", "mlp3d_xs"],
            "It fits: no built-in preset",
        ),
        (["{checkpoint}", "--from", "cyclemlp_b1", "--inflate", "mlp3d_m"], "It fits: mlp3d_xs"),
    ],
)
def test_bad_input(run, presets, checkpoint, tmp_path, arguments, message):
    arguments = [text.format(presets=presets, checkpoint=checkpoint) for text in arguments]
    code, out, err = run("convert", *arguments, "--to", tmp_path / "new")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "new").exists()


ARCHITECTURES = [name for name in hub.list_presets() if hub.read_builtin(name).weights == "none"]


def advice(name):
    """What the error for a preset without weights advises, as words of a command."""
    files = hub.read_builtin(name)
    with pytest.raises(ValueError, match="is an architecture without weights") as error:
        getattr(models, files.class_name).from_preset(name)
    command = re.search(r", or .*: keras-mlp3d (.*)\.$", str(error.value))
    if command is None:
        started = re.search(r", or load '(\w+)', which starts from ImageNet\.$", str(error.value))[
            1
        ]
        assert hub.read_builtin(started).weights != "none"
    return [] if command is None else shlex.split(command[1])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_advised_for_an_architecture_takes_it(run, name, tmp_path):
    """Every preset and option is accepted; only what stands for the user's files is missing."""
    words = advice(name)
    if not words:
        return
    given = {"CHECKPOINT": "absent.pth", "DIRECTORY": str(tmp_path / "absent")}
    code, out, err = run(*(given.get(word, word) for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert given["DIRECTORY" if words[0] == "train" else "CHECKPOINT"] in err
    assert "exist" in err
    if "--inflate" in words:
        sizes = [convert._sizes(files) for files in convert._built_in("CycleMLP")]
        assert convert._sizes(hub.read_builtin(name)) in sizes


@pytest.mark.parametrize("name", ["cyclemlp_nano", "mlp3d_nano", "mlp3d_nano_lip_phrases"])
def test_what_is_advised_for_an_architecture_makes_a_preset(run, name, tmp_path):
    state = state_dict(*BUILT_IN["cyclemlp_nano"], classes=7)
    safetensors.numpy.save_file(state, tmp_path / "mine.safetensors")
    given = {"CHECKPOINT": tmp_path / "mine.safetensors", "DIRECTORY": tmp_path / "new"}
    code, _, err = run(*(given.get(word, word) for word in advice(name)))
    assert (code, err) == (0, "")
    made = hub.read_preset(tmp_path / "new")
    assert (made.class_name, made.weights) == (hub.read_builtin(name).class_name, "bundled")


def test_a_head_that_declares_too_many_classes(run, presets, tmp_path):
    state = state_dict(*SIZES, classes=1)
    state["head.bias"] = np.zeros(100_001, "float32")
    safetensors.numpy.save_file(state, tmp_path / "wide.safetensors")
    arguments = ["--to", tmp_path / "new", "--from", presets / "frames"]
    code, _, err = run("convert", tmp_path / "wide.safetensors", *arguments)
    assert code == 2
    assert "a head of 100001 classes" in err
