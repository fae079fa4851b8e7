"""Rows that are no files, through everything that reads a manifest's videos."""

import io
import json
import pathlib
import pickle

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import (
    ClipSource,
    Frames,
    Manifest,
    VideoConverter,
    VideoError,
    VideoLoader,
    VideoRow,
    read_shards,
    write_shards,
)
from keras_mlp3d.data.video.sources import LazySource
from keras_mlp3d.inference import evaluate, wrong_answers
from keras_mlp3d.models import MLP3D, MLP3DBackbone
from keras_mlp3d.search.clips import StreamedClips

CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32))
VIDEOS = [moving_frames(8, 32, 32), moving_frames(8, 32, 32)[::-1]]
NAMES = ("run", "jump")
KINDS = ("path", "bytes", "file", "array", "list", "frames", "lazy bytes", "lazy path")


class Load:
    """Returns a source; can be pickled."""

    def __init__(self, source):
        self.source = source

    def __call__(self):
        return self.source


@pytest.fixture
def sources(tmp_path):
    """{kind: the same two videos}"""
    paths = [write_lossless(tmp_path / f"{i}.mkv", video) for i, video in enumerate(VIDEOS)]
    contents = [pathlib.Path(path).read_bytes() for path in paths]
    found = {
        "path": paths,
        "bytes": contents,
        "file": [io.BytesIO(content) for content in contents],
        "array": VIDEOS,
        "list": [list(video) for video in VIDEOS],
        "frames": [Frames(video, fps=8, name="camera") for video in VIDEOS],
        "lazy bytes": [LazySource(f"row {i}", Load(one)) for i, one in enumerate(contents)],
        "lazy path": [LazySource(f"row {i}", Load(one)) for i, one in enumerate(paths)],
    }
    assert tuple(found) == KINDS
    return found


def manifest_of(sources, split="val"):
    return Manifest([VideoRow(source, label) for label, source in enumerate(sources)], NAMES, split)


def broken():
    """Sources that cannot be read, each in its way."""

    def fail():
        raise KeyError("gone")

    return [b"no video", io.BytesIO(b"none either"), LazySource("row 9", Load(b"x")),
            LazySource("row 10", fail), LazySource("row 11", Load("nowhere.mp4"))]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2")
    model = MLP3D(backbone, 2, class_names=list(NAMES), converter=CONVERTER)
    # The first class wins for the first video, and for the second: one wrong answer.
    model.predict_on_batch = lambda batch: np.tile([[2.0, 1.0]], (len(batch), 1)).astype("float32")
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_loaded(sources, kind):
    manifest = pickle.loads(pickle.dumps(manifest_of(sources[kind])))
    clips, labels = VideoLoader(manifest, CONVERTER, batch_size=2, workers=2)[0]
    assert labels.tolist() == [0, 1]
    for clip, video in zip(clips, VIDEOS, strict=True):
        np.testing.assert_array_equal(clip, CONVERTER(video))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_evaluated(sources, kind, model):
    manifest = manifest_of(sources[kind])
    evaluation = evaluate(model, manifest, batch_size=1, workers=2)
    assert (evaluation.top1, evaluation.failed, evaluation.digest) == (0.5, (), manifest.digest)
    results = json.loads(json.dumps(evaluation.to_dict()))["predictions"]
    assert [result["path"] for result in results] == [row.name for row in manifest.rows]
    assert len({result["path"] for result in results}) == 2
    assert "source" not in results[0]
    [answer], _ = wrong_answers(evaluation, num_frames=8)
    np.testing.assert_array_equal(answer.frames, VIDEOS[1])
    assert answer.path == manifest.rows[1].name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", ["frames", "video"])
def test_every_kind_becomes_shards(sources, kind, store, tmp_path):
    pytest.importorskip("google_crc32c")
    manifest = manifest_of(sources[kind])
    options = {"store": store, "unreadable": "error"}
    if store == "video" and kind in ("array", "list", "frames"):
        with pytest.raises(VideoError, match="it is frames in memory; store='video' takes files"):
            write_shards(manifest, tmp_path / "shards", **options)
        return
    report = write_shards(manifest, tmp_path / "shards", **options)
    assert (report.clips, report.left_out) == (2, ())
    again = read_shards(tmp_path / "shards", "val")
    assert again.labels.tolist() == [0, 1]
    close = 0 if store == "video" else 40
    for row, video in zip(again.rows, VIDEOS, strict=True):
        clip = CONVERTER(row.path).astype("int16")
        assert np.abs(clip - CONVERTER(video)).mean() <= close


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_searched_on(sources, kind):
    clips = StreamedClips(manifest_of([*sources[kind]]), CONVERTER, workers=1).kept()
    assert (clips.clips.shape, clips.failed) == ((2, 8, 32, 32, 3), ())


def test_an_unreadable_one_is_named_and_stops_nothing(sources, model, caplog):
    bad = broken()
    rows = [VideoRow(source, 0) for source in (*sources["bytes"], *bad)]
    manifest = Manifest(rows, NAMES, "val")
    names = [row.name for row in rows[2:]]
    evaluation = evaluate(model, manifest, workers=1)
    assert [name for name, _ in evaluation.failed] == names
    assert "cannot be fetched" in evaluation.failed[3][1]
    kept = StreamedClips(manifest, CONVERTER, workers=1).kept()
    assert [name for name, _ in kept.failed] == names

    source = ClipSource(manifest, CONVERTER, batch_size=len(rows), training=True)
    clips, _ = source.batch(0, 0)
    assert len(clips) == len(rows)
    assert {*source.unreadable} == {*names}
    assert len(caplog.records) >= len({*names})

    loader = VideoLoader(manifest, CONVERTER, batch_size=len(rows))
    with pytest.raises(VideoError, match=f"cannot read the video '{names[0]}'"):
        loader[0]


def test_rows_that_are_alike_are_told_apart_when_they_cannot_be_read():
    rows = [VideoRow(f"no video {i}".encode(), 0) for i in range(3)]
    source = ClipSource(
        Manifest([*rows, VideoRow(VIDEOS[0], 0)], ["x"], "train"), CONVERTER, 4, training=True
    )
    source.batch(0, 0)
    assert {*source.unreadable} == {row.name for row in rows}
