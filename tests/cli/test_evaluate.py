"""`evaluate`: the table, the files, exit codes, and the bar."""

import json

import numpy as np
import pytest
from cli.conftest import NAMES, logits_of
from data.make_videos import moving_frames, write_lossless
from matplotlib.image import imread

from keras_mlp3d.data import VideoConverter, read_manifest

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a class folder for each of the presets' classes, and `all.csv` beside it."""
    folder = tmp_path_factory.mktemp("data") / "videos"
    lines = ["path,label"]
    for number, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        frames = np.roll(moving_frames(10 + number, 36, 60), 17 * number, axis=2)
        write_lossless(folder / name / "a.mkv", frames // np.array([1, 1 + number, 2], "uint8"))
        lines.append(f"videos/{name}/a.mkv,{name}")
    (folder.parent / "all.csv").write_text("\n".join(lines) + "\n")
    return folder


def ranks(data, clips=1, crops=1):
    """Place of the right class of each video, view by view."""
    out = []
    for row in read_manifest(data, "val").rows:
        views, _ = VideoConverter(8, (32, 32)).views(row.path, clips, crops)
        powers = np.exp(logits_of(views).astype("float64"))
        mean = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
        out.append(1 + int((mean > mean[row.label]).sum()))
    return out


def test_table(run, presets, data):
    code, out, err = run("evaluate", "--data", data, "--preset", presets / "clips", "--crops", 3)
    correct = sum(rank == 1 for rank in ranks(data, crops=3))
    bounds = {0: "0.0 to 49.0", 1: "4.6 to 69.9", 2: "15.0 to 85.0", 3: "30.1 to 95.4"}[correct]
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"top-1             {25 * correct:5.1f} %   95 % interval {bounds}   {correct} of 4",
        "top-5             100.0 %   95 % interval 51.0 to 100.0   4 of 4",
        "videos            4 expected, 4 decoded, 0 failed",
        "clips x crops     1 x 3",
        f"manifest          val, SHA-256 {read_manifest(data, 'val').digest}",
    ]


def test_files(run, presets, data, tmp_path):
    out_json, picture, wrong = (tmp_path / name for name in ("out.json", "out.png", "wrong.png"))
    code, _, err = run(
        *("evaluate", "--data", data, "--preset", presets / "clips", "--clips", 2, "--crops", 3),
        *("--json", out_json, "--plot", picture, "--batch-size", 5, "--workers", 1),
        *("--plot-wrong", wrong),
    )
    assert (code, err) == (0, "")
    content = json.loads(out_json.read_text())
    assert [video["rank"] for video in content["predictions"]] == ranks(data, 2, 3)
    assert (content["clips"], content["crops"], content["split"]) == (2, 3, "val")
    assert imread(picture).shape[2] == 4
    assert imread(wrong).shape[2] == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.json", "out.png", "wrong.png"]


def test_csv_and_folder_and_split_say_the_same(run, presets, data, tmp_path):
    said = []
    (tmp_path / "test").symlink_to(data)
    for source in (data, data.parent / "all.csv", tmp_path):
        code, out, _ = run(
            "evaluate", "--data", source, "--preset", presets / "clips", "--split", "test"
        )
        assert code == 0
        said.append(out.splitlines()[:4])
    assert said[0] == said[1] == said[2]


def test_a_network_on_single_images(run, presets, data):
    arguments = ["--data", data, "--preset", presets / "frames", "--frames", 4]
    code, out, err = run("evaluate", *arguments)
    assert (code, err) == (0, "")
    assert "4 expected, 4 decoded" in out


def test_a_csv_may_lack_classes(run, presets, data):
    source = data.parent / "some.csv"
    source.write_text(f"path,label\nvideos/{NAMES[2]}/a.mkv,{NAMES[2]}\n")
    code, out, _ = run("evaluate", "--data", source, "--preset", presets / "clips")
    assert code == 0
    assert "1 expected, 1 decoded" in out


def test_failed_videos(run, presets, data, tmp_path):
    source = data.parent / "failing.csv"
    lines = [f"videos/{NAMES[0]}/a.mkv,{NAMES[0]}"]
    lines += [f"absent{number}.mp4,{NAMES[1]}" for number in range(12)]
    source.write_text("path,label\n" + "\n".join(lines) + "\n")
    arguments = ["--data", source, "--preset", presets / "clips", "--json", tmp_path / "out.json"]
    code, out, err = run("evaluate", *arguments)
    content = json.loads((tmp_path / "out.json").read_text())
    assert code == 2
    assert "13 expected, 1 decoded, 12 failed" in out
    assert [line.split("  ")[0] for line in out.splitlines()[:4]] == [
        "top-1", "top-5", "top-1 of decoded", "top-5 of decoded",
    ]  # fmt: skip
    assert out.splitlines()[1].endswith("1 of 13")
    assert out.splitlines()[3].endswith("1 of 1")
    assert len(content["failed"]) == 12
    assert err.count("no such video file") == 10
    assert err.endswith("error: and 2 more unreadable videos; --json lists them all\n")


def test_bar_where_a_person_watches(run, presets, data, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("keras_mlp3d._utils.progress._SECONDS_BETWEEN", 0)
    code, _, err = run("evaluate", "--data", data, "--preset", presets / "clips")
    shown = [line for line in err.split("\r\x1b[K") if line]
    assert code == 0
    assert [line.split(" ")[1] for line in shown] == ["1/4", "2/4", "3/4", "4/4"]
    assert shown[1].startswith("[" + 15 * "#" + 15 * "." + "] 2/4 videos, ")
    assert shown[-1].endswith("0 s left")
    assert err.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent", "--preset", "{presets}/clips"], "absent"),
        (["--data", "{data}", "--preset", "mlp3d_nan"], "Unknown preset 'mlp3d_nan'"),
        (
            ["--data", "{data}", "--preset", "{presets}/backbone"],
            "is a backbone without classes. Train it",
        ),
        (["--data", "{data}", "--preset", "{presets}/no_converter"], "pass --frames and --size"),
        (["--data", "{data}/jump", "--preset", "{presets}/clips"], "sub-folder per class"),
        (["--data", "{data}", "--preset", "{presets}/clips", "--plot", "a.jpg"], "ends in .png"),
        (
            ["--data", "{data}", "--preset", "{presets}/clips", "--plot-wrong", "a.jpg"],
            "ends in .png",
        ),
        (["--data", "{data}", "--preset", "{presets}/clips", "--json", "absent/a"], "not exist"),
        (["--data", "{data}", "--preset", "{presets}/clips", "--json", "{data}"], "a directory"),
        (["--data", "{data}", "--preset", "{presets}/clips", "--clips", "0"], "a positive integer"),
        (["--data", "{data}"], "--preset"),
    ],
)
def test_bad_input_is_one_line(run, presets, data, arguments, message):
    arguments = [text.format(presets=presets, data=data) for text in arguments]
    code, out, err = run("evaluate", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_classes_of_another_data_set(run, presets, data, tmp_path):
    for name in (*NAMES[:3], "spin"):
        (tmp_path / name).mkdir()
        write_lossless(tmp_path / name / "a.mkv", moving_frames(8, 32, 32))
    code, out, err = run("evaluate", "--data", tmp_path, "--preset", presets / "clips")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not known to the model: 'spin'; not in the manifest: 'turn'" in err
