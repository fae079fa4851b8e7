"""Shards of TFRecords: complete or absent, resumed, read like files, and never trusted."""

import json
import os
import pathlib

import numpy as np
import pytest
from data.make_videos import (
    moving_frames,
    write_damaged,
    write_frames,
    write_lossless,
    write_video,
)

from keras_mlp3d._utils.tf_example import encode_example, parse_example
from keras_mlp3d.data import (
    Augmenter,
    Manifest,
    ShardError,
    VideoConverter,
    VideoError,
    VideoLoader,
    VideoRow,
    check_videos,
    make_dataset,
    probe_video,
    read_csv,
    read_manifest,
    read_shards,
    read_something_v1,
    read_video,
    write_shards,
)
from keras_mlp3d.data.datasets.shards import write as shard
from keras_mlp3d.data.video import records

CLASSES = ("walk", "jump")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Five videos and a stretch of one of them."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for k in range(5):
        path = write_lossless(folder / f"{k}.mkv", moving_frames(12 + k, 48, 64) // 2 + 20 * k)
        rows.append(VideoRow(path, k % 2))
    rows.append(VideoRow(rows[0].path, 1, start=0.5, end=1.0))
    return Manifest(rows, CLASSES, "train", root=folder)


@pytest.fixture(scope="module")
def written(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return folder, write_shards(manifest, folder, num_shards=2, quality=1)


@pytest.fixture
def copied(written, tmp_path):
    """A copy of the shards that a test may spoil, and its manifest."""
    for path in written[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path, read_shards(tmp_path)


def test_the_manifest_comes_back_in_its_order(manifest, written):
    folder, report = written
    read = read_shards(folder)
    assert (report.clips, report.written, report.kept, report.left_out) == (6, 2, 0, ())
    assert sorted(path.name for path in folder.iterdir()) == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        "train.shards.json",
    ]
    assert read.labels.tolist() == manifest.labels.tolist()
    assert (read.class_names, read.split, read.not_found) == (CLASSES, "train", ())
    assert read.missing() == ()
    index = json.loads(pathlib.Path(report.index).read_text())
    assert index["manifest"] == manifest.digest
    names = {record[0]: record[-1] for s in index["shards"].values() for record in s["records"]}
    assert [names[row] for row in range(6)] == [
        "0.mkv",
        "1.mkv",
        "2.mkv",
        "3.mkv",
        "4.mkv",
        "0.mkv",
    ]
    assert read_manifest(folder) == read_manifest(report.index) == read


def test_a_record_reads_as_its_file(manifest, written):
    for row, record in zip(manifest.rows, read_shards(written[0]).rows, strict=True):
        info = probe_video(record.path)
        assert (info.codec, info.fps, info.height, info.width) == ("mjpeg", 8.0, 48, 64)
        expected, _ = read_video(row.path)
        first, last = (4, 8) if row.start else (0, len(expected))
        frames, _ = read_video(record.path)
        assert frames.shape == expected[first:last].shape
        assert np.abs(frames.astype(int) - expected[first:last]).mean() < 4
        np.testing.assert_array_equal(read_video(record.path, [3, 1, 1])[0], frames[[3, 1, 1]])


def test_only_frames_asked_for_are_decoded(written, monkeypatch):
    decoded, decode = [], records.RecordFrames._decode
    monkeypatch.setattr(
        records.RecordFrames,
        "_decode",
        lambda self, number: (decoded.append(number), decode(self, number))[1],
    )
    VideoConverter(3, (48, 48))(read_shards(written[0]).rows[0].path)
    assert decoded == [2, 6, 10]


def test_every_loader_draws_the_same_from_shards_and_from_files(manifest, written):
    converter = VideoConverter(4, (32, 32), crop="random", resize=40)
    augment = Augmenter.from_config({"flip": 0.5, "batch_augmentation": 2})
    options = {"batch_size": 4, "training": True, "augment": augment, "seed": 3}
    files = VideoLoader(manifest, converter, **options)
    shards = VideoLoader(read_shards(written[0]), converter, **options)
    for batch in range(len(files)):
        (clips, labels), (other, other_labels) = files[batch], shards[batch]
        np.testing.assert_array_equal(labels, other_labels)
        # Other frames, crops or flips would differ by far more than JPEG does.
        assert np.abs(clips.astype(int) - other).mean() < 4
    pytest.importorskip("tensorflow")
    dataset = make_dataset(read_shards(written[0]), converter, **options)
    for (clips, labels), batch in zip(dataset, range(len(shards)), strict=True):
        np.testing.assert_array_equal(clips, shards[batch][0])
        np.testing.assert_array_equal(labels, shards[batch][1])


def test_tensorflow_reads_therecords(manifest, written):
    tf = pytest.importorskip("tensorflow")
    found = {}
    for path in sorted(written[0].glob("*.tfrecord")):
        for data in tf.data.TFRecordDataset(str(path)):
            example = tf.train.Example.FromString(data.numpy())
            feature = example.features.feature
            name, label = feature["name"].bytes_list.value[0], feature["label"].int64_list.value[0]
            start = list(feature["start"].float_list.value)
            found[name.decode(), *start] = label, len(feature["frames"].bytes_list.value)
            picture = tf.io.decode_jpeg(feature["frames"].bytes_list.value[0])
            assert picture.shape == (48, 64, 3)
            assert list(feature["fps"].float_list.value) == [8.0]
    assert found == {
        ("0.mkv",): (0, 12),
        ("1.mkv",): (1, 13),
        ("2.mkv",): (0, 14),
        ("3.mkv",): (1, 15),
        ("4.mkv",): (0, 16),
        ("0.mkv", 0.5): (1, 4),
    }


def test_examples_are_those_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    features = {"a": [b"x" * 300, b""], "b": [0.5, -2.0], "c": [0, 127, 128, 2**40]}
    example = tf.train.Example.FromString(encode_example(features))
    assert list(example.features.feature["a"].bytes_list.value) == features["a"]
    assert list(example.features.feature["b"].float_list.value) == features["b"]
    assert list(example.features.feature["c"].int64_list.value) == features["c"]
    assert parse_example(example.SerializeToString()) == features


def test_damaged_examples_end_with_an_error_or_a_value():
    data = encode_example({"frames": [b"abc", b"d"], "fps": [8.0], "label": [3]})
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        spoilt = bytearray(data)
        spoilt[rng.integers(len(data))] = rng.integers(256)
        wrong += _is_refused(bytes(spoilt[: rng.integers(1, len(data) + 1)]))
    assert wrong > 500


def _is_refused(data):
    try:
        parse_example(data)
    except ValueError:
        return True
    return False


def test_frames_are_reduced_as_a_converter_would(manifest, tmp_path):
    write_shards(manifest, tmp_path, short_side=32)
    record = read_shards(tmp_path).rows[0]
    assert probe_video(record.path).height == 32
    converter = VideoConverter(4, (32, 32), resize=32)
    difference = converter(record.path).astype(int) - converter(manifest.rows[0].path)
    assert np.abs(difference).mean() < 5
    kept = tmp_path / "kept"
    write_shards(manifest, kept, short_side=None)
    assert probe_video(read_shards(kept).rows[0].path).height == 48


def test_quality_is_size_and_error(manifest, tmp_path):
    sizes, errors = [], []
    for quality in (1, 5, 31):
        write_shards(manifest, tmp_path / str(quality), quality=quality)
        record = read_shards(tmp_path / str(quality)).rows[2]
        sizes.append((tmp_path / str(quality) / "train-00000-of-00001.tfrecord").stat().st_size)
        expected = read_video(manifest.rows[2].path)[0]
        errors.append(np.abs(read_video(record.path)[0].astype(int) - expected).mean())
    assert sizes[0] > sizes[1] > sizes[2]
    assert errors[0] < errors[1] < errors[2]


def test_files_as_they_are(manifest, tmp_path):
    write_shards(manifest, tmp_path, store="video")
    read = read_shards(tmp_path)
    converter = VideoConverter(3, (32, 32))
    for row, record in zip(manifest.rows, read.rows, strict=True):
        assert (record.start, record.end) == (row.start, row.end)
        span = {"start": row.start, "end": row.end}
        np.testing.assert_array_equal(converter(record.path, **span), converter(row.path, **span))


def test_folders_of_pictures_are_taken_as_they_are(tmp_path):
    frames = moving_frames(5, 32, 40)
    for number in ("7", "8"):
        write_frames(tmp_path / "videos" / number, frames)
    (tmp_path / "labels.csv").write_text("walk\njump\n")
    (tmp_path / "train.csv").write_text("7;jump\n8;walk\n")
    manifest = read_something_v1(tmp_path, tmp_path / "videos")
    write_shards(manifest, tmp_path / "to")
    for row, record in zip(manifest.rows, read_shards(tmp_path / "to").rows, strict=True):
        np.testing.assert_array_equal(read_video(row.path)[0], read_video(record.path)[0])
    with pytest.raises(VideoError, match=r"none of 2|folder of pictures"):
        write_shards(manifest, tmp_path / "no", store="video")


# --- unreadable videos ----------------------------------------------------------------------------


@pytest.fixture
def partly(tmp_path):
    """A good video, one that is none, one that breaks off after 5 frames and one that is gone."""
    (tmp_path / "b.mp4").write_text("no video")
    paths = [
        write_video(tmp_path / "a.mp4", moving_frames(8)),
        str(tmp_path / "b.mp4"),
        write_damaged(tmp_path / "c.mov", moving_frames(9), first_bad=5),
        str(tmp_path / "d.mp4"),
    ]
    rows = [VideoRow(path, 0) for path in paths]
    return Manifest(rows, CLASSES, "train", root=tmp_path)


def test_training_videos_that_cannot_be_read_are_left_out_and_listed(partly, tmp_path):
    report = write_shards(partly, tmp_path / "to")
    assert [name for name, _ in report.left_out] == ["b.mp4", "d.mp4"]
    assert "cannot be opened as a video" in report.left_out[0][1]
    assert report.damaged[0][0] == "c.mov"
    assert "only the first 5 of its 9 frames" in report.damaged[0][1]
    read = read_shards(tmp_path / "to")
    assert (len(read), read.not_found) == (2, ("b.mp4", "d.mp4"))
    assert probe_video(read.rows[1].path).num_frames == 5
    again = write_shards(partly, tmp_path / "to")
    assert (again.left_out, again.written, again.kept) == (report.left_out, 0, 1)


def test_a_video_that_was_repaired_is_written(partly, tmp_path):
    report = write_shards(partly, tmp_path / "to", num_shards=4)
    assert [name for name, _ in report.left_out] == ["b.mp4", "d.mp4"]
    with pytest.raises(VideoError, match=r"b\.mp4"):
        write_shards(partly, tmp_path / "to", num_shards=4, unreadable="error")
    write_video(tmp_path / "b.mp4", moving_frames(6))
    (tmp_path / "c.mov").unlink()
    os.replace(write_video(tmp_path / "c.mp4", moving_frames(9)), tmp_path / "c.mov")
    again = write_shards(partly, tmp_path / "to", num_shards=4)
    assert [name for name, _ in again.left_out] == ["d.mp4"]
    assert (again.clips, again.written, again.kept, again.damaged) == (3, 2, 2, ())


def test_validation_videos_that_cannot_be_read_are_an_error(partly, tmp_path):
    partly = Manifest(partly.rows, CLASSES, "val", root=tmp_path)
    with pytest.raises(VideoError, match=r"b\.mp4"):
        write_shards(partly, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
    assert write_shards(partly, tmp_path / "to", unreadable="skip").clips == 2


def test_nothing_readable(partly, tmp_path):
    with pytest.raises(VideoError, match=r"b\.mp4"):
        write_shards(partly.select([1, 3]), tmp_path / "to")


# --- resuming -------------------------------------------------------------------------------------


def stopped(manifest, folder, after, monkeypatch, **options):
    """Writes shards until `after` of them are finished, and stops as Ctrl-C does."""
    write, done = shard._write_shard, []

    def broken(path, *arguments):
        if len(done) == after:
            path.with_name(f".{path.name}.part").write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(path)
        return write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shard, "_write_shard", broken)
        with pytest.raises(KeyboardInterrupt):
            write_shards(manifest, folder, **options)


def test_a_stopped_run_goes_on_and_writes_the_same(manifest, written, tmp_path, monkeypatch):
    options = {"num_shards": 2, "quality": 1}
    stopped(manifest, tmp_path, 1, monkeypatch, **options)
    with pytest.raises(ValueError, match=r"train\.shards\.json is incomplete"):
        read_shards(tmp_path)
    report = write_shards(manifest, tmp_path, **options)
    assert (report.written, report.kept) == (1, 1)
    whole = {path.name: path.read_bytes() for path in written[0].iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


def test_a_finished_shard_that_was_altered_is_written_again(manifest, copied):
    folder, _ = copied
    path = folder / "train-00001-of-00002.tfrecord"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] + b"spoil")
    report = write_shards(manifest, folder, num_shards=2, quality=1)
    assert (report.written, report.kept) == (1, 1)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quality": 4}, "of other options, quality 1 and not 4; write to another folder"),
        ({"num_shards": 3}, "num_shards 2 and not 3"),
        ({"store": "video"}, "quality 1 and not None and short_side 256 and not None and store"),
    ],
)
def test_a_folder_of_other_options_is_refused(manifest, copied, change, words):
    before = {path: path.read_bytes() for path in copied[0].iterdir()}
    with pytest.raises(ValueError, match=words):
        write_shards(manifest, copied[0], **{"num_shards": 2, "quality": 1, **change})
    assert {path: path.read_bytes() for path in copied[0].iterdir()} == before


def test_a_folder_of_another_manifest_is_refused(manifest, copied):
    other = manifest.select(range(5))
    with pytest.raises(ValueError, match=r"another manifest, whose digest is .* and not"):
        write_shards(other, copied[0], num_shards=2, quality=1)
    assert write_shards(other, copied[0], name="other").clips == 5


# --- shards that are not what they were -----------------------------------------------------------


def test_a_truncated_shard_is_named(copied):
    folder, _ = copied
    path = folder / "train-00001-of-00002.tfrecord"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ShardError, match=r"train-00001-of-00002\.tfrecord': it is truncated"):
        read_shards(folder)
    path.unlink()
    with pytest.raises(ShardError, match=r"train-00001-of-00002\.tfrecord': No such file"):
        read_shards(folder)


def test_damage_after_the_index_was_read_stops_training(copied):
    folder, manifest = copied
    path = folder / "train-00000-of-00002.tfrecord"
    whole = path.read_bytes()
    converter = VideoConverter(2, (16, 16))
    for spoilt, words in (
        (whole[:-100], "it is truncated: it ends within the record"),
        (whole[: len(whole) // 8] + b"\0\1\2" + whole[len(whole) // 8 + 3 :], "it was changed"),
        (None, "No such file"),
    ):
        path.unlink() if spoilt is None else path.write_bytes(spoilt)
        loader = VideoLoader(manifest, converter, 6, training=True)
        with pytest.raises(ShardError, match=rf"00000-of-00002\.tfrecord'.*{words}"):
            loader[0]
        checks = list(check_videos(manifest, workers=1))
        assert any(words in check.error for check in checks)


def test_verify_reads_everything(copied):
    folder, _ = copied
    path = folder / "train-00000-of-00002.tfrecord"
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    read_shards(folder)  # of the right size
    with pytest.raises(ShardError, match="SHA-256"):
        read_shards(folder, verify=True)


def test_lengths_that_a_path_states_are_not_believed(copied):
    shard_path = str(copied[0] / "train-00000-of-00002.tfrecord")
    for length, words in ((2**30, "ends within"), (2**30 + 1, "more than 1073741824")):
        with pytest.raises(ShardError, match=words):
            read_video(f"{shard_path}#0,{length},00000000")
    with pytest.raises(ShardError, match="ends within"):
        read_video(f"{shard_path}#{10**17},10,00000000")


def test_a_record_of_something_else(tmp_path):
    path = tmp_path / "a.tfrecord"
    for data, words in ((encode_example({"x": [1]}), "holds no frames"), (b"\xff", "no tf.train")):
        path.write_bytes(bytes(12) + data)
        crc = f"{records.zlib.crc32(data):08x}"
        with pytest.raises(ValueError, match=words):
            read_video(f"{path}#0,{len(data)},{crc}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda index: index.update(version=3), "no index of shards, version 1 or 2"),
        (lambda index: index.pop("shards"), "is damaged"),
        (lambda index: index["shards"].update({"../a.tfrecord": {}}), "is damaged"),
        (lambda index: next(iter(index["shards"].values())).update(bytes="1"), "is damaged"),
        (lambda index: index["shards"].update({"a.tfrecord": {"records": [[1]]}}), "is damaged"),
        (lambda index: index["class_names"].pop(), "class_names has 1 classes"),
    ],
)
def test_damaged_indices(copied, change, words):
    path = copied[0] / "train.shards.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=words):
        read_shards(copied[0])


def test_what_cannot_be_read(copied, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"val\.shards\.json"):
        read_shards(copied[0], "val")
    with pytest.raises(ValueError, match="the difference is the order"):
        read_shards(copied[0], class_names=("jump", "walk"))
    (tmp_path / "a.shards.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON file"):
        read_shards(tmp_path / "a.shards.json")


def test_a_csv_of_records(copied):
    folder, manifest = copied
    manifest.write_csv(folder / "list.csv")
    again = read_csv(folder / "list.csv", class_names=CLASSES)
    assert again.rows == manifest.rows


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_shards": 7}, "num_shards must be an integer from 1 to 6"),
        ({"quality": 0}, "quality must be an integer from 1 to 31"),
        ({"short_side": 1.5}, "short_side must be an integer from 1 to 8192"),
        ({"store": "png"}, "store must be one of"),
        ({"unreadable": "ignore"}, "unreadable must be one of"),
        ({"name": "a/b"}, "name must be letters"),
    ],
)
def test_bad_arguments(manifest, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        write_shards(manifest, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []
