"""Videos with several labels, or none: CSVs, tables, folders of shards, and what is refused."""

import json

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import (
    Manifest,
    VideoRow,
    from_dataframe,
    from_datasets,
    read_csv,
    read_manifest,
    read_shards,
    write_shards,
)


def write(folder, *lines):
    path = folder / "videos.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestCsv:
    def test_classes_come_from_the_union(self, tmp_path):
        path = write(tmp_path, "path,label,end", "a.mp4,run|fast,2", "b.mp4,,", "c.mp4,jump,")
        manifest = read_csv(path, label_separator="|")
        assert manifest.class_names == ("fast", "jump", "run")
        assert [row.label for row in manifest.rows] == [(0, 2), (), (1,)]
        assert manifest.rows[0].end == 2.0
        assert manifest.multi_label
        assert manifest.labels.dtype == np.float32
        assert manifest.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]

    def test_spaces_around_labels_are_ignored(self, tmp_path):
        path = write(tmp_path, "path,label", "a.mp4, turn left ; run ")
        manifest = read_csv(path, separator="comma", label_separator=";")
        assert manifest.class_names == ("run", "turn left")

    def test_numbers_and_given_classes(self, tmp_path):
        path = write(tmp_path, "a.mp4 0|2", "b.mp4 1")
        assert read_csv(path, label_separator="|").class_names == ("0", "1", "2")
        manifest = read_csv(path, class_names=["x", "y", "z"], label_separator="|")
        assert [row.label for row in manifest.rows] == [(0, 2), (1,)]

    def test_without_a_separator_the_cell_is_one_label(self, tmp_path):
        manifest = read_csv(write(tmp_path, "path,label", "a.mp4,run|fast"))
        assert (manifest.class_names, manifest.multi_label) == (("run|fast",), False)

    @pytest.mark.parametrize(
        ("lines", "options", "message"),
        [
            (["a.mp4,run|"], {}, r"line 2 has an empty label in 'run\|'.*separated by '\|'"),
            (["a.mp4,run", "b.mp4,x|run|x"], {}, "line 3 has the label 'x' twice"),
            (["a.mp4,x|y"], {"class_names": ["x"]}, "line 2 has the label 'y', which is none"),
            (["a.mp4,0|x"], {"class_names": ["x"]}, "line 2 has labels of the same class"),
            (["a.mp4,"], {}, "no video of the split .train. has a label; name the classes"),
            (["a.mp4,run"], {"label_separator": ""}, "label_separator must be a text without"),
            (["a.mp4,run"], {"label_separator": "u"}, "label_separator must be a text without"),
            (["a.mp4,"], {"label_separator": None}, "line 2 has no label.*--label-separator"),
        ],
    )
    def test_refusals(self, tmp_path, lines, options, message):
        path = write(tmp_path, "path,label", *lines)
        with pytest.raises(ValueError, match=message):
            read_csv(path, **{"label_separator": "|", **options})

    def test_all_videos_without_a_label(self, tmp_path):
        path = write(tmp_path, "path,label", "a.mp4,")
        manifest = read_csv(path, class_names=["x", "y"], label_separator="|")
        assert manifest.labels.tolist() == [[0, 0]]

    def test_write_and_read_again(self, tmp_path):
        path = write(tmp_path, "path,label", "a.mp4,run|fast", "b.mp4,", "c.mp4,jump")
        manifest = read_csv(path, label_separator="|")
        manifest.write_csv(tmp_path / "again.csv", label_separator="+")
        again = read_csv(tmp_path / "again.csv", label_separator="+")
        assert (again.rows, again.digest) == (manifest.rows, manifest.digest)
        odd = Manifest([VideoRow("a.mp4", (0,))], ["a|b"], "train")
        with pytest.raises(ValueError, match=r"got '\|', which is in 'a\|b'"):
            odd.write_csv(tmp_path / "odd.csv")
        assert not (tmp_path / "odd.csv").exists()


class TestManifest:
    def test_one_label_and_several_do_not_mix(self):
        with pytest.raises(ValueError, match=r"got the labels \(0,\) and 0; \(7,\) is a tuple"):
            Manifest([VideoRow("a.mp4", (0,)), VideoRow("b.mp4", 0)], ["x"], "train")

    def test_labels_are_checked(self):
        assert VideoRow("a.mp4", [2, 0]).label == (0, 2)
        with pytest.raises(ValueError, match="label must hold each class once"):
            VideoRow("a.mp4", (1, 1))
        with pytest.raises(ValueError, match=r"is \(0, 1\), and class_names has 1 classes"):
            Manifest([VideoRow("a.mp4", (0, 1))], ["x"], "train")

    def test_a_tuple_of_one_is_another_data_set(self):
        one, several = (Manifest([VideoRow("a.mp4", k)], ["x"], "val") for k in (0, (0,)))
        assert one.digest != several.digest
        assert one.rows != several.rows
        with pytest.raises(ValueError, match="A search needs one class per video"):
            several.check_one_label("A search")
        one.check_one_label("A search")

    def test_select(self):
        rows = [VideoRow("a.mp4", ()), VideoRow("b.mp4", (1,))]
        manifest = Manifest(rows, ["x", "y"], "train").select([1])
        assert manifest.labels.tolist() == [[0, 1]]


class TestTables:
    def test_data_frame_of_text_and_of_lists(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"path": ["a.mp4", "b.mp4"], "label": ["run|fast", None]})
        manifest = from_dataframe(frame, label_separator="|")
        assert [row.label for row in manifest.rows] == [(0, 1), ()]
        lists = pandas.DataFrame({"path": ["a.mp4", "b.mp4"], "label": [["run", "fast"], []]})
        assert from_dataframe(lists).rows == manifest.rows
        numbers = pandas.DataFrame({"path": ["a.mp4"], "label": [np.array([0, 2])]})
        assert from_dataframe(numbers).labels.tolist() == [[1, 0, 1]]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([["run"], "run"], "row 1 has the label 'run', and other rows have lists"),
            ([["run", "run"], []], "row 0 has the label 'run' twice"),
            ([["run", None], []], "row 0 has no label"),
            ([[2.5], []], "row 0 has the label 2.5; it must be"),
        ],
    )
    def test_refusals(self, labels, message):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"path": ["a.mp4", "b.mp4"], "label": labels})
        with pytest.raises(ValueError, match=message):
            from_dataframe(frame)

    def test_hugging_face_lists_of_class_labels(self):
        datasets = pytest.importorskip("datasets")
        several = datasets.Sequence(datasets.ClassLabel(names=["run", "jump", "turn"]))
        features = {"video": datasets.Value("string"), "label": several}
        rows = {"video": ["a.mp4", "b.mp4"], "label": [[2, 0], []]}
        dataset = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
        manifest = from_datasets(dataset)
        assert manifest.class_names == ("run", "jump", "turn")
        assert [row.label for row in manifest.rows] == [(0, 2), ()]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name in "abc":
        write_lossless(folder / f"{name}.mkv", moving_frames(6, 32, 40))
    path = write(folder, "path,label", "a.mkv,run|fast", "b.mkv,", "c.mkv,jump")
    return read_manifest(path, "train", label_separator="|")


class TestShards:
    def test_labels_come_back(self, manifest, tmp_path):
        pytest.importorskip("google_crc32c")
        write_shards(manifest, tmp_path, num_shards=2)
        again = read_shards(tmp_path, verify=True)
        assert again.class_names == manifest.class_names
        assert [row.label for row in again.rows] == [row.label for row in manifest.rows]
        index = json.loads((tmp_path / "train.shards.json").read_text())
        assert index["version"] == 2
        assert write_shards(manifest, tmp_path, num_shards=2).kept == 2
        with pytest.raises(ValueError, match="label_separator is for a CSV"):
            read_manifest(tmp_path, label_separator="|")

    def test_one_label_keeps_the_old_format(self, manifest, tmp_path):
        pytest.importorskip("google_crc32c")
        rows = [VideoRow(row.path, k) for k, row in enumerate(manifest.rows)]
        write_shards(Manifest(rows, ["x", "y", "z"], "train"), tmp_path)
        path = tmp_path / "train.shards.json"
        index = json.loads(path.read_text())
        assert index["version"] == 1
        [shard] = index["shards"].values()
        assert [record[4] for record in shard["records"]] == [0, 1, 2]
        shard["records"][1][4] = [1]
        path.write_text(json.dumps(index))
        with pytest.raises(ValueError, match="is damaged"):
            read_shards(tmp_path)
