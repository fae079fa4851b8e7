"""`predict`: which videos, which clips, what is printed and drawn."""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from cli.conftest import NAMES, logits_of
from data.make_videos import moving_frames, write_damaged
from matplotlib.image import imread

from keras_mlp3d._utils.find_videos import Found
from keras_mlp3d.cli import predict
from keras_mlp3d.cli.results_file import ResultsFile
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.inference import Prediction
from keras_mlp3d.models import MLP3D

pytestmark = pytest.mark.usefixtures("quick")


def scores_of(views):
    powers = np.exp(logits_of(views).astype("float64"))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)


def expected(path, converter, **views):
    clips, indices = converter.views(path, **views)
    scores = scores_of(clips)
    best = np.argsort(-scores)
    return [NAMES[place] for place in best], scores[best], indices


def test_videos_of_a_folder_as_json(run, presets, videos):
    code, out, err = run("predict", videos, "--preset", presets / "clips", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    paths = [str(videos / "b.mkv"), str(videos / "sub" / "a.mkv")]
    assert [entry["path"] for entry in said] == paths
    for entry in said:
        labels, scores, indices = expected(entry["path"], VideoConverter(8, (32, 32)), crops=3)
        assert entry["labels"] == labels
        np.testing.assert_allclose(entry["scores"], scores, rtol=1e-5)
        assert entry["frame_indices"] == indices.tolist()


def test_text(run, presets, videos):
    path = videos / "b.mkv"
    code, out, err = run("predict", path, "--preset", presets / "clips", "--top-k", 2)
    labels, scores, _ = expected(str(path), VideoConverter(8, (32, 32)), crops=3)
    lines = [f"  {100 * scores[k]:5.1f} %  {labels[k]}" for k in range(2)]
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(path), *lines]


def test_clips_and_their_form(run, presets, videos):
    path = str(videos / "b.mkv")
    form = ["--clips", 2, "--crops", 1, "--frames", 16, "--size", "36x40"]
    for preset in ("clips", "no_converter"):
        code, out, _ = run("predict", path, "--preset", presets / preset, *form, "--json")
        _, scores, indices = expected(path, VideoConverter(16, (36, 40)), clips=2, crops=1)
        [entry] = json.loads(out)
        assert code == 0
        np.testing.assert_allclose(entry["scores"], scores, rtol=1e-5)
        assert entry["frame_indices"] == indices.tolist()


def test_a_network_on_single_images(run, presets, videos):
    path = str(videos / "b.mkv")
    code, out, _ = run("predict", path, "--preset", presets / "frames", "--json")
    views, indices = VideoConverter(16, (32, 32)).views(path, crops=3)
    scores = scores_of(views.reshape(-1, 32, 32, 3))
    [entry] = json.loads(out)
    assert code == 0
    np.testing.assert_allclose(entry["scores"], np.sort(scores)[::-1], rtol=1e-5)
    assert entry["frame_indices"] == indices.tolist()


def test_a_picture(run, presets, videos, tmp_path):
    picture = tmp_path / "out.png"
    code, out, _ = run("predict", videos, "--preset", presets / "clips", "--plot", picture)
    assert code == 0
    assert out.count(".mkv") == 2
    assert imread(picture).shape[1] == 1920
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


def test_unreadable_videos_do_not_stop_the_others(run, presets, videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    arguments = [tmp_path / "bad.mp4", videos / "b.mkv", "--preset", presets / "clips"]
    code, out, err = run("predict", *arguments, "--plot", tmp_path / "out.png")
    assert code == 2
    assert out.splitlines()[0] == str(videos / "b.mkv")
    assert err.startswith("keras-mlp3d: error: cannot read the video")
    assert err.count("\n") == 1
    assert "bad.mp4" in err
    assert (tmp_path / "out.png").is_file()
    code, out, _ = run("predict", *arguments, "--json")
    assert (code, len(json.loads(out))) == (2, 1)


def test_progress_where_a_person_watches(run, presets, videos, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = run("predict", videos, "--preset", presets / "clips", "--json")
    assert code == 0
    lines = [line for line in err.split("\r\x1b[K") if line]
    assert [line.partition(" ")[0] for line in lines] == ["1/2", "2/2"]
    for line, name in zip(lines, ("b.mkv", "sub/a.mkv"), strict=True):
        path = str(videos / name)
        assert line[4:] == (path if len(path) <= 50 else f"…{path[-49:]}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.mp4"], "no such video file or folder: absent.mp4"),
        (["{presets}"], "holds no videos"),
        (["{videos}", "--preset", "mlp3d_nan"], "Unknown preset 'mlp3d_nan'"),
        (["{videos}", "--preset", "mlp3d_nano"], "is an architecture without weights"),
        (["{videos}", "--preset", "{presets}/backbone"], "is a backbone without classes. Train it"),
        (["{videos}", "--preset", "{presets}/no_converter"], "pass --frames and --size"),
        (["{videos}", "--preset", "{presets}/clips", "--frames", "12"], "12 frames does not fit"),
        (["{videos}", "--plot", "out.jpg"], "ends in .png, .pdf, .svg"),
        (["{videos}", "--plot", "absent/out.png"], "does not exist"),
    ],
)
def test_bad_input_is_one_line(run, presets, videos, arguments, message):
    arguments = [text.format(presets=presets, videos=videos) for text in arguments]
    code, out, err = run("predict", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_too_many_videos_for_a_picture(run, videos):
    code, _, err = run("predict", *[videos / "b.mkv"] * 101, "--plot", "out.png")
    assert code == 2
    assert "--plot draws at most 100 videos, got 101" in err


# Odd things, and a file of results --------------------------------------------------------------


@pytest.fixture
def odd(tmp_path, videos):
    """A folder with two videos and every odd thing; what is wrong, by name."""
    folder = tmp_path / "odd"
    (folder / "run").mkdir(parents=True)
    (folder / "jump").mkdir()
    for name in ("run/00000.mkv", "jump/00000.mkv"):
        shutil.copy(videos / "b.mkv", folder / name)
    os.rename(folder / "jump" / "00000.mkv", folder / "jump" / os.fsdecode(b"caf\xe9\x1b[2J.mkv"))
    (folder / "run" / "notes.txt").touch()
    (folder / "broken.mp4").write_text("no video")
    (folder / "empty.avi").touch()
    os.mkfifo(folder / "pipe.mp4")
    os.symlink("gone.mp4", folder / "dangling.mp4")
    os.symlink("round.mp4", folder / "round.mp4")
    os.symlink("..", folder / "run" / "up")
    return folder, {
        "broken.mp4": "it cannot be opened as a video",
        "dangling.mp4": "it is a link to gone.mp4, which does not exist",
        "empty.avi": "it cannot be opened as a video",
        "pipe.mp4": "it is not a regular file",
        "round.mp4": "it is a link that cannot be followed",
    }


def test_warnings_cannot_steer_the_terminal(run, presets, tmp_path):
    """A damaged video is read as far as it goes, and its name is harmless."""
    path = write_damaged(tmp_path / "a\x1b[2J\nb.mov", moving_frames(12, 36, 60), first_bad=9)
    code, out, err = run("predict", path, "--preset", presets / "clips")
    assert code == 0
    assert "\x1b" not in out + err
    assert len(out.splitlines()) == 5
    [line] = err.splitlines()
    assert line.startswith("keras-mlp3d: warning: ")
    assert "only the first 9 of its 12 frames can be decoded" in line


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_odd_thing_is_named_and_stops_nothing(run, presets, odd, tmp_path, monkeypatch):
    folder, wrong = odd
    monkeypatch.chdir(tmp_path)
    arguments = ["predict", "absent.mp4", "odd", "--preset", presets / "clips"]
    code, out, err = run(*arguments, "--output", "out.jsonl")
    assert code == 2
    assert "\x1b" not in out + err
    assert [line for line in out.splitlines() if not line.startswith("  ")] == [
        "odd/jump/caf [2J.mkv",
        "odd/run/00000.mkv",
    ]
    said = err.splitlines()
    assert said[0] == (
        "keras-mlp3d: note: odd/run/up is a link to a folder that it is in, and is not followed"
    )
    assert said[1] == "keras-mlp3d: error: no such video file or folder: absent.mp4"
    assert said[-1] == "keras-mlp3d: note: left out by their endings: 1 .txt"
    for line, (name, reason) in zip(said[2:-1], wrong.items(), strict=True):
        assert line.startswith(f"keras-mlp3d: error: cannot read the video 'odd/{name}': {reason}")
    rows = {row["path"]: row for row in lines_of(tmp_path / "out.jsonl")}
    assert [path for path, row in rows.items() if row["error"] is None] == [
        "odd/jump/caf\udce9\x1b[2J.mkv",
        "odd/run/00000.mkv",
    ]
    assert rows["absent.mp4"]["error"] == "no such video file or folder"
    for name, reason in wrong.items():
        assert rows[f"odd/{name}"]["error"].startswith(reason)
    labels, scores, indices = expected(
        str(folder / "run" / "00000.mkv"), VideoConverter(8, (32, 32)), crops=3
    )
    row = rows["odd/run/00000.mkv"]
    assert row["labels"] == labels
    np.testing.assert_allclose(row["scores"], scores, rtol=1e-5)
    assert row["frame_indices"] == indices.tolist()
    np.testing.assert_allclose(row["frame_times"], indices / 8)
    settings = row["settings"]
    assert len(settings.pop("model")) == 16
    assert settings == {
        "preset": str(presets / "clips"), "clips": 1, "crops": 3, "top_k": 5, "fps": None,
        "frames": 8, "size": [32, 32],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_the_same_command_resumes(run, presets, odd, tmp_path, monkeypatch, name):
    folder, wrong = odd
    arguments = ["predict", folder, "--preset", presets / "clips", "--output", tmp_path / name]
    assert run(*arguments)[0] == 2
    content = (tmp_path / name).read_bytes()
    (folder / "broken.mp4").unlink()
    shutil.copy(folder / "run" / "00000.mkv", folder / "broken.mp4")
    seen, read = [], VideoConverter.read
    monkeypatch.setattr(
        VideoConverter,
        "read",
        lambda self, path, **options: (seen.append(path), read(self, path, **options))[1],
    )
    code, out, err = run(*arguments)
    assert code == 2
    assert out.splitlines()[0] == str(folder / "broken.mp4")
    assert len(out.splitlines()) == 5
    assert "out" in err
    assert "holds 2 videos, which are not classified again" in err
    assert set(seen) == {str(folder / name) for name in ("broken.mp4", "empty.avi", "pipe.mp4")}
    assert (tmp_path / name).read_bytes().count(b"\n") == content.count(b"\n")
    for name_ in wrong:
        (folder / name_).unlink()
    seen.clear()
    code, out, err = run(*arguments)
    assert (code, out, seen) == (0, "", [])
    assert "holds 3 videos" in err


def test_the_table(run, presets, odd, tmp_path):
    folder, wrong = odd
    table = tmp_path / "out.csv"
    run("predict", folder, "--preset", presets / "clips", "--top-k", 2, "--output", table)
    with open(table, newline="", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert list(rows[0]) == [
        "path", "folder", "error", "label_1", "score_1", "label_2", "score_2", "frame_indices",
        "frame_times", "settings",
    ]  # fmt: skip
    assert len(rows) == 2 + len(wrong)
    for row in rows:
        if row["error"]:
            assert row["label_1"] == row["frame_times"] == ""
        else:
            labels, scores, indices = expected(row["path"], VideoConverter(8, (32, 32)), crops=3)
            assert [row["label_1"], row["label_2"]] == labels[:2]
            np.testing.assert_allclose(float(row["score_1"]), scores[0], rtol=1e-5)
            assert json.loads(row["frame_indices"]) == indices.tolist()
            np.testing.assert_allclose(json.loads(row["frame_times"]), indices / 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clips", "2"], "clips 1, now 2"),
        (["--crops", "1", "--top-k", "1"], "crops 3, now 1; top_k 5, now 1"),
        (["--frames", "16"], "frames 8, now 16"),
        (["--size", "36x40"], "size [32, 32], now [36, 40]"),
        (["--preset", "{presets}/frames"], "preset '{presets}/clips', now '{presets}/frames'"),
    ],
)
def test_results_of_another_kind_are_refused(run, presets, videos, tmp_path, options, message):
    output = tmp_path / "out.jsonl"
    arguments = ["predict", videos, "--preset", presets / "clips", "--output", output]
    assert run(*arguments)[0] == 0
    before = output.read_bytes()
    code, out, err = run(*arguments, *[option.format(presets=presets) for option in options])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{output} holds results with other settings:" in err
    assert message.format(presets=presets) in err
    assert output.read_bytes() == before


def test_a_preset_that_changed_is_noticed(run, presets, videos, tmp_path):
    preset = shutil.copytree(presets / "clips", tmp_path / "preset")
    output = tmp_path / "out.jsonl"
    arguments = ["predict", videos, "--preset", preset, "--output", output]
    assert run(*arguments)[0] == 0
    os.rename(preset, tmp_path / "moved")
    moved = ["predict", videos, "--preset", tmp_path / "moved", "--output", output]
    code, out, _ = run(*moved)
    assert (code, out) == (0, "")  # by another name the same
    model = MLP3D.from_preset(tmp_path / "moved")
    model.weights[0].assign(model.weights[0] + 1)
    model.save_to_preset(preset)
    code, _, err = run(*arguments)
    assert code == 2
    assert f"the preset '{preset}' has changed since" in err


def test_a_file_of_mine_is_not_overwritten(run, presets, videos, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("name,age\nme,7\n")
    code, out, err = run("predict", videos, "--preset", presets / "clips", "--output", output)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is no file of results that this command can resume" in err
    assert output.read_text() == "name,age\nme,7\n"


def test_nothing_is_left_of_a_command_that_does_not_begin(run, presets, videos, tmp_path):
    output = tmp_path / "out.csv"
    for wrong in (["--preset", "mlp3d_nan"], ["--preset", presets / "clips", "--frames", "12"]):
        code, _, _ = run("predict", videos, "--output", output, *wrong)
        assert code == 2
        assert not output.exists()


def test_a_full_disk(run, presets, videos, tmp_path, monkeypatch):
    output = tmp_path / "out.jsonl"
    arguments = ["predict", videos, "--preset", presets / "clips", "--output", output]
    append, rows = ResultsFile._append, []

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    def second_fails(self, data):
        rows.append(data)
        if len([row for row in rows if row]) == 2:
            self._file = Full(self._file)
        append(self, data)

    monkeypatch.setattr(ResultsFile, "_append", second_fails)
    code, out, err = run(*arguments)
    assert (code, err) == (1, f"keras-mlp3d: error: No space left on device: {output}\n")
    assert out.splitlines()[0] == str(videos / "b.mkv")
    assert [row["path"] for row in lines_of(output)] == [str(videos / "b.mkv")]
    monkeypatch.undo()
    code, out, _ = run(*arguments)
    assert (code, len(lines_of(output))) == (0, 2)


def test_json_and_output(run, presets, videos, tmp_path):
    arguments = ["predict", videos, "--preset", presets / "clips", "--json"]
    _, alone, _ = run(*arguments)
    _, both, _ = run(*arguments, "--output", tmp_path / "out.jsonl")
    assert both == alone
    assert json.loads(alone)[0].keys() == {
        "path", "error", "labels", "scores", "frame_indices", "frame_times",
    }  # fmt: skip
    assert alone == json.dumps(json.loads(alone), indent=2) + "\n"
    code, out, _ = run(*arguments, "--output", tmp_path / "out.jsonl")
    assert (code, out) == (0, "[]\n")


def test_a_picture_of_a_resumed_command_has_all(run, presets, videos, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "keras_mlp3d.plots.plot_predictions",
        lambda predictions, frames, path, **_: drawn.append((list(predictions), list(frames))),
    )
    for name in ("out.jsonl", "out.csv"):
        output = ["--preset", presets / "clips", "--output", tmp_path / name]
        run("predict", videos / "b.mkv", *output)
        run("predict", videos, *output, "--plot", tmp_path / "all.png")
        run("predict", videos, *output, "--plot", tmp_path / "all.png")
        (first, frames), (again, frames_again) = drawn[-2:]
        assert [said.path for said in first] == [
            str(videos / name) for name in ("b.mkv", "sub/a.mkv")
        ]
        assert first == again
        for one, other in zip(frames, frames_again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_picture_shows_the_video_that_was_named(run, presets, videos, tmp_path, monkeypatch):
    """Its row may count from another folder, in which another video has that path."""
    drawn = []
    monkeypatch.setattr(
        "keras_mlp3d.plots.plot_predictions",
        lambda predictions, frames, path, **_: drawn.append((predictions[0].path, frames[0])),
    )
    for folder, name in (("one", "b.mkv"), ("two", "sub/a.mkv")):
        (tmp_path / folder).mkdir()
        shutil.copy(videos / name, tmp_path / folder / "same.mkv")
    (tmp_path / "three").mkdir()
    output = ["--preset", presets / "clips", "--output", tmp_path / "out.jsonl"]
    monkeypatch.chdir(tmp_path / "one")
    run("predict", "same.mkv", *output, "--plot", "../a.png")
    for folder in ("two", "three"):
        monkeypatch.chdir(tmp_path / folder)
        code, out, _ = run("predict", "../one/same.mkv", *output, "--plot", "../b.png")
        assert (code, out, drawn[-1][0]) == (0, "", "../one/same.mkv")
        np.testing.assert_array_equal(drawn[-1][1], drawn[0][1])


def test_a_row_that_was_damaged_is_an_error_of_its_video(run, presets, videos, tmp_path):
    output = tmp_path / "out.jsonl"
    arguments = ["predict", videos / "b.mkv", "--preset", presets / "clips", "--output", output]
    run(*arguments)
    for wrong in (None, "x", [[1e300]]):
        output.write_text(json.dumps({**lines_of(output)[0], "frame_indices": wrong}) + "\n")
        code, _, err = run(*arguments, "--plot", tmp_path / "a.png")
        assert (code, err.count("cannot read the video")) == (2, 1)


def test_an_interrupt_leaves_whole_json(run, presets, videos, monkeypatch):
    def interrupted(self, path):
        if path.endswith("a.mkv"):
            raise KeyboardInterrupt
        return classify(self, path)

    from keras_mlp3d.cli import predict

    classify = predict._Classifier.__call__
    monkeypatch.setattr(predict._Classifier, "__call__", interrupted)
    code, out, _ = run("predict", videos, "--preset", presets / "clips", "--json")
    assert (code, len(json.loads(out))) == (130, 1)


def test_killed_and_resumed(root_dir, videos, tmp_path):
    """SIGKILL after some rows; in the end every video has one row."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(12):
        shutil.copy(videos / "b.mkv", folder / f"{number:02d}.mkv")
    (folder / "03.mkv").write_text("no video")
    output = tmp_path / "out.jsonl"
    program = """
import sys, time
import numpy as np
from keras_mlp3d.cli import predict
from keras_mlp3d.cli.main import main
from keras_mlp3d.data import read_video
from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.inference import Prediction

class Classifier:  # a network would take seconds to load
    labels, settings = 1, {"preset": "mine", "model": "0"}

    def __init__(self, options):
        pass

    def __call__(self, path):
        time.sleep(0.1)
        try:
            read_video(path, [0])
        except ValueError as error:
            return Prediction(path, (), (), np.zeros((0, 0), "int64"), error=reason_of(error))
        return Prediction(path, ("run",), (1.0,), np.zeros((1, 8), "int64"))

predict._Classifier = Classifier
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, "predict", folder]
    counts = []
    for rows in (5, None):
        with subprocess.Popen(
            [*command, "--output", output],
            env={**os.environ, "PYTHONPATH": str(root_dir), "KERAS_BACKEND": "numpy"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            end = time.monotonic() + 120
            while rows and time.monotonic() < end:
                if output.exists() and output.read_bytes().count(b"\n") >= rows:
                    process.kill()
                    break
                time.sleep(0.01)
            process.communicate(timeout=120)
        counts.append(output.read_bytes().count(b"\n"))
        if rows:
            assert process.returncode == -9
            with open(output, "ab") as file:
                file.write(b'{"path": "a row that')  # as a full disk leaves it
    assert process.returncode == 2
    assert counts[0] < 12 == counts[1]
    found = lines_of(output)
    assert sorted(row["path"] for row in found) == [
        str(folder / f"{number:02d}.mkv") for number in range(12)
    ]
    assert [row["path"] for row in found if row["error"]] == [str(folder / "03.mkv")]


@pytest.mark.parametrize("as_json", [False, True])
def test_memory_does_not_grow_with_the_results(tmp_path, monkeypatch, as_json):
    """Bytes that Python holds after 100 and after 300 videos; each has 4 kB of results."""
    names, indices = tuple(NAMES), np.zeros((4, 64), "int64")

    def classifier(path):
        return Prediction(path, names, (0.4, 0.3, 0.2, 0.1), indices.copy(), indices / 8)

    options = argparse.Namespace(json=as_json, output="out.jsonl", plot=None)
    with open(os.devnull, "w") as nowhere, ResultsFile(tmp_path / "out.jsonl") as results:
        monkeypatch.setattr("sys.stdout", nowhere)
        results.start({"preset": "mine", "model": "0"}, 4)
        job, held = predict._Job(options, None, results, classifier), []
        tracemalloc.start()
        try:
            for number in range(301):
                job.take(Found(f"videos/{number:04d}.mkv"))
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert len(lines_of(tmp_path / "out.jsonl")) == 301
    assert (held[300] - held[100]) / 200 < 600  # a set of numbers tells which are done
