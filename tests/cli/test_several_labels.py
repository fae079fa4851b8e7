"""`--label-separator`: from a CSV with several labels per video to a preset and its pictures."""

import json
import shutil

import numpy as np
import pytest
from data.make_videos import write_lossless
from matplotlib.image import imread

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import VideoConverter, read_csv
from keras_mlp3d.inference import evaluate

NAMES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`train.csv` and `val.csv` of videos whose colors are their labels, and a class `pink`."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 8), ("val", 7)):
        lines = ["path,label"]
        for k in range(count):
            frames = np.full((8, 32, 32, 3), 20 + k, "uint8")
            there = [place for place in range(3) if k >> place & 1]
            for place in there:
                frames[..., 2 - place] += 180
            write_lossless(folder / f"{split}{k}.mkv", frames)
            lines.append(f"{split}{k}.mkv,{'|'.join(NAMES[place] for place in there)}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2")
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    MLP3D(backbone, 4, converter=converter).save_to_preset(folder)
    return folder


def training(data, preset, folder, *more):
    command = ["train", "--data", data / "train.csv", "--val", data / "val.csv"]
    command += ["--preset", preset, "--run", folder, "--label-separator", "|", *more]
    values = ("epochs=2", "warmup_epochs=0.5", "batch_size=4", "reference_batch_size=4")
    for setting in (*values, "learning_rate=0.01", "layer_decay=null"):
        command += ["--set", setting]
    return command


@pytest.fixture(scope="module")
def done(data, preset, tmp_path_factory):
    from keras_mlp3d.cli.main import main

    folder = tmp_path_factory.mktemp("runs") / "first"
    command = training(data, preset, folder, "--class-names", "blue,green,pink,red")
    assert main([str(part) for part in command]) == 0
    return folder


def evaluating(data, done, *more):
    return ["evaluate", "--data", data / "val.csv", "--preset", done / "preset", *more]


def test_a_run_ends_with_a_preset_of_the_precision_it_states(done, data):
    content = json.loads((done / "evaluation.json").read_text())
    metadata = json.loads((done / "preset" / "metadata.json").read_text())
    [metric] = metadata["metrics"]
    assert metric["name"] == "mean average precision"
    assert metric["value"] == round(content["mean_average_precision"], 4)
    assert content["classes_without_videos"] == ["pink"]
    model = MLP3D.from_preset(done / "preset")
    manifest = read_csv(data / "val.csv", "val", model.class_names, label_separator="|")
    found = evaluate(model, manifest)
    assert found.mean_average_precision == pytest.approx(content["mean_average_precision"])
    card = (done / "preset" / "README.md").read_text()
    assert "mean average precision" in card
    assert "a video may have several classes, or none" in card
    for name in ("average_precision.png", "curves.png"):
        assert (done / name).stat().st_size > 1000
    assert not {"confusion.png", "wrong.png"} & {path.name for path in done.iterdir()}
    run = json.loads((done / "run.json").read_text())
    assert run["training"]["clips"] == 8


def test_the_same_command_again_trains_no_more(run, done, data, preset, tmp_path):
    folder = shutil.copytree(done, tmp_path / "again")
    before = (folder / "checkpoint-000002.npz").stat().st_mtime_ns
    command = training(data, preset, folder, "--class-names", "blue,green,pink,red")
    code, out, _ = run(*command)
    assert code == 0
    assert "mean average precision 0." in out or "mean average precision 1." in out
    assert "on 7 validation videos" in out
    assert (folder / "checkpoint-000002.npz").stat().st_mtime_ns == before


def test_table_and_files(run, done, data, tmp_path):
    code, out, err = run(
        *evaluating(data, done, "--label-separator", "|", "--json", tmp_path / "out.json"),
        *("--plot", tmp_path / "out.png"),
    )
    assert (code, err) == (0, "")
    content = json.loads((tmp_path / "out.json").read_text())
    first, *rows = out.splitlines()
    low, high = (100 * bound for bound in content["mean_average_precision_interval"])
    value = 100 * content["mean_average_precision"]
    assert first == (
        f"mean AP           {value:5.1f} %   95 % interval {low:.1f} to {high:.1f}   3 classes"
    )
    assert {row.split("%")[1].strip() for row in rows[:3]} == {
        f"{name}, 3 videos" for name in NAMES
    }
    assert rows[3] == "without videos    'pink'"
    assert rows[4] == "videos            7 expected, 7 decoded, 0 failed"
    assert imread(tmp_path / "out.png").shape[2] == 4


def test_an_unreadable_video(run, done, data, tmp_path):
    lines = (data / "val.csv").read_text().replace("val", str(data / "val")).splitlines()
    (tmp_path / "some.csv").write_text("\n".join([*lines, "gone.mkv,red|pink"]) + "\n")
    code, out, err = run(
        *("evaluate", "--data", tmp_path / "some.csv", "--preset", done / "preset"),
        *("--label-separator", "|"),
    )
    assert code == 2
    assert "gone.mkv" in err
    assert [line[:17].rstrip() for line in out.splitlines()[:2]] == [
        "mean AP",
        "mean AP of decode",
    ]
    assert "  0.0 %   pink, 1 video" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "line 2 has no label; if videos may have none or several, give label_separator"),
        (("--label-separator", "+"), "has the label 'blue|green'"),
        (("--label-separator", "x"), "label_separator must be a text without letters"),
        (
            ("--label-separator", "|", "--plot-wrong", "{}/w.png"),
            "--plot-wrong needs one class per",
        ),
    ],
)
def test_refusals_of_evaluate(run, done, data, tmp_path, more, message):
    more = [part.format(tmp_path) for part in more]
    code, out, err = run(*evaluating(data, done, *more))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_network_of_one_class(run, done, data, preset, tmp_path):
    code, _, err = run(
        *("evaluate", "--data", data / "val.csv", "--preset", preset, "--label-separator", "|"),
        *("--class-names", "blue,green,pink,red"),
    )
    assert code == 2
    assert "has activation=None, which gives each video one class" in err
    (tmp_path / "one.csv").write_text(f"path,label\n{data / 'val1.mkv'},blue\n")
    code, _, err = run("evaluate", "--data", tmp_path / "one.csv", "--preset", done / "preset")
    assert code == 2
    assert "--label-separator" in err


def test_refusals_of_train(run, data, preset, tmp_path):
    (tmp_path / "val" / "blue").mkdir(parents=True)
    for name in ("green", "red"):
        (tmp_path / "val" / name).mkdir()
    for name in NAMES:
        shutil.copy(data / "val1.mkv", tmp_path / "val" / name)
    command = ["train", "--data", data / "train.csv", "--val", tmp_path / "val"]
    code, _, err = run(
        *command, "--preset", preset, "--run", tmp_path / "r", "--label-separator", "|"
    )
    assert code == 2
    assert "the videos of --data may have several, and those of --val have one each" in err
    command = training(data, "cyclemlp_nano", tmp_path / "r")
    code, _, err = run(*command)
    assert code == 2
    assert "which an MLP3D alone learns; the preset 'cyclemlp_nano' holds a CycleMLP" in err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("command", ["search", "compare"])
def test_searches_need_one_class(run, data, preset, tmp_path, command):
    code, _, err = run(
        *(command, "--data", data / "train.csv", "--val", data / "val.csv", "--preset", preset),
        *("--run", tmp_path / "r", "--label-separator", "|", "--from-scratch"),
    )
    assert code == 2
    assert "needs one class per video" in err


def test_lists_of_the_other_commands(run, data, tmp_path):
    pytest.importorskip("google_crc32c")
    separator = ("--label-separator", "|")
    assert run("check-videos", data / "train.csv", *separator)[0] == 0
    arguments = ("--frames", 4, "--size", 32, *separator)
    assert run("pixel-statistics", data / "train.csv", *arguments)[0] == 0
    code, out, _ = run("shard", data / "train.csv", "--to", tmp_path / "to", *separator)
    assert code == 0
    assert out.startswith("8 clips, 0 left out")


def test_shards_train_like_the_list(run, data, done, tmp_path):
    pytest.importorskip("google_crc32c")
    separator = ("--label-separator", "|", "--class-names", "blue,green,pink,red")
    command = ("shard", data / "val.csv", "--split", "val", "--to", tmp_path / "to")
    assert run(*command, *separator)[0] == 0
    code, out, _ = run("evaluate", "--data", tmp_path / "to", "--preset", done / "preset")
    assert code == 0
    assert "3 classes" in out.splitlines()[0]


def test_predict_and_resume(run, done, data, tmp_path):
    output = tmp_path / "out.jsonl"
    command = ("predict", data / "val7.mkv", data / "val5.mkv", "--preset", done / "preset")
    code, out, _ = run(*command, "--crops", 1, "--output", output)
    assert code == 2  # there is no val7
    command = ("predict", data / "val5.mkv", "--preset", done / "preset", "--crops", 1)
    code, _, err = run(*command, "--output", output, "--plot", tmp_path / "out.png")
    assert code == 0
    assert "1 video" in err
    row = json.loads(output.read_text().splitlines()[-1])
    assert len(row["scores"]) == 4
    assert abs(sum(row["scores"]) - 1) > 1e-3
    assert (tmp_path / "out.png").stat().st_size > 1000
    assert out
