"""`keras-mlp3d shard`: what it writes, says and returns."""

import io

import pytest
from data.make_videos import moving_frames, write_frames, write_lossless

from keras_mlp3d.data import read_manifest


@pytest.fixture
def folder(tmp_path):
    for name in ("run", "jump"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            path = tmp_path / "data" / name / f"{number}.mkv"
            write_lossless(path, moving_frames(4, 16, 16))
    return tmp_path / "data"


def test_shards_and_what_is_left_out(run, folder, tmp_path):
    (folder / "run" / "c.mp4").write_text("no video")
    command = ("shard", folder, "--to", tmp_path / "to", "--shards", 2, "--workers", 2)
    index = tmp_path / "to" / "train.shards.json"
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    first, last = out.splitlines()
    assert first.startswith("run/c.mp4: left out: it cannot be opened as a video")
    assert last == f"4 clips, 1 left out; 2 shards written, 0 kept; {index}"
    assert run(*command)[1].splitlines()[1] == (
        f"4 clips, 1 left out; 0 shards written, 2 kept; {index}"
    )
    manifest = read_manifest(tmp_path / "to")
    assert manifest.class_names == ("jump", "run")
    code, _, err = run(*command, "--quality", 9)
    assert (code, err.count("\n")) == (2, 1)
    assert "quality 3 and not 9" in err


def test_data_sets_of_other_formats(run, tmp_path):
    write_frames(tmp_path / "videos" / "7", moving_frames(4, 16, 16))
    (tmp_path / "labels.csv").write_text("walk\njump\n")
    (tmp_path / "train.csv").write_text("7;jump\n9;walk\n")
    command = ("shard", tmp_path, "--to", tmp_path / "to", "--format", "something-v1")
    code, _, err = run(*command)
    assert code == 2
    assert "needs --videos" in err
    code, out, err = run(*command, "--videos", tmp_path / "videos")
    assert (code, err) == (0, "1 videos of the list do not exist\n")
    assert out.startswith("1 clips, 0 left out; 1 shards written")
    assert run("shard", tmp_path, "--to", tmp_path / "to", "--videos", tmp_path)[0] == 2


def test_a_validation_video_stops_it(run, folder, tmp_path):
    (folder / "run" / "c.mp4").write_text("no video")
    code, _, err = run("shard", folder, "--split", "val", "--to", tmp_path / "to")
    assert code == 2
    assert "run/c.mp4" in err


def test_a_bar_on_standard_error_where_a_person_watches(run, folder, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert run("shard", folder, "--to", tmp_path / "to")[0] == 0
    assert "4/4" in terminal.getvalue()
