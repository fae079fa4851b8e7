"""The options of lists, on every command that reads one."""

import argparse

import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.cli.inputs import read_data
from keras_mlp3d.cli.main import build_parser

#: Each command that reads a data set, with what else it needs.
COMMANDS = {
    "check-videos": ["LIST"],
    "pixel-statistics": ["LIST"],
    "shard": ["LIST", "--to", "x"],
    "train": ["--data", "LIST", "--preset", "x"],
    "evaluate": ["--data", "LIST", "--preset", "x"],
    "search": ["--data", "LIST", "--preset", "x"],
    "compare": ["--data", "LIST", "--preset", "x"],
    "correlation": ["--data", "LIST", "--search", "x"],
    "export": ["--preset", "x", "--benchmark", "--data", "LIST"],
}
OPTIONS = (
    *("--columns", "--separator", "--header", "--no-header", "--label-separator"),
    "--class-names",
)


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write_lossless(tmp_path / f"{name}.mkv", moving_frames(4, 16, 16))
    (tmp_path / "plain.csv").write_text("path,label\na.mkv,run\nb.mkv,jump\n")
    (tmp_path / "other.txt").write_text("id;file;class\n1;a.mkv;1\n2;b.mkv;2\n")
    (tmp_path / "names.txt").write_text("jump\nrun\nspin\n\n")
    return tmp_path


def test_every_command_that_reads_a_data_set_has_them():
    actions = build_parser()._actions
    (commands,) = (one for one in actions if isinstance(one, argparse._SubParsersAction))
    having = set()
    for name, parser in commands.choices.items():
        known = {text for action in parser._actions for text in action.option_strings}
        assert not {*OPTIONS} & known or {*OPTIONS} <= known, name
        if {*OPTIONS} <= known:
            having.add(name)
    assert having == {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_lists_are_read_as_the_options_say(folder, command):
    """Through the parser of each command."""
    source = str(folder / "other.txt")
    line = [source if part == "LIST" else part for part in COMMANDS[command]]
    options = build_parser().parse_args(
        [command, *line, "--columns", "path=file, label=3", "--class-names", "1,2"]
    )
    manifest = read_data(options, source, "train")
    assert [row.path for row in manifest.rows] == [str(folder / "a.mkv"), str(folder / "b.mkv")]
    assert (manifest.class_names, manifest.labels.tolist()) == (("1", "2"), [0, 1])


def test_the_videos_of_a_list_are_checked(run, folder):
    code, out, err = run("check-videos", folder / "plain.csv")
    assert (code, out[:8], err) == (0, "2 files:", "")
    code, out, err = run("check-videos", folder / "other.txt")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--columns path=file,label=class" in err
    code, _, err = run("check-videos", folder / "other.txt", "--columns", "path=file,label=class")
    assert code == 2
    assert "line 2 has the label '1'" in err
    assert "--class-names" in err
    named = ["--columns", "path=file,label=class", "--class-names", folder / "names.txt"]
    assert run("check-videos", folder / "other.txt", *named)[0] == 0
    (folder / "no_header.txt").write_text("a.mkv 0\nb.mkv 1\n")
    assert run("check-videos", folder / "no_header.txt", "--no-header")[0] == 0
    code, _, err = run("check-videos", folder / "no_header.txt", "--separator", "comma")
    assert code == 2
    assert "separated by comma" in err


def test_a_list_for_training_and_a_folder_for_validation(folder):
    """Options of lists count for what is one."""
    (folder / "val" / "1").mkdir(parents=True)
    (folder / "val" / "1" / "a.mp4").touch()
    data = ["--data", str(folder / "other.txt"), "--val", str(folder / "val")]
    options = build_parser().parse_args(
        ["train", "--preset", "x", *data, "--columns", "path=file,label=class"]
    )
    assert read_data(options, options.val, "val").class_names == ("1",)
    options.data = str(folder)
    with pytest.raises(ValueError, match="columns is for a CSV"):
        read_data(options, options.val, "val")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--columns", "file"],
            "NAME=COLUMN,... such as path=file,label=class, got 'file'",
        ),
        (["--columns", "path=a,path=b"], "expected NAME=COLUMN"),
        (["--columns", "path="], "expected NAME=COLUMN"),
        (["--columns", "video=file"], "columns must have keys among"),
        (["--separator", "|"], "invalid choice: '|'"),
        (["--class-names", "nowhere.txt"], "or an existing text file, got 'nowhere.txt'"),
        (["--class-names", "run,run"], "distinct"),
    ],
)
def test_wrong_options(run, folder, options, message):
    code, out, err = run("check-videos", folder / "plain.csv", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_names_of_classes_from_a_file_that_is_no_text(run, folder):
    (folder / "names.txt").write_bytes(b"caf\xe9\n")
    code, _, err = run("check-videos", folder / "plain.csv", "--class-names", folder / "names.txt")
    assert code == 2
    assert "names.txt is no text file in UTF-8" in err


def test_lists_of_other_formats_take_none(run, folder):
    for option in (["--columns", "path=a"], ["--no-header"], ["--class-names", "a,b"]):
        code, _, err = run(
            *("shard", folder / "plain.csv", "--to", folder / "x", *option),
            *("--format", "kinetics", "--videos", folder),
        )
        assert code == 2
        assert "is not for --format kinetics" in err
