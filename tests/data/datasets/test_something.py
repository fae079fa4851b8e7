"""Something-Something V1 and V2 in small, in their own formats."""

import json

import numpy as np
import pytest
from data.make_videos import moving_frames, write_frames, write_video

from keras_mlp3d.data import VideoConverter, read_something_v1, read_something_v2

CLASSES = [
    "Approaching something with your camera",
    "Moving part of something",
    "Stacking number of something",
    "Showing something, then hiding it",
]
V2_LABELS = {name: str(label) for label, name in enumerate(CLASSES)}
V2_ENTRIES = [
    {
        "id": "78687",
        "label": "moving lid of box",
        "template": "Moving [part] of [something]",
        "placeholders": ["lid", "box"],
    },
    {
        "id": "41775",
        "label": "stacking four coins",
        "template": "Stacking [number of] [something]",
        "placeholders": ["four", "coins"],
    },
    {
        "id": "900",
        "label": "showing a cup, then hiding it",
        "template": "Showing [something], then hiding it",
        "placeholders": ["a cup"],
    },
]


def write_v2(folder, entries=V2_ENTRIES, labels=V2_LABELS, prefix="", name="train"):
    (folder / f"{prefix}labels.json").write_text(json.dumps(labels))
    (folder / f"{prefix}{name}.json").write_text(json.dumps(entries))
    (folder / "videos").mkdir(exist_ok=True)
    return folder, folder / "videos"


def write_v1(folder, lines=None, labels=CLASSES, prefix="", name="train"):
    lines = [f"{100 + i};{label}" for i, label in enumerate(labels)] if lines is None else lines
    (folder / f"{prefix}labels.csv").write_text("\n".join(labels) + "\n")
    (folder / f"{prefix}{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "videos").mkdir(exist_ok=True)
    return folder, folder / "videos"


def test_v2(tmp_path):
    places = write_v2(tmp_path, name="validation")
    for video in ("78687", "900"):
        write_video(places[1] / f"{video}.webm", moving_frames(4, 32, 32), "libvpx-vp9")
    manifest = read_something_v2(*places, "validation")
    assert manifest.class_names == tuple(CLASSES)
    assert manifest.labels.tolist() == [1, 3]
    assert manifest.not_found == ("41775",)
    assert VideoConverter(4, (32, 32))(manifest.rows[1].path).shape == (4, 32, 32, 3)
    (places[1] / "41775.webm").touch()
    assert len(read_something_v2(*places, "val")) == 3


def test_v2_keeps_the_numbers_of_its_labels(tmp_path):
    labels = dict(zip(CLASSES, ("3", "0", "2", "1"), strict=True))
    prefix = "something-something-v2-"
    places = write_v2(tmp_path, labels=labels, prefix=prefix)
    (places[1] / "78687.webm").touch()
    manifest = read_something_v2(*places)
    assert manifest.class_names == (CLASSES[1], CLASSES[3], CLASSES[2], CLASSES[0])
    assert manifest.labels.tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"entries": [{"id": "7"}]}, "line 1 .*has no template"),
        ({"entries": ["7"]}, "line 1 .*has no template"),
        ({"entries": [{**V2_ENTRIES[0], "id": "../7"}]}, r"line 1 has the id '\.\./7'"),
        ({"entries": [{**V2_ENTRIES[0], "id": None}]}, "line 1 has the id None"),
        ({"entries": [{"id": 7, "template": "Fly"}]}, "line 1 has the class 'Fly', .* of the 4"),
        ({"entries": [V2_ENTRIES[0]] * 2}, "line 2 repeats line 1: the video 78687"),
        ({"entries": []}, "the split 'train' is empty; it"),
        ({"entries": V2_ENTRIES[:1]}, "empty; none of the 1 videos"),
        ({"entries": {}}, r"train\.json must hold a list, and holds a dict"),
        ({"labels": CLASSES}, r"labels\.json must hold an object"),
        ({"labels": {"a": "0", "b": "0"}}, "numbers 0 to 1, none twice"),
        ({"labels": {"a": "x"}}, "numbers 0 to 0"),
    ],
)
def test_wrong_v2(tmp_path, content, message):
    places = write_v2(tmp_path, **content)
    with pytest.raises(ValueError, match=message):
        read_something_v2(*places)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ufeff"])
def test_v2_that_is_no_json(tmp_path, text):
    places = write_v2(tmp_path)
    (tmp_path / "train.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.json is no JSON file"):
        read_something_v2(*places)


def test_v1(tmp_path):
    places = write_v1(tmp_path, prefix="something-something-v1-", name="validation")
    frames = moving_frames(5, 32, 48)
    for video in ("103", "100"):
        write_frames(places[1] / video, frames)
    manifest = read_something_v1(*places, "val")
    assert manifest.class_names == tuple(CLASSES)
    assert manifest.labels.tolist() == [0, 3]
    assert manifest.not_found == ("101", "102")
    clip = VideoConverter(5, (32, 48))(manifest.rows[0].path)
    assert np.abs(clip.astype(int) - frames).mean() < 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lines": ["7"]}, "line 1 must be `id;class` and has 1 fields"),
        ({"lines": ["7;a;b"]}, "line 1 must be `id;class` and has 3"),
        ({"lines": ["/etc;" + CLASSES[0]]}, "line 1 has the id '/etc'"),
        ({"lines": ["7;Fly"]}, "line 1 has the class 'Fly'"),
        ({"lines": [f"7;{CLASSES[0]}", f"7;{CLASSES[1]}"]}, "line 2 repeats line 1"),
        ({"lines": [""]}, "the split 'train' is empty"),
        ({"labels": ["a", "a"], "lines": []}, r"labels\.csv, line 2 must be one class, not there"),
    ],
)
def test_wrong_v1(tmp_path, content, message):
    places = write_v1(tmp_path, **content)
    with pytest.raises(ValueError, match=message):
        read_something_v1(*places)


@pytest.mark.parametrize("read", [read_something_v1, read_something_v2])
def test_wrong_places(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"must hold labels\.(csv|json) or something-"):
        read(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError, match="annotations must be a folder"):
        read(tmp_path / "no", tmp_path)
    with pytest.raises(ValueError, match=r"got 'test'; the test split .* has no labels"):
        read(tmp_path, tmp_path, "test")
