"""`keras-mlp3d predict --window`: scores of long videos over time."""

import json

import av
import pytest
from cli.conftest import NAMES
from data.make_videos import moving_frames, write_frames, write_lossless
from inference.test_classify_stream import RATE, encoded, served

from keras_mlp3d import MLP3D
from keras_mlp3d.inference import classify_windows


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Six seconds at eight frames a second."""
    return write_lossless(tmp_path_factory.mktemp("long") / "long.mkv", moving_frames(48, 64, 96))


def expected(presets, video, window, hop):
    model = MLP3D.from_preset(presets / "clips")
    return list(classify_windows(model, video, window, hop))


def test_a_row_per_window(run, quick, presets, long, tmp_path):
    rows = expected(presets, long, 2.0, 0.5)
    common = ["predict", long, "--preset", presets / "clips", "--window", "2s", "--top-k", 2]
    output = tmp_path / "out.jsonl"
    code, out, err = run(*common, "--json", "--output", output)
    assert (code, err) == (0, "")
    assert output.read_text() == out
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == len(rows) == 9
    for row, window in zip(found, rows, strict=True):
        assert (row["path"], row["start"], row["end"]) == (long, window.start, window.end)
        best = (-window.scores).argsort(kind="stable")[:2]
        assert row["labels"] == [NAMES[place] for place in best]
        assert row["scores"] == pytest.approx(window.scores[best].tolist(), abs=1e-6)
    code, out, _ = run(*common, "--hop", "1s")
    lines = out.splitlines()
    assert (code, lines[0], len(lines)) == (0, long, 6)
    assert lines[1].startswith("      0.00 s to     2.00 s  ")
    assert f" % {found[0]['labels'][0]}" in lines[1]


def test_pictures_of_it(run, quick, presets, long, tmp_path):
    plot, overlay = tmp_path / "out.png", tmp_path / "out.mp4"
    code, _, err = run(
        *("predict", long, "--preset", presets / "clips", "--window", "1", "--hop", "0.5"),
        *("--plot", plot, "--overlay", overlay),
    )
    assert (code, err) == (0, "")
    assert plot.stat().st_size > 0
    with av.open(str(overlay)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert float(file.streams.video[0].average_rate) == 8
    assert len(frames) == 48
    assert frames[0].shape == (64, 96, 3)


def test_a_folder_of_pictures_is_told_its_rate(run, quick, presets, tmp_path):
    folder, overlay = tmp_path / "run", tmp_path / "out.mp4"
    write_frames(folder, moving_frames(24, 64, 96))
    common = ["predict", folder, "--preset", presets / "clips"]
    code, _, err = run(*common, "--window", "1")
    assert code == 2
    assert "or on the command line --fps" in err
    options = ["--fps", "12", "--window", "1", "--overlay", overlay, "--json"]
    code, out, err = run(*common, *options)
    assert (code, err) == (0, "")
    assert [json.loads(line)["end"] for line in out.splitlines()] == [1.0, 1.5, 2.0]
    with av.open(str(overlay)) as file:
        assert float(file.streams.video[0].average_rate) == 12


def test_the_times_of_frames_follow_the_rate(run, quick, presets, tmp_path):
    folder, output = tmp_path / "run", tmp_path / "out.jsonl"
    write_frames(folder, moving_frames(24, 64, 96))
    common = ["predict", folder, "--preset", presets / "clips", "--output", output]
    code, _, err = run(*common, "--fps", "12")
    assert (code, err) == (0, "")
    row = json.loads(output.read_text().splitlines()[-1])
    times = [[place / 12 for place in clip] for clip in row["frame_indices"]]
    assert row["frame_times"] == [pytest.approx(clip, abs=1e-6) for clip in times]
    code, _, err = run(*common, "--fps", "24")
    assert code == 2
    assert "fps" in err


def test_one_bad_video_stops_no_other(run, quick, presets, long, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    output = tmp_path / "out.jsonl"
    code, out, err = run(
        *("predict", tmp_path / "bad.mp4", tmp_path / "absent.mp4", long),
        *("--preset", presets / "clips", "--window", "3", "--hop", "3", "--output", output),
    )
    assert code == 2
    assert "bad.mp4" in err
    assert "absent.mp4" in err
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row.get("start") for row in rows] == [None, None, 0.0, 3.0]
    assert "cannot be opened as a video" in rows[0]["error"]
    assert rows[1]["error"] == "no such video file or folder"
    assert out.splitlines()[-3] == long


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hop", "1"], "--hop needs --window"),
        (["--overlay", "out.mp4"], "--overlay needs --window"),
        (["--window", "0"], "expected seconds above 0, such as 2s, got '0'"),
        (["--window", "soon"], "expected seconds above 0, such as 2s, got 'soon'"),
        (["--fps", "0"], "expected a number above 0, got '0'"),
        (["--window", "2", "--clips", "3"], "--clips is for whole videos"),
        (["--window", "2", "--output", "out.csv"], "--output must end in .jsonl"),
        (["--window", "2", "--overlay", "out.gif"], "A video's name ends in .mp4"),
        (["--window", "2", "--plot", "out.gif"], "A picture's name ends in"),
    ],
)
def test_options_that_contradict(run, presets, long, options, message):
    code, out, err = run("predict", long, "--preset", presets / "clips", *options)
    assert (code, out) == (2, "")
    assert message in err


def test_a_camera(run, quick, presets, tmp_path):
    output = tmp_path / "out.jsonl"
    common = ["--preset", presets / "clips", "--window", "0.5", "--hop", "0.25", "--top-k", 2]
    with served(encoded(30), pause=0.02) as address:
        code, out, err = run(
            *("predict", "--camera", address, *common, "--json", "--output", output)
        )
    assert (code, err) == (0, "keras-mlp3d: note: reading; Ctrl-C ends it\n")
    assert output.read_text() == out
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[-1]["end"] == pytest.approx(29 / RATE)
    assert all(row["path"] == address and len(row["labels"]) == 2 for row in rows)
    with served(encoded(30), pause=0.02, ends=False) as address:
        code, out, err = run("predict", "--camera", address, *common)
    assert code == 2
    assert out.splitlines()[0] == f"{address}; Ctrl-C ends it"
    assert " s to " in out.splitlines()[1]
    assert f"cannot read the video '{address}'" in err


def test_addresses_of_streams_need_no_option(run, presets):
    code, _, err = run("predict", "tcp://127.0.0.1:1", "--preset", presets / "clips")
    assert code == 2
    assert "cannot read the video 'tcp://127.0.0.1:1'" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the following arguments are required: VIDEO, or --camera"),
        (["a.mp4", "--camera", "0"], "--camera takes no videos beside it, got 'a.mp4'"),
        (["--camera", "0", "--plot", "a.png"], "need a video that ends"),
        (["--camera", "0", "--fps", "9"], "--fps is for folders of pictures"),
        (["--camera", "0", "--output", "a.csv"], "--output must end in .jsonl"),
        (["--camera", "a.mp4"], "source must be the number of a camera"),
    ],
)
def test_cameras_and_other_options(run, presets, options, message):
    code, _, err = run("predict", *options, "--preset", presets / "clips")
    assert code == 2
    assert message in err


def test_results_and_several_videos(run, quick, presets, long, tmp_path):
    (tmp_path / "out.jsonl").write_text("hours of work")
    common = ["--preset", presets / "clips", "--window", "2"]
    code, _, err = run("predict", long, *common, "--output", tmp_path / "out.jsonl")
    assert code == 2
    assert "exists: choose another file" in err
    assert (tmp_path / "out.jsonl").read_text() == "hours of work"
    code, _, err = run("predict", long, long, *common, "--plot", tmp_path / "out.png")
    assert code == 2
    assert "take one video" in err


def test_an_overlay_replaces_no_file(run, presets, long, tmp_path):
    mine = tmp_path / "mine.mkv"
    mine.write_bytes(b"mine")
    code, out, err = run(
        *("predict", long, "--preset", presets / "clips", "--window", "1", "--overlay", mine)
    )
    assert (code, out) == (2, "")
    assert f"--overlay '{mine}' exists" in err
    assert mine.read_bytes() == b"mine"


def test_an_error_of_any_kind_stops_no_other_video(
    run, quick, presets, long, tmp_path, monkeypatch
):
    def windows(model, path, *_):
        if path == "broken.mp4":
            raise ImportError("a library is missing")
        return iter(expected(presets, path, 3.0, 3.0))

    monkeypatch.setattr("keras_mlp3d.inference.classify_windows", windows)
    broken, output = "broken.mp4", tmp_path / "out.jsonl"
    (tmp_path / broken).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(
        *("predict", broken, long, "--preset", presets / "clips", "--window", "3"),
        *("--output", output),
    )
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert code == 2
    assert "a library is missing" in err
    assert "a library is missing" in rows[0]["error"]
    assert [row["path"] for row in rows[1:]] == [long, long]


def test_an_error_of_the_output_is_not_that_of_a_video(
    run, quick, presets, long, tmp_path, monkeypatch
):
    def append(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("keras_mlp3d.cli.timeline.append", append)
    output = tmp_path / "out.jsonl"
    code, _, err = run(
        *("predict", long, "--preset", presets / "clips", "--window", "3", "--output", output)
    )
    assert code != 0
    assert "cannot read the video" not in err
    assert "out.jsonl" in err


def test_a_start_that_fails_leaves_no_file(run, presets, long, tmp_path):
    output = tmp_path / "out.jsonl"
    common = ["predict", long, "--window", "3", "--output", output]
    code, _, err = run(*common, "--preset", "nope")
    assert code == 2
    assert "nope" in err
    assert not output.exists()
