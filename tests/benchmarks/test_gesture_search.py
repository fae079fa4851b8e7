"""benchmarks/gesture_search.py judges by persons whom neither search nor training has seen."""

import argparse
import json
import sys

import numpy as np
import pytest

import keras_mlp3d as km
from keras_mlp3d import hub
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes

CLASSES = ["blink_then_spin", "spin_then_blink"]
PERSONS = [str(number) for number in range(801, 815)]


@pytest.fixture
def gesture_search(pytestconfig, monkeypatch):
    monkeypatch.syspath_prepend(pytestconfig.rootpath / "benchmarks")
    import gesture_search

    yield gesture_search
    sys.modules.pop("gesture_search", None)


@pytest.fixture
def data(tmp_path):
    """Each person makes each gesture once; two of them are in `val`."""
    for split, persons in (("train", PERSONS[:12]), ("val", PERSONS[12:])):
        folder = tmp_path / "radar_gestures" / split
        write_motion_shapes(folder, split=split, num_clips=2 * len(persons), classes=CLASSES)
        for name in CLASSES:
            files = sorted((folder / name).glob("*.mp4"))
            for file, person in zip(files, persons, strict=True):
                file.rename(file.with_name(f"{person}_1_0.mp4"))
    return tmp_path / "radar_gestures"


def test_a_short_run(gesture_search, data, tmp_path, monkeypatch, capsys):
    short = ["epochs=1", "warmup_epochs=0.5", "batch_size=4", "augmentation={}", "num_frames=16"]
    run, preset = tmp_path / "run", tmp_path / "preset"
    arguments = ["--data", data, "--run", run, "--preset", "mlp3d_nano", "--every", "1"]
    arguments += ["--repeats", "1", "--tie", "0.5", "--refine-epochs", "1"]
    arguments += ["--networks", "searched", "ST 2", "--to-preset", preset]
    arguments += ["--set", *short, "image_size=[32,32]"]
    monkeypatch.setattr(sys, "argv", ["gesture_search.py", *map(str, arguments)])
    seen = {}
    for name in ("train_supernet", "find_schedule"):
        watch(monkeypatch, name, seen)
    gesture_search.main()
    said = capsys.readouterr().out
    assert "20 videos to train on, 8 of other persons to judge" in said

    persons = {name: {gesture_search.person_of(row) for row in rows} for name, rows in seen.items()}
    assert persons["train_supernet"] | persons["find_schedule"] == set(PERSONS[:12]) - {
        "806",
        "812",
    }
    assert persons["train_supernet"].isdisjoint(persons["find_schedule"])
    found = json.loads((run / "ST2" / "answers.json").read_text())
    assert {gesture_search.person_of(name) for name in found["names"]} == {
        *("806", "812"),
        *PERSONS[12:],
    }
    [row] = [line for line in said.splitlines() if line.startswith("| ST 2 |")]
    right = share_of_right(run / "ST2" / "answers.json")
    assert f"| {right:.3f} |" in row

    schedule = json.loads((run / "search" / "result.json").read_text())["schedule"]
    model = km.MLP3D.from_preset(preset, load_weights=False)
    assert [str(mixing) for mixing in model.backbone.schedule] == schedule
    stored = hub.read_preset(preset)
    assert stored.weights == "none"
    assert stored.parameter_count == model.count_params()
    note = stored.metadata["search"]
    assert note["schedule"] == schedule
    assert (note["tie"], note["refine_epochs"]) == (0.5, 1)
    assert len(note["ties"]) == len(schedule)
    assert note["accuracy_on_others"] == {
        "videos": 8,
        "searched": round(share_of_right(run / "searched" / "answers.json"), 3),
        "ST 2": round(right, 3),
    }
    assert note["command"] == (
        "python benchmarks/gesture_search.py --data radar_gestures --run RUN --preset mlp3d_nano "
        "--every 1 --repeats 1 --tie 0.5 --refine-epochs 1 --set epochs=1 warmup_epochs=0.5 "
        "batch_size=4 'augmentation={}' num_frames=16 'image_size=[32,32]'"
    )
    assert "clips of 16 x 32 x 32" in stored.description
    estimates = json.loads((run / "search" / "estimates.json").read_text())
    assert set(estimates) == {"searched", "ST 2"}
    assert all(0 <= share <= 1 for share in estimates.values())
    assert "rank correlation of estimated and real accuracy: " in said
    summary = json.loads((run / "summary.json").read_text())
    assert {row["name"]: row["accuracies"] for row in summary["networks"]}["ST 2"] == [right]
    assert {row["name"]: row["estimated"] for row in summary["networks"]} == estimates
    assert [row["mixing"] for row in summary["scores"] if row["kept"]] == schedule
    for name in ("comparison", "process", "schedule", "correlation"):
        assert (run / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    moved = data.rename(tmp_path / "moved")
    argv = [str(moved) if each == str(data) else each for each in sys.argv]
    monkeypatch.setattr(sys, "argv", argv)
    gesture_search.main()  # reads what is finished, wherever the videos are now
    assert capsys.readouterr().out.splitlines()[-5:] == said.splitlines()[-5:]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--tie", "0.9"])
    with pytest.raises(SystemExit, match=r"of other settings: tie was 0\.5, is 0\.9\. Use another"):
        gesture_search.main()


def test_every_other_clip_of_each_person_and_gesture(gesture_search):
    rows = [
        km.data.VideoRow(f"{label}/{person}_{k}.mp4", label)
        for label, person, count in ((0, "a", 3), (0, "b", 1), (1, "a", 2), (1, "b", 5))
        for k in range(count)
    ]
    kept = [row.path for row in gesture_search.thinned(rows[::-1], 2)]
    assert kept == [
        *("0/a_0.mp4", "0/a_2.mp4", "0/b_0.mp4", "1/a_0.mp4"),
        *("1/b_0.mp4", "1/b_2.mp4", "1/b_4.mp4"),
    ]


def test_more_clips_score_than_train(gesture_search, data, tmp_path):
    for path in [*data.glob("train/*/*.mp4")]:
        (path.parent / path.name.replace("_1_0", "_1_1")).write_bytes(path.read_bytes())
    options = {"data": data, "run": tmp_path / "run", "preset": "mlp3d_nano", "every": 2, "set": []}
    options |= {"scoring_every": 1, "scoring_batch": 7, "repeats": 1, "tie": None}
    comparison = gesture_search.comparison_of(argparse.Namespace(**options, refine_epochs=None))
    training, scoring = comparison.scoring(comparison.inside.rows)
    # ten persons are not taken out, two of them score
    assert (len(comparison.inside), len(training), len(scoring)) == (20, 16, 8)
    assert comparison.batch_size == 7


def share_of_right(path):
    found = json.loads(path.read_text())
    return np.equal(found["answers"], found["labels"]).mean()


def watch(monkeypatch, name, seen):
    """Notes the names of the videos that a step of the search is given."""
    import schedules_compared

    step = getattr(schedules_compared, name)

    def noting(*arguments, **options):
        [manifest] = [each for each in arguments if isinstance(each, km.data.Manifest)]
        seen[name] = [manifest.name_of(row) for row in manifest.rows]
        return step(*arguments, **options)

    monkeypatch.setattr(schedules_compared, name, noting)
