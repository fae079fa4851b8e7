"""Tables in memory: Hugging Face `datasets` and pandas, the real ones."""

import datetime
import functools
import pathlib
import pickle
import unicodedata

import datasets
import numpy as np
import pandas as pd
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import (
    VideoConverter,
    VideoLoader,
    VideoRow,
    from_dataframe,
    from_datasets,
    read_csv,
    read_video,
)
from keras_mlp3d.data.video.sources import LazySource

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
FRAMES = [moving_frames(8, 16, 16), moving_frames(8, 16, 16)[::-1]]
UNDECODED, LABEL = datasets.Video(decode=False), datasets.ClassLabel(names=["run", "jump"])


@pytest.fixture
def paths(tmp_path):
    return [write_lossless(tmp_path / f"{name}.mkv", FRAMES[i]) for i, name in enumerate("ab")]


def contents(paths):
    return [pathlib.Path(path).read_bytes() for path in paths]


def hugging_face(videos, labels, video=UNDECODED, label=LABEL, **more):
    columns = {"video": videos, "label": labels, **more}
    features = {"video": video, "label": label}
    features |= {name: datasets.Value("string") for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def manifests(paths):
    """{name: manifest} of the same two videos, from each kind of table and column."""
    data, texts = contents(paths), datasets.Value("string")
    both = [{"bytes": one, "path": "x.mkv"} for one in data]
    whole = [{"bytes": None, "path": path} for path in paths]
    return {
        "hf bytes": from_datasets(hugging_face(both, [1, 0])),
        "hf paths": from_datasets(hugging_face(whole, [1, 0])),
        "hf raw bytes": from_datasets(hugging_face(data, [1, 0], datasets.Value("binary"))),
        "hf raw paths": from_datasets(hugging_face(paths, [1, 0], texts)),
        "hf names": from_datasets(
            hugging_face(both, ["jump", "run"], label=texts), class_names=["run", "jump"]
        ),
        "hf struct": from_datasets(
            hugging_face(both, [1, 0], {"bytes": datasets.Value("binary"), "path": texts})
        ),
        "hf tensors": from_datasets(hugging_face(both, [1, 0]).with_format("numpy")),
        "hf chosen": from_datasets(
            hugging_face([both[1], both[0], both[0]], [0, 1, 1]).select([1, 0])
        ),
        **{
            f"pandas {name}": from_dataframe(
                pd.DataFrame({"path": column, "label": ["jump", "run"], "x": 0}, index=[9, 9]),
                class_names=["run", "jump"],
            )
            for name, column in (
                ("paths", paths),
                ("bytes", data),
                ("dicts", both),
                ("path dicts", whole),
                ("arrays", [np.array(frames) for frames in FRAMES]),
            )
        },
    }


def test_each_kind_of_column_gives_the_same_batches(paths):
    converter = VideoConverter(num_frames=4, image_size=(16, 16))
    for name, manifest in manifests(paths).items():
        assert (manifest.class_names, manifest.labels.tolist()) == (("run", "jump"), [1, 0]), name
        clips, labels = VideoLoader(manifest, converter, batch_size=2)[0]
        assert labels.tolist() == [1, 0], name
        for clip, frames in zip(clips, FRAMES, strict=True):
            np.testing.assert_array_equal(clip, converter(frames), err_msg=name)
        again = pickle.loads(pickle.dumps(manifest))
        assert again.digest == manifest.digest, name
        np.testing.assert_array_equal(read_video(again.rows[0].path)[0], FRAMES[0], err_msg=name)


def test_bytes_of_a_dataset_are_fetched_when_they_are_read(monkeypatch, paths):
    fetched = []
    take = datasets.Dataset.__getitem__

    def counted(dataset, key):
        if "video" in dataset.column_names:
            fetched.append(key)
        return take(dataset, key)

    both = [{"bytes": one, "path": None} for one in contents(paths)]
    table = hugging_face(both, [1, 0])
    monkeypatch.setattr(datasets.Dataset, "__getitem__", counted)
    manifest = from_datasets(table)
    assert manifest.digest
    assert manifest.missing() == ()
    assert len(repr(manifest)) < 500
    assert fetched == []
    assert manifest.rows[1].path.load() == both[1]["bytes"]
    assert fetched == [1]


def test_names_of_rows(paths):
    both = [{"bytes": one, "path": "x.mkv"} for one in contents(paths)]
    none = [{"bytes": one, "path": None} for one in contents(paths)]
    whole = [{"bytes": None, "path": path} for path in paths]
    for videos, names in (
        (both, ["row 0: x.mkv", "row 1: x.mkv"]),
        (none, ["row 0", "row 1"]),
        (whole, paths),
    ):
        manifest = from_datasets(hugging_face(videos, [1, 0]))
        assert [row.name for row in manifest.rows] == names
        assert [manifest.name_of(row) for row in manifest.rows] == names


def test_a_row_that_cannot_be_fetched_is_an_error_of_its_own(paths):
    table = hugging_face([{"bytes": contents(paths)[0], "path": "x"}, None], [1, 0])
    rows = from_datasets(table).rows
    assert rows[0].path.load()
    with pytest.raises(ValueError, match="'row 1': its row holds neither bytes nor a path"):
        rows[1].path.load()

    class Broken:
        def __getitem__(self, row):
            raise OSError("disk gone")

    source = rows[0].path
    broken = LazySource(source.name, type(source.load)(Broken(), 0, source.name))
    with pytest.raises(ValueError, match=r"row 0: x': its row cannot be fetched \(OSError: disk"):
        broken.load()


@pytest.mark.parametrize(
    ("labels", "class_names", "names", "numbers"),
    [
        (["run", "jump"], None, ("jump", "run"), [1, 0]),
        ([" run", "jump"], None, ("jump", "run"), [1, 0]),
        ([1, 0], None, ("0", "1"), [1, 0]),
        ([1.0, 0.0], None, ("0", "1"), [1, 0]),  # whole numbers beside a gap are floats in pandas
        (np.array([1, 0], "uint8"), None, ("0", "1"), [1, 0]),
        (["1", "0"], None, ("0", "1"), [1, 0]),
        (pd.Categorical(["run", "jump"]), None, ("jump", "run"), [1, 0]),
        ([NFC, NFD], None, (NFC,), [0, 0]),
        ([1, 0], ["run", "jump"], ("run", "jump"), [1, 0]),
        ([1, 2], ["1", "2"], ("1", "2"), [0, 1]),
    ],
)
def test_labels(labels, class_names, names, numbers):
    frame = pd.DataFrame({"path": ["a.mp4", "b.mp4"], "label": labels})
    manifest = from_dataframe(frame, class_names=class_names)
    assert (manifest.class_names, manifest.labels.tolist()) == (names, numbers)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ([None, 2.5], [None, 2.5]),
        (["0:01", "00:01:02.5"], [1.0, 62.5]),
        (["", None], [None, None]),
        (pd.array([1, None], dtype="Int64"), [1.0, None]),
        (pd.to_timedelta(["00:00:01", None]), [1.0, None]),
        ([datetime.timedelta(seconds=2), datetime.timedelta(minutes=1)], [2.0, 60.0]),
    ],
)
@pytest.mark.parametrize("column", ["start", "from"])
def test_times(times, seconds, column):
    frame = pd.DataFrame({"path": ["a.mp4", "b.mp4"], "label": ["x", "x"], column: times})
    manifest = from_dataframe(frame, start=None if column == "start" else column)
    assert [row.start for row in manifest.rows] == seconds


def test_times_of_a_dataset(paths):
    table = hugging_face(paths, [1, 0], datasets.Value("string"), start=["0:01", None])
    assert [row.start for row in from_datasets(table).rows] == [1.0, None]
    renamed = from_datasets(table.rename_column("start", "to"), end="to")
    assert [row.end for row in renamed.rows] == [1.0, None]


def test_a_frame_and_its_csv_have_the_same_classes(tmp_path):
    """Integers that a gap has made 2.0 are names where names are numbers."""
    text = tuple(sorted(map(str, range(12))))  # as sub-folders are sorted
    for names, values in [
        (text, range(12)),
        (text, np.arange(12.0)),
        (None, np.arange(12.0)),
        (("1", "2", "3"), [1.0, 3.0]),
        (("run", "jump"), [1.0, 0.0]),
        (None, ["run", "jump"]),
    ]:
        frame = pd.DataFrame({"path": [f"v{i}.mp4" for i in range(len(values))], "label": values})
        frame.to_csv(tmp_path / "list.csv", index=False)
        manifests = (
            from_dataframe(frame, class_names=names, root=tmp_path),
            read_csv(tmp_path / "list.csv", class_names=names),
        )
        assert manifests[0].rows == manifests[1].rows
        assert manifests[0].class_names == manifests[1].class_names


def test_a_column_names_the_split_of_each_row(caplog):
    columns = {"path": ["a", "b", "c", "d"], "label": ["x", None, "y", "y"]}
    split = ["train", "test", "valid", "train"]
    tables = [
        (from_dataframe, pd.DataFrame({**columns, "split": split})),
        (
            functools.partial(from_datasets, video="path"),
            datasets.Dataset.from_dict({**columns, "split": split}),
        ),
    ]
    for read, table in tables:
        train, val = read(table), read(table, split="val")
        assert [row.path for row in train.rows] == ["a", "d"]
        assert (train.class_names, train.labels.tolist()) == (("x", "y"), [0, 1])
        assert [row.path for row in val.rows] == ["c"]
        with pytest.raises(ValueError, match="row 1 has no label"):
            read(table, split="test")
        with pytest.raises(ValueError, match="has no row of the split 'dev set'"):
            read(table, split="dev set")
    assert not caplog.text
    from_dataframe(pd.DataFrame({"path": ["a", "b"], "label": [1, 0], "split": [None, "train"]}))
    assert "1 rows are left out" in caplog.text


def test_root_and_names():
    frame = pd.DataFrame({"file": ["a.mp4", "/b.mp4", "s3://x/c.mp4"], "class": ["x", "y", "x"]})
    manifest = from_dataframe(frame, "file", "class", split="val", root="/data")
    assert [row.path for row in manifest.rows] == ["/data/a.mp4", "/b.mp4", "s3://x/c.mp4"]
    assert (manifest.split, manifest.root) == ("val", "/data")
    assert from_dataframe(frame, "file", "class").rows[0] == VideoRow("a.mp4", 0)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {},
            {"video": "file"},
            r"video must be the name of a column, got 'file'; .*\['path'",
        ),
        ({}, {"label": "class"}, "label must be the name of a column"),
        ({}, {"start": "from"}, "start must be the name of a column"),
        ({"path": ["a", None]}, {}, "the frame, row 1 has no video"),
        ({"path": ["a", " "]}, {}, "the frame, row 1 has no video"),
        ({"path": ["a", float("nan")]}, {}, "the frame, row 1 has no video"),
        ({"path": ["a", {"bytes": None, "path": None}]}, {}, "the frame, row 1 has no video"),
        ({"path": ["a", 7]}, {}, "the frame, row 1 is wrong: path must"),
        ({"path": ["a", "./a"]}, {}, "the frame, row 1 repeats row 0: './a'"),
        ({"label": ["x", None]}, {}, "the frame, row 1 has no label"),
        ({"label": ["x", ""]}, {}, "the frame, row 1 has no label"),
        ({"label": [0, 1.5]}, {}, r"row 1 has the label 1\.5; it must be a class name or an"),
        ({"label": [True, False]}, {}, "row 0 has the label True"),
        ({"label": [1, 2]}, {}, "row 0 has the label '1', the least .* must start at 0"),
        ({"label": ["x", "z"]}, {"class_names": ["x", "y"]}, "row 1 has the label 'z'"),
        ({"start": [0, -1]}, {}, "row 1 is wrong: start must be a number of at least 0"),
        ({"start": [0, "x"]}, {}, "row 1 is wrong: start must be seconds"),
        ({"start": [0, 3], "end": [1, 2]}, {}, "row 1 is wrong: end must be after"),
    ],
)
def test_wrong_frames(columns, options, message):
    frame = pd.DataFrame({"path": ["a", "b"], "label": ["x", "y"], **columns})
    with pytest.raises(ValueError, match=message):
        from_dataframe(frame, **options)


def test_what_is_no_frame():
    with pytest.raises(ValueError, match="frame must be a data frame, got a list"):
        from_dataframe(["a.mp4"])
    twice = pd.DataFrame([["a", "x", "y"]], columns=["path", "label", "label"])
    with pytest.raises(ValueError, match="'label'; the frame has it more than once"):
        from_dataframe(twice)
    with pytest.raises(ValueError, match="is empty"):
        from_dataframe(pd.DataFrame({"path": [], "label": []}))


def wrong_datasets():
    table = hugging_face(["a.mp4", "b.mp4"], [1, 0])
    decoded = table.cast_column("video", datasets.Video())
    numbers = hugging_face([1, 2], [1, 0], datasets.Value("int64"))
    unlabeled = hugging_face(["a", "b"], [1, -1], datasets.Value("string"))
    nothing = hugging_face(["a", None], [1, 0], datasets.Value("string"))
    return {
        "decoded": (decoded, {}, r"dataset\.cast_column\('video', datasets\.Video\(decode=False\)"),
        "splits": (datasets.DatasetDict(val=table), {}, r"dictionary of splits; .*\['val'\]"),
        "stream": (table.to_iterable_dataset(), {}, "is a stream; load it without streaming=True"),
        "frame": (table.to_pandas(), {}, "must be a Hugging Face .* got a DataFrame"),
        "text": ("a.csv", {}, "must be a Hugging Face .* got a str"),
        "column": (table, {"video": "clip"}, r"video must be .* 'clip'; .*\['video', 'label'\]"),
        "numbers": (numbers, {}, r"Video\(decode=False\), paths or bytes, and is Value\('int64'\)"),
        "no label": (unlabeled, {}, "the dataset, row 1 has no label"),
        "no video": (nothing, {}, "the dataset, row 1 has no video"),
        "class": (table, {"class_names": ["run"]}, "row 0 has the label 'jump', which is none"),
    }


@pytest.mark.parametrize("kind", wrong_datasets())
def test_wrong_datasets(kind):
    table, options, message = wrong_datasets()[kind]
    with pytest.raises(ValueError, match=message):
        from_datasets(table, **options)
