"""The same letters are one class, whichever Unicode form a list, a folder or a caller uses."""

import json
import unicodedata

import datasets
import pandas as pd
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d import data
from keras_mlp3d.data.augment import HorizontalFlip
from keras_mlp3d.models import MLP3D, MLP3DBackbone

NAMES = ("café à gauche", "naïve", "über rechts")
FORMS = ("NFC", "NFD")


def in_form(form, names=NAMES):
    return [unicodedata.normalize(form, name) for name in names]


COMPOSED = tuple(in_form("NFC"))


# Each: (folder, names in some form, class_names or None) -> manifest of one video a class.


def folder(root, names, class_names):
    for name in names:
        (root / name).mkdir()
        (root / name / "a.mp4").touch()
    return data.read_folder(root, "val", class_names)


def csv(root, names, class_names):
    (root / "list.csv").write_text("".join(f"{i}.mp4,{name}\n" for i, name in enumerate(names)))
    return data.read_csv(root / "list.csv", "val", class_names)


def kinetics(root, names, class_names):
    lines = ["label,youtube_id,time_start,time_end,split"]
    for number, name in enumerate(names):
        lines.append(f"{name},video{number},0,10,val")
        (root / f"video{number}_000000_000010.mp4").touch()
    (root / "list.csv").write_text("\n".join(lines))
    return data.read_kinetics(root / "list.csv", root, "val", class_names)


def something_v1(root, names, class_names):
    (root / "labels.csv").write_text("\n".join(class_names or COMPOSED))
    (root / "validation.csv").write_text("\n".join(f"{i};{name}" for i, name in enumerate(names)))
    for number in range(len(names)):
        (root / str(number)).mkdir()
    return data.read_something_v1(root, root, "val")


def something_v2(root, names, class_names):
    labels = {name: str(number) for number, name in enumerate(class_names or COMPOSED)}
    (root / "labels.json").write_text(json.dumps(labels))
    entries = [{"id": str(i), "template": f"[{name}]"} for i, name in enumerate(names)]
    (root / "validation.json").write_text(json.dumps(entries))
    for number in range(len(names)):
        (root / f"{number}.webm").touch()
    return data.read_something_v2(root, root, "val")


def shards(root, names, class_names):
    pytest.importorskip("google_crc32c")
    rows = [
        data.VideoRow(write_lossless(root / f"{i}.mkv", moving_frames(2, 16, 16)), i)
        for i in range(len(names))
    ]
    data.write_shards(data.Manifest(rows, names, "val"), root / "shards")
    index = root / "shards" / "val.shards.json"
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "class_names": list(names)}))  # as others wrote it
    return data.read_shards(root / "shards", "val", class_names)


def frame(root, names, class_names):
    table = pd.DataFrame({"path": [f"{i}.mp4" for i in range(len(names))], "label": names})
    return data.from_dataframe(table, split="val", class_names=class_names)


def hugging_face(root, names, class_names):
    features = {"video": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    columns = {"video": [f"{i}.mp4" for i in range(len(names))], "label": range(len(names))}
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    return data.from_datasets(table, split="val", class_names=class_names)


def by_hand(root, names, class_names):
    rows = [data.VideoRow(f"{number}.mp4", number) for number in range(len(names))]
    return data.Manifest(rows, names, "val")


READERS = (folder, csv, kinetics, something_v1, something_v2, shards, frame, hugging_face, by_hand)


@pytest.mark.parametrize("asked", [None, *FORMS])
@pytest.mark.parametrize("written", FORMS)
@pytest.mark.parametrize("read", READERS)
def test_every_reader(read, written, asked, tmp_path):
    manifest = read(tmp_path, in_form(written), asked and in_form(asked))
    assert manifest.class_names == COMPOSED
    assert manifest.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("read", [csv, frame, kinetics])
def test_both_forms_in_one_list_are_one_class(read, tmp_path):
    names = [*in_form("NFC"), *in_form("NFD")]
    manifest = read(tmp_path, names, None)
    assert manifest.class_names == COMPOSED
    assert manifest.labels.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("form", FORMS)
def test_networks_and_flips(form):
    backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2")
    model = MLP3D(backbone, 3, class_names=in_form(form))
    assert tuple(model.class_names) == COMPOSED
    first, _, last = in_form(form)
    flip = HorizontalFlip(label_map=[(first, last)])
    for names in map(in_form, FORMS):
        assert flip.bind(names).label_map == ((0, 2),)
