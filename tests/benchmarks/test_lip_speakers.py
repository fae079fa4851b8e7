"""benchmarks/lip_speakers.py leaves each speaker out once, and a search never sees them."""

import json
import pathlib
import sys

import pytest

from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes

CLASSES = ["blink_then_spin", "spin_then_blink"]
SPEAKERS = [f"S{number:02}" for number in range(12)]


@pytest.fixture
def lip_speakers(pytestconfig, monkeypatch):
    monkeypatch.syspath_prepend(pytestconfig.rootpath / "benchmarks")
    import lip_speakers

    yield lip_speakers
    sys.modules.pop("lip_speakers", None)


@pytest.fixture
def data(tmp_path):
    """Each speaker says each class once; three of them are in `val`."""
    tmp_path /= "lips"
    for split, count in (("train", 9), ("val", 3)):
        write_motion_shapes(tmp_path / split, split=split, num_clips=2 * count, classes=CLASSES)
        for name in CLASSES:
            files = sorted((tmp_path / split / name).glob("*.mp4"))
            names = SPEAKERS[:9] if split == "train" else SPEAKERS[9:]
            for file, speaker in zip(files, names, strict=True):
                file.rename(file.with_name(f"{speaker}_0.mp4"))
    return tmp_path


def test_each_speaker_is_left_out_once(lip_speakers, data):
    manifests = [lip_speakers.read_folder(data, split) for split in ("train", "val")]
    folds, seen = lip_speakers.folds_of(manifests), []
    for inside, outside, left_out in folds:
        speakers = {lip_speakers.speaker_of(row) for row in inside}
        assert {lip_speakers.speaker_of(row) for row in outside} == set(left_out)
        assert len(speakers) == 9
        assert speakers.isdisjoint(left_out)
        training, scoring = lip_speakers.scoring_rows(inside)
        apart = {lip_speakers.speaker_of(row) for row in scoring}
        assert len(apart) == 2
        assert {lip_speakers.speaker_of(row) for row in training} == speakers - apart
        seen += left_out
    assert sorted(seen) == SPEAKERS


def test_a_short_run(lip_speakers, data, tmp_path, monkeypatch, capsys):
    short = ["epochs=1", "warmup_epochs=0.5", "batch_size=6", "augmentation={}"]
    arguments = ["--data", data, "--run", tmp_path / "run", "--folds", "1", "--repeats", "1"]
    arguments += ["--networks", "searched", "S = 1", "--set", *short]
    monkeypatch.setattr(sys, "argv", ["lip_speakers.py", *map(str, arguments)])
    lip_speakers.main()
    said = capsys.readouterr().out
    assert "fold 1: without S01, S05, S09" in said
    folder = tmp_path / "run" / "fold1"
    found = json.loads((folder / "S1" / "answers.json").read_text())
    right = sum(a == b for a, b in zip(found["answers"], found["labels"], strict=True))
    [row] = [line for line in said.splitlines() if line.startswith("| S = 1 |")]
    assert f"| {right / 6:.3f} | {right / 6:.3f} |" in row
    searched = json.loads((folder / "searched" / "answers.json").read_text())
    assert (
        searched["schedule"]
        == json.loads((folder / "search" / "result.json").read_text())["schedule"]
    )
    places = {str(each): str(tmp_path / f"moved_{each.name}") for each in (data, tmp_path / "run")}
    for before, after in places.items():
        pathlib.Path(before).rename(after)
    monkeypatch.setattr(sys, "argv", [places.get(each, each) for each in sys.argv])
    lip_speakers.main()  # reads what is finished, wherever it and the videos are now
    assert capsys.readouterr().out.splitlines()[-3:] == said.splitlines()[-3:]
