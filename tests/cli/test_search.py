"""`keras-mlp3d search`, `correlation` and `compare`, from videos to presets and pictures."""

import importlib
import json
import os
import signal

import pytest
from search.tiny import RECIPE, write_preset, write_videos

from keras_mlp3d import MLP3D
from keras_mlp3d.cli.main import main
from keras_mlp3d.hub import read_preset
from keras_mlp3d.search import Trainer

search_trainer = importlib.import_module("keras_mlp3d.search.trainer")
SPACE = "short_range,shift_token/1,2"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """The options that all three commands take."""
    videos = write_videos(tmp_path_factory.mktemp("videos"))
    settings = [f"{key}={value}" for key, value in RECIPE.items()]
    settings += ["layer_decay=null", "augmentation.rand_augment=null"]
    return ["--data", str(videos), *(part for text in settings for part in ("--set", text))]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return str(write_preset(tmp_path_factory.mktemp("preset") / "tiny"))


@pytest.fixture(scope="module")
def command(common, preset):
    return ["search", *common, "--preset", preset, "--space", SPACE, "--repeats", "2"]


@pytest.fixture(scope="module")
def done(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "search"
    assert main([*command, "--run", str(folder)]) == 0
    return folder


def test_a_search_ends_with_a_preset_like_any_other(done, common, capsys):
    found = json.loads((done / "result.json").read_text())
    stored = read_preset(done / "preset")
    assert [f"{kind}:{size}" for kind, size in stored.schedule] == found["schedule"]
    note = stored.metadata["search"]
    assert (note["V"], note["C"], note["alpha"]) == (found["value"], found["cost"], 0.005)
    assert note["schedule"] == found["schedule"]
    assert note["manifest"] == found["validation"]
    assert note["command"].startswith("keras-mlp3d search --data ")
    assert stored.macs == round(found["cost"] * 1e9)
    assert MLP3D.from_preset(done / "preset").class_names == ["bright", "dark"]
    capsys.readouterr()
    assert main(["evaluate", *common[:2], "--preset", str(done / "preset")]) == 0
    assert f"{100 * found['value']:.1f} %" in capsys.readouterr().out
    for name in ("process.png", "schedule.png"):
        assert (done / name).stat().st_size > 1000


def test_the_same_command_again_scores_nothing_anew(done, command, capsys):
    before = (done / "trace.jsonl").read_bytes()
    assert main([*command, "--run", str(done)]) == 0
    assert (done / "trace.jsonl").read_bytes() == before
    assert f"the network is the preset {done / 'preset'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--space", "short_range/1,2,4"], "holds another run: model space was"),
        (["--seed", "1"], "the trace of another search: seed was 0, is 1"),
        (["--alpha", "-1"], "--alpha must be a number of at least 0, got -1.0"),
        (["--alpha", "nan"], "--alpha must be a number of at least 0, got nan"),
        (["--space", "sideways/2"], "got 'sideways'"),
        (["--space", "short_range/1,16"], "do not fit the candidates short_range:16; group sizes"),
        (["--set", "epoch=3"], "A recipe has no 'epoch'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_lost(done, command, options, words, capsys):
    before = contents(done)
    assert main([*command, "--run", str(done), *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    [line] = [line for line in lines if not line.startswith("keras-mlp3d: warning: ")]
    assert words in line
    assert contents(done) == before


def test_validation_videos_are_needed(common, preset, tmp_path, capsys):
    training = ["--data", f"{common[1]}/train", "--preset", preset]
    assert main(["search", *training, "--run", str(tmp_path / "run")]) == 2
    assert "--val is needed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def trained(monkeypatch):
    """The schedules of the trainings asked for, each of which gives another accuracy at once."""
    schedules = []

    def accuracy(self, schedule, seed=0):
        schedules.append((schedule if schedule is None else tuple(map(str, schedule)), seed))
        return len(schedules) / 8

    monkeypatch.setattr(Trainer, "__call__", accuracy)
    return schedules


def test_correlation_of_a_search(done, common, trained, capsys):
    schedules = ["--schedule", "short_range:2", "--schedule", "shift_token:1"]
    arguments = ["correlation", "--search", str(done), *common, *schedules]
    assert main(arguments) == 0
    content = json.loads((done / "correlation.json").read_text())
    assert [row["name"] for row in content["networks"]] == ["SR 2", "S = 1"]
    assert content["networks"][1]["schedule"] == ["short_range:1"] * 4
    assert "rank correlation of 2 networks" in capsys.readouterr().out
    assert (done / "correlation.png").stat().st_size > 1000
    assert trained == [(("short_range:2",) * 4, 0), (("short_range:1",) * 4, 0)]
    assert [row["real"] for row in content["networks"]] == [1 / 8, 2 / 8]


def test_correlation_takes_the_families_that_the_space_has(done, common, trained):
    assert main(["correlation", "--search", str(done), *common]) == 0
    rows = json.loads((done / "correlation.json").read_text())["networks"]
    names = [row["name"] for row in rows]
    assert names[:3] == ["S = 1", "SR 2", "ST 2"]
    found = json.loads((done / "result.json").read_text())["schedule"]
    assert found in [row["schedule"] for row in rows]


def test_correlation_without_a_search(common, tmp_path, capsys):
    assert main(["correlation", "--search", str(tmp_path), *common]) == 2
    assert "holds no trained supernet" in capsys.readouterr().err


def test_comparison_with_the_searched_network(done, common, preset, tmp_path, trained, capsys):
    folder = tmp_path / "compare"
    arguments = ["compare", *common, "--preset", preset, "--from-scratch", "--sizes", "1"]
    arguments += ["--seeds", "4,5"]
    searched = ["--searched", str(done / "preset"), "--run", str(folder)]
    assert main([*arguments, *searched]) == 0
    rows = json.loads((folder / "comparison.json").read_text())["networks"]
    assert [row["name"] for row in rows] == ["2-D", "S = 1", "searched"]
    assert [row["accuracies"] for row in rows] == [[1 / 8, 2 / 8], [3 / 8, 4 / 8], [5 / 8, 6 / 8]]
    assert trained[:2] == [(None, 4), (None, 5)]
    found = json.loads((done / "result.json").read_text())["schedule"]
    assert rows[2]["schedule"] == list(trained[-1][0]) == found
    assert rows[0]["gmacs"] > rows[1]["gmacs"]  # 16 frames against 4 tubelets
    out = capsys.readouterr().out
    assert "training 5 of 6: searched" in out
    assert "GMACs" in out
    assert (folder / "comparison.png").stat().st_size > 1000


def test_ctrl_c_within_a_comparison(common, preset, tmp_path, capsys, monkeypatch):
    train = search_trainer.train

    def train_and_press(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return train(*arguments, **options)

    monkeypatch.setattr(search_trainer, "train", train_and_press)
    folder = tmp_path / "compare"
    arguments = ["compare", *common, "--preset", preset, "--from-scratch", "--sizes", "1"]
    assert main([*arguments, "--without-2d", "--run", str(folder)]) == 130
    assert "The same command resumes from there." in capsys.readouterr().out
    assert list((folder / "S1-seed0").glob("checkpoint-*"))


def test_a_size_that_fits_one_family_alone(common, preset, tmp_path, trained):
    """Shift-token takes any size."""
    arguments = ["compare", *common, "--preset", preset, "--run", str(tmp_path / "run")]
    arguments += ["--from-scratch", "--without-2d", "--families", "ST", "--sizes", "8"]
    assert main([*arguments, "--anew"]) == 0
    assert ["".join(schedule) for schedule, _ in trained] == ["shift_token:8"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sizes", "1,x"], "--sizes must be whole numbers from 1, as in 1,2, got '1,x'"),
        (["--seeds", ""], "--seeds must be whole numbers from 0"),
        (["--sizes", "8"], "do not fit the candidates short_range:8; group sizes"),
        (["--families", "ST,2D"], "families must be among SR, LR, ST, SR-LR, SR-SW, got '2D'"),
        (["--searched", "cyclemlp_b1"], "--searched must have a schedule"),
    ],
)
def test_bad_comparisons(common, preset, tmp_path, options, words, capsys):
    folder = tmp_path / "run"
    arguments = ["compare", *common, "--preset", preset, "--run", str(folder)]
    assert main([*arguments, *options]) == 2
    assert words in capsys.readouterr().err
    assert not folder.exists()


def test_ties_and_training_between_the_blocks(command, tmp_path, capsys):
    options = [*command, "--run", str(tmp_path), "--repeats", "1", "--refine-epochs", "1"]
    assert main([*options, "--tie", "0.999"]) == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["tie"] == 0.999
    assert found["schedule"] == ["short_range:1"] * 4  # six videos tell no candidates apart
    note = read_preset(tmp_path / "preset").metadata["search"]
    assert (note["tie"], note["refine_epochs"]) == (0.999, 1)
    assert len([*tmp_path.glob("refined/*/repeat1/block*/best.npz")]) == 3
    capsys.readouterr()
    assert main([*options, "--tie", "2"]) == 2
    assert "--tie must be a number above 0 and below 1, got 2.0" in capsys.readouterr().err
