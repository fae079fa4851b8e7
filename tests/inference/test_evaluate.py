"""Evaluation against a twin that scores one view at a time; failures, classes, memory.

Most tests put a quick function in the place of a network's forward pass, as those of `classify` do.
"""

import os
import threading

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_damaged, write_lossless

from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, read_manifest
from keras_mlp3d.data.video.reader import Reader
from keras_mlp3d.inference import decode_ahead, evaluate
from keras_mlp3d.models import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D

SIZES = (8, 8, 16, 16), (1, 1, 1, 1), 2
CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32))
NAMES = ("climb", "dive", "fall", "hop", "jump", "run", "turn")


def tiny_model(name=None, class_names=NAMES, converter=CONVERTER, num_classes=7, **options):
    backbone = MLP3DBackbone(*SIZES, "short_range:2", name=name and f"{name}_backbone")
    names = None if class_names is None else list(class_names)
    return MLP3D(
        backbone, num_classes, class_names=names, converter=converter, name=name, **options
    )


def logits_of(inputs):
    """Seven logits of each clip or frame, which depend on pixels all over it."""
    flat = np.asarray(inputs, "float64").reshape(len(inputs), -1)[:, ::7]
    waves = [np.cos(flat * k + np.arange(flat.shape[1])).mean(axis=1) for k in range(1, 8)]
    return (40 * np.stack(waves, axis=1)).astype("float32")


def quick(model):
    """Gives a network `logits_of` as its forward pass; `batches` says what it was given."""
    model.batches = []

    def predict_on_batch(batch):
        model.batches.append(batch.shape)
        return logits_of(batch)

    model.predict_on_batch = predict_on_batch
    return model


def twin(model, manifest, clips, crops, converter=CONVERTER):
    """[(place of the best class in the model's order, its score, rank of the right one)]."""
    by_frame = isinstance(model, CycleMLP)
    names = model.class_names or manifest.class_names
    answers = []
    for row in manifest.rows:
        views, _ = converter.views(row.path, clips, crops, start=row.start, end=row.end)
        scores = []
        for view in views:
            for single in view if by_frame else [view]:
                [logits] = np.asarray(logits_of(single[None]), "float64")
                scores.append(np.exp(logits) / np.exp(logits).sum())
        mean = np.mean(scores, axis=0)
        right = mean[list(names).index(manifest.class_names[row.label])]
        answers.append((int(np.argmax(mean)), mean.max(), 1 + int((mean > right).sum())))
    return answers


def assert_matches_twin(evaluation, answers):
    assert [(v.best, v.rank) for v in evaluation.predictions] == [(a[0], a[2]) for a in answers]
    scores = [video.score for video in evaluation.predictions]
    np.testing.assert_allclose(scores, [answer[1] for answer in answers], rtol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A class folder for each name: wide, high and square videos of several lengths."""
    folder = tmp_path_factory.mktemp("videos")
    shapes = (36, 60), (60, 36), (32, 32), (48, 64)
    for number, name in enumerate(NAMES):
        (folder / name).mkdir()
        for take in range(1 + number % 2):
            frames = moving_frames(6 + 3 * number + take, *shapes[(number + take) % 4])
            write_lossless(folder / name / f"{take}.mkv", np.roll(frames, 40 * take, axis=2))
    return folder


@pytest.fixture
def manifest(folder):
    return read_manifest(folder, "val")


@pytest.fixture
def model():
    return quick(tiny_model())


@pytest.mark.parametrize(
    ("views", "batch_size", "workers"),
    [((1, 1), 4, 1), ((1, 3), 100, 2), ((3, 1), 1, 4), ((2, 3), 7, 3)],
)
def test_views_are_averaged_as_one_by_one(model, manifest, views, batch_size, workers):
    evaluation = evaluate(model, manifest, *views, batch_size=batch_size, workers=workers)
    assert_matches_twin(evaluation, twin(model, manifest, *views))
    assert len(set(model.batches)) == 1
    assert model.batches[0][0] <= batch_size
    assert (evaluation.expected, evaluation.decoded, evaluation.failed) == (10, 10, ())
    assert (evaluation.clips, evaluation.crops) == views
    assert (evaluation.digest, evaluation.split) == (manifest.digest, "val")
    assert evaluation.class_names == NAMES
    assert [video.path for video in evaluation.predictions] == [row.path for row in manifest.rows]
    assert [video.label for video in evaluation.predictions] == manifest.labels.tolist()
    right = [answer[2] for answer in twin(model, manifest, *views)]
    assert evaluation.top1 == sum(rank == 1 for rank in right) / 10
    assert evaluation.top5 == sum(rank <= 5 for rank in right) / 10
    assert evaluation.confusion.sum(axis=1).tolist() == [1, 2, 1, 2, 1, 2, 1]


def test_neither_batches_nor_workers_change_the_result(model, manifest):
    said = [
        evaluate(model, manifest, 2, 3, batch_size=batch, workers=workers).to_dict()
        for batch, workers in ((1, 1), (5, 4), (64, 2))
    ]
    scores = np.array([[video.pop("score") for video in one["predictions"]] for one in said])
    assert said[0] == said[1] == said[2]
    np.testing.assert_allclose(scores, scores[:1].repeat(3, axis=0), rtol=1e-6)


def test_few_videos_make_a_small_batch(model, manifest):
    evaluate(model, manifest.select([0, 1, 2]), batch_size=100)
    evaluate(model, manifest.select([0, 1, 2]), batch_size=2)
    assert model.batches == [(3, 8, 32, 32, 3)] + [(2, 8, 32, 32, 3)] * 2


def test_equal_crops_are_computed_once(model, folder, manifest):
    square = manifest.select([1, 2])  # "dive": one of 32 x 32 and one that is not square
    one, three = evaluate(model, square, crops=1), evaluate(model, square, 2, 3, batch_size=1)
    assert len(model.batches) == 1 + 2 + 6
    assert_matches_twin(three, twin(model, square, 2, 3))
    assert_matches_twin(one, twin(model, square, 1, 1))


def test_stretches_of_a_video(model, folder):
    path = str(folder / "turn" / "0.mkv")  # 24 frames, 8 a second
    rows = VideoRow(path, 0, 0.0, 1.0), VideoRow(path, 3, 1.0, None), VideoRow(path, 6)
    manifest = Manifest(rows, NAMES, "val")
    evaluation = evaluate(model, manifest, clips=2)
    assert_matches_twin(evaluation, twin(model, manifest, 2, 1))
    assert [(v.start, v.end) for v in evaluation.predictions] == [(0, 1), (1, None), (None, None)]
    assert len({video.score for video in evaluation.predictions}) == 3


def test_cyclemlp_sees_each_frame_by_itself(manifest):
    model = quick(CycleMLP(*SIZES, num_classes=7, class_names=list(NAMES)))
    evaluation = evaluate(model, manifest, 2, 3, batch_size=10, converter=CONVERTER)
    assert_matches_twin(evaluation, twin(model, manifest, 2, 3))
    assert set(model.batches) == {(10, 32, 32, 3)}


def test_two_paths(manifest):
    paths = tiny_model("still"), tiny_model("moving", converter=None)
    two = quick(TwoPathMLP3D(*paths, motion_size=(32, 32)))
    assert_matches_twin(evaluate(two, manifest, crops=3), twin(two, manifest, 1, 3))


def test_scores_of_softmax_are_taken_as_they_are(manifest):
    model = tiny_model(activation="softmax")
    rows = np.float32([[0.5, 0.2, 0.1, 0.08, 0.06, 0.04, 0.02]])
    model.predict_on_batch = lambda batch: rows.repeat(len(batch), axis=0)
    evaluation = evaluate(model, manifest)
    assert {video.best for video in evaluation.predictions} == {0}
    np.testing.assert_allclose([video.score for video in evaluation.predictions], 0.5)
    assert [video.rank for video in evaluation.predictions] == [1 + v for v in manifest.labels]
    assert (evaluation.top1, evaluation.top5) == (0.1, 0.7)


def test_of_equal_scores_the_first_class_wins(manifest):
    model = tiny_model()
    model.predict_on_batch = lambda batch: np.zeros((len(batch), 7), "float32")
    evaluation = evaluate(model, manifest)
    assert [video.rank for video in evaluation.predictions] == [1 + v for v in manifest.labels]


def test_the_network_itself(tmp_path, monkeypatch):
    """All batches have one shape: a backend that compiles does so once, in the first of them."""
    rows = [
        VideoRow(write_lossless(tmp_path / f"{k}.mkv", moving_frames(9 + k, 36, 60)), k)
        for k in range(3)
    ]
    model, manifest = tiny_model(), Manifest(rows, NAMES, "test")
    call, calls = MLP3DBackbone.__call__, []

    def counted(self, *args, **kwargs):
        calls.append(1)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(MLP3DBackbone, "__call__", counted)
    evaluation = evaluate(model, manifest, crops=3, batch_size=2)
    first = len(calls)
    again = evaluate(model, manifest, crops=3, batch_size=2)
    assert len(calls) - first == (5 if keras.backend.backend() == "torch" else 0)
    assert evaluation.to_dict() == again.to_dict()
    for video in evaluation.predictions:
        views, _ = CONVERTER.views(video.path, crops=3)
        logits = np.asarray(model.predict_on_batch(np.concatenate([views, views[:1]])[:2]))
        rest = np.asarray(model.predict_on_batch(views[[2, 2]]))[:1]
        powers = np.exp(np.concatenate([logits, rest]).astype("float64"))
        mean = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
        assert video.best == np.argmax(mean)
        assert video.score == pytest.approx(mean.max(), rel=1e-5)


# Videos that cannot be read -----------------------------------------------------------------------


def test_no_video_is_left_out(model, folder, tmp_path):
    frames = moving_frames(12, 36, 60)
    (tmp_path / "notes.mp4").write_text("no video")
    paths = [
        str(tmp_path / "absent.mp4"),
        write_lossless(tmp_path / "good.mkv", frames),
        str(tmp_path / "notes.mp4"),
        write_damaged(tmp_path / "damaged.mov", frames, 0),
        write_damaged(tmp_path / "half.mov", frames, 6),
    ]
    manifest = Manifest(
        [VideoRow(path, label) for label, path in enumerate(paths)],
        NAMES, "val", not_found=("gone.mp4",),
    )  # fmt: skip
    readable = manifest.select([1, 4])
    done = []
    evaluation = evaluate(
        model, manifest, 2, 3, workers=2, progress=lambda *counts: done.append(counts)
    )
    assert_matches_twin(evaluation, twin(model, readable, 2, 3))
    assert (evaluation.expected, evaluation.decoded) == (6, 2)
    assert dict(evaluation.failed) == {
        "gone.mp4": "the data set lists it, and no file was found",
        paths[0]: "no such video file",
        paths[2]: dict(evaluation.failed)[paths[2]],
        paths[3]: dict(evaluation.failed)[paths[3]],
    }
    assert "cannot be opened" in dict(evaluation.failed)[paths[2]]
    assert "none of its 12 frames" in dict(evaluation.failed)[paths[3]]
    right = sum(video.rank == 1 for video in evaluation.predictions)
    assert (evaluation.top1, evaluation.top1_of_decoded) == (right / 6, right / 2)
    assert evaluation.class_counts.tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert done == [(count, 5) for count in range(1, 6)]


def test_pictures_that_would_become_too_large_fail_alone(model, folder, tmp_path):
    wide = write_lossless(tmp_path / "wide.mkv", np.zeros((4, 2, 16384, 3), "uint8"))
    good = write_lossless(tmp_path / "good.mkv", moving_frames(12, 36, 60))
    manifest = Manifest([VideoRow(wide, 0), VideoRow(good, 1)], NAMES, "val")
    converter = VideoConverter(8, (224, 224))
    evaluation = evaluate(model, manifest, converter=converter)
    assert evaluation.decoded == 1
    [(name, reason)] = evaluation.failed
    assert name == wide
    assert "would be resized to 224 x" in reason


def test_nothing_can_be_read(model, tmp_path):
    evaluation = evaluate(model, Manifest([VideoRow(str(tmp_path / "a.mp4"), 2)], NAMES, "val"))
    assert (evaluation.top1, evaluation.top1_of_decoded, model.batches) == (0.0, None, [])
    assert evaluation.failed == ((str(tmp_path / "a.mp4"), "no such video file"),)


def test_other_errors_end_it_and_the_threads(model, manifest, monkeypatch):
    def failing(self, *args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(VideoConverter, "views", failing)
    before = set(threading.enumerate())  # a loader of another test may not be collected yet
    with pytest.raises(RuntimeError, match="a bug"):
        evaluate(model, manifest, workers=2)
    assert set(threading.enumerate()) <= before


def test_weights_that_are_no_numbers(model, manifest):
    model.predict_on_batch = lambda batch: np.full((len(batch), 7), np.nan, "float32")
    with pytest.raises(ValueError, match="not finite"):
        evaluate(model, manifest)


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize(
    ("clips_kept", "sizes", "passes"),
    [(2, [6, 6, 6, 3], 4), (3, [9, 9, 3], 1)],
    ids=["each part decodes", "cut from pictures"],
)
def test_many_clips_come_in_parts(model, tmp_path, monkeypatch, damaged, clips_kept, sizes, passes):
    """All 30 pictures are larger than the views of two clips, and smaller than those of three."""
    frames = moving_frames(40, 36, 60)
    path = (
        write_damaged(tmp_path / "a.mov", frames, 38)
        if damaged
        else write_lossless(tmp_path / "a.mkv", frames)
    )
    manifest = Manifest([VideoRow(path, 0, 1.0, None)], NAMES, "val")
    asked, frames_of = [], Reader.frames

    def counted(self, indices, *args):
        for index, picture in frames_of(self, indices, *args):
            asked.append(index)
            yield index, picture

    answers = twin(model, manifest, 7, 3)
    assert_matches_twin(evaluate(model, manifest, 7, 3), answers)
    monkeypatch.setattr(decode_ahead, "_PART_BYTES", clips_kept * 3 * 8 * 32 * 32 * 3)
    assert_matches_twin(evaluate(model, manifest, 7, 3, workers=1), answers)
    monkeypatch.setattr(Reader, "frames", counted)
    parts = list(decode_ahead.decode_ahead(manifest.rows, CONVERTER, 7, 3, 1))
    assert [len(views) for _, views, _ in parts] == sizes
    assert {asked.count(index) for index in asked[-20:]} == {passes}


def test_a_video_that_becomes_unreadable_between_parts(model, tmp_path, monkeypatch):
    path = write_lossless(tmp_path / "a.mkv", moving_frames(40, 36, 60))
    good = write_lossless(tmp_path / "b.mkv", moving_frames(12, 36, 60))
    manifest = Manifest([VideoRow(path, 0), VideoRow(good, 1)], NAMES, "val")
    monkeypatch.setattr(decode_ahead, "_PART_BYTES", 2 * 3 * 8 * 32 * 32 * 3)
    parts = decode_ahead.decode_ahead(manifest.rows, CONVERTER, 7, 3, 1)
    assert len(next(parts)[1]) == 6
    (tmp_path / "a.mkv").unlink()
    number, reason, _ = next(parts)
    assert number == 0
    assert "no such" in reason.lower()
    assert {number for number, _, _ in parts} == {1}


def test_few_videos_are_decoded_ahead(model, manifest, monkeypatch):
    """No more views wait than the bound allows, however slow the model and many the workers."""
    finished, most, views = [], [], VideoConverter.views

    def counted(self, *args, **kwargs):
        out = views(self, *args, **kwargs)
        finished.append(1)
        return out

    def slow(batch):
        threading.Event().wait(0.05)
        most.append(len(finished))
        return logits_of(batch)

    monkeypatch.setattr(VideoConverter, "views", counted)
    monkeypatch.setattr(decode_ahead, "_AHEAD_BYTES", 3 * 8 * 32 * 32 * 3)
    model.predict_on_batch = slow
    evaluate(model, manifest, batch_size=1, workers=8)
    # When the n-th video is scored, itself and two more at most have been decoded.
    assert all(count <= number + 3 for number, count in enumerate(most))
    assert most[0] >= 1


# Classes ------------------------------------------------------------------------------------------


def test_classes_are_matched_by_name(folder):
    order = ("turn", "fall", "hop", "climb", "run", "dive", "jump")
    model, manifest = quick(tiny_model(class_names=order)), read_manifest(folder, "val")
    evaluation = evaluate(model, manifest)
    assert_matches_twin(evaluation, twin(model, manifest, 1, 1))
    assert evaluation.class_names == order
    assert [order[v.label] for v in evaluation.predictions] == [
        os.path.basename(os.path.dirname(row.path)) for row in manifest.rows
    ]
    assert evaluation.class_counts.tolist() == [1, 1, 2, 1, 2, 2, 1]
    assert evaluation.confusion.sum(axis=1).tolist() == [1, 1, 2, 1, 2, 2, 1]


def test_a_model_without_names_takes_the_manifests(manifest):
    evaluation = evaluate(quick(tiny_model(class_names=None)), manifest)
    assert evaluation.class_names == NAMES
    with pytest.raises(ValueError, match=r"must have the 8 classes of .*, got 7 classes"):
        evaluate(tiny_model(class_names=None, num_classes=8), manifest)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((*NAMES[:6], "spin"), "not known to the model: 'spin'; not in the manifest: 'turn'"),
        ((*NAMES, "spin"), "not known to the model: 'spin'; not in the manifest: none"),
        ([f"c{k}" for k in range(7)], "'c0', 'c1', 'c2', 'c3', 'c4' and 2 more; not in"),
    ],
)
def test_other_classes_are_refused(model, names, message):
    with pytest.raises(ValueError, match=message):
        evaluate(model, Manifest([VideoRow("a.mp4", 0)], names, "val"))


def test_some_of_the_classes_are_enough(model, manifest, caplog):
    chosen = [n for n, label in enumerate(manifest.labels.tolist()) if label < 5][:6]
    rows = [manifest.rows[n] for n in chosen]
    evaluation = evaluate(model, Manifest(rows, manifest.class_names[:5], "val"))
    assert "val has no videos of 2 of the 7 classes" in caplog.text
    whole = evaluate(model, manifest.select(chosen))
    assert evaluation.top1 == whole.top1
    assert evaluation.class_names == whole.class_names == NAMES


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "clips must be a positive integer, got 0"),
        ({"crops": 1.5}, "crops must be a positive integer, got 1.5"),
        ({"batch_size": True}, "batch_size must be a positive integer, got True"),
        ({"workers": -1}, "workers must be a positive integer, got -1"),
        ({"manifest": "videos"}, r"must be a data.Manifest, got str; data.read_manifest"),
        ({"converter": VideoConverter(12, (32, 32))}, "12 frames does not fit the schedule"),
        ({"model": "mlp3d_nano"}, "have classes, got str"),
    ],
)
def test_wrong_arguments(model, manifest, monkeypatch, options, message):
    monkeypatch.setattr(VideoConverter, "views", None)  # nothing is decoded before
    with pytest.raises(ValueError, match=message):
        evaluate(**{"model": model, "manifest": manifest, **options})


def test_a_converter_is_needed(manifest):
    with pytest.raises(ValueError, match=r"pass converter=keras_mlp3d\.data\.VideoConverter"):
        evaluate(tiny_model(converter=None), manifest)
