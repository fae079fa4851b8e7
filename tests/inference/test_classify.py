"""Classification of videos against the same done by hand, and what it refuses.

Most tests put a quick function in the place of a network's forward pass, whose compilation takes
seconds; `test_a_compiling_backend_compiles_once` runs the network itself.
"""

import io
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import Frames, VideoConverter, VideoError, read_video
from keras_mlp3d.data.video.sources import LazySource
from keras_mlp3d.inference import classify, score_views
from keras_mlp3d.models import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D

SIZES = (8, 8, 16, 16), (1, 1, 1, 1), 2
CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32))
NAMES = ["fall", "jump", "run", "turn"]


def tiny_model(converter=CONVERTER, name=None, num_classes=4, **options):
    backbone = MLP3DBackbone(*SIZES, "short_range:2", name=name and f"{name}_backbone")
    return MLP3D(backbone, num_classes, converter=converter, name=name, **options)


def logits_of(inputs):
    """Four logits of each clip or frame, in which every pixel counts for itself."""
    flat = np.asarray(inputs, "float64").reshape(len(inputs), -1)
    return np.stack([np.cos(flat * k + np.arange(flat.shape[1])).mean(axis=1) for k in range(4)], 1)


def softmax(logits):
    powers = np.exp(np.asarray(logits, "float64"))
    return powers / powers.sum(axis=-1, keepdims=True)


def quick(model):
    """Gives a network `logits_of` as its forward pass; `batches` says what it was given."""
    model.batches = []

    def predict_on_batch(batch):
        model.batches.append(batch.shape)
        return logits_of(batch).astype("float32")

    model.predict_on_batch = predict_on_batch
    return model


@pytest.fixture
def model():
    return quick(tiny_model(class_names=NAMES))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video wider than high, so that three crops are three pictures."""
    folder = tmp_path_factory.mktemp("videos")
    return write_lossless(folder / "wide.mkv", moving_frames(20, 36, 60))


@pytest.fixture(scope="module")
def square_video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return write_lossless(folder / "square.mkv", moving_frames(20, 32, 32))


def test_scores_are_averaged_over_all_views(model, video):
    views, indices = CONVERTER.views(video, clips=2, crops=3)
    assert len({view.tobytes() for view in views}) == 6
    scores = softmax(logits_of(views)).mean(axis=0)
    [prediction] = classify(model, [video], clips=2, crops=3, top_k=3)
    best = np.argsort(-scores)[:3]
    assert prediction.path == video
    assert prediction.labels == tuple(NAMES[place] for place in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-5)
    np.testing.assert_array_equal(prediction.frame_indices, indices)


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [1] * 7), (2, [2] * 4), (3, [3] * 3), (5, [4, 4]), (7, [7]), (100, [7])],
)
def test_batches_of_one_shape(model, batch_size, sizes):
    views = np.random.default_rng(0).integers(0, 256, (7, 8, 32, 32, 3), "uint8")
    scores = score_views(model, views, batch_size)
    np.testing.assert_allclose(scores, softmax(logits_of(views)), rtol=1e-5)
    assert model.batches == [(size, 8, 32, 32, 3) for size in sizes]


def test_paths_keep_their_order(model, video, square_video):
    predictions = classify(model, [square_video, video, square_video], crops=1)
    assert [prediction.path for prediction in predictions] == [square_video, video, square_video]
    assert predictions[0] == predictions[2]
    assert predictions[0].scores != predictions[1].scores


def test_one_path_may_stand_alone(model, video, tmp_path):
    path = shutil.copy(video, tmp_path / "copy.mkv")
    [alone] = classify(model, path, crops=1)
    [listed] = classify(model, [os.fspath(path)], crops=1)
    assert alone == listed
    assert alone.path == os.fspath(path)
    assert classify(model, []) == []


def test_names_where_the_model_has_none(video, monkeypatch):
    model = tiny_model(num_classes=3)
    logits = np.log([[0.25, 0.125, 0.625]]).astype("float32")
    monkeypatch.setattr(model, "predict_on_batch", lambda batch: logits.repeat(len(batch), axis=0))
    [prediction] = classify(model, video, top_k=5)
    assert prediction.labels == ("class 2", "class 0", "class 1")
    np.testing.assert_allclose(prediction.scores, [0.625, 0.25, 0.125], rtol=1e-6)


@pytest.mark.parametrize(
    ("activation", "outputs"),
    [
        ("softmax", [0.5, 0.25, 0.25]),
        ("linear", [101.0 + np.log(2), 101.0, 101.0]),
        (None, [-900.0 + np.log(2), -900.0, -900.0]),
    ],
)
def test_activation_of_the_output(activation, outputs, monkeypatch):
    model = tiny_model(num_classes=3, activation=activation)
    monkeypatch.setattr(
        model, "predict_on_batch", lambda batch: np.float32([outputs]).repeat(len(batch), axis=0)
    )
    scores = score_views(model, np.zeros((2, 8, 32, 32, 3), "uint8"))
    np.testing.assert_allclose(scores, [[0.5, 0.25, 0.25]] * 2, rtol=1e-4)


def test_two_paths_and_their_converter(video):
    paths = tiny_model(name="still"), tiny_model(None, "moving")
    two = quick(TwoPathMLP3D(*paths, motion_size=(32, 32)))
    scores = softmax(logits_of(CONVERTER.views(video, crops=3)[0])).mean(axis=0)
    [prediction] = classify(two, video, top_k=4)
    np.testing.assert_allclose(prediction.scores, np.sort(scores)[::-1], rtol=1e-5)


def test_cyclemlp_sees_each_frame_by_itself(video):
    model = quick(CycleMLP(*SIZES, num_classes=4, class_names=NAMES))
    views, indices = CONVERTER.views(video, clips=1, crops=3)
    scores = softmax(logits_of(views.reshape(-1, 32, 32, 3))).mean(axis=0)
    [prediction] = classify(model, video, batch_size=10, converter=CONVERTER)
    best = np.argsort(-scores)
    assert prediction.labels == tuple(NAMES[place] for place in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-5)
    np.testing.assert_array_equal(prediction.frame_indices, indices)
    assert model.batches == [(8, 32, 32, 3)] * 3


def test_a_compiling_backend_compiles_once(tmp_path, monkeypatch):
    model = tiny_model()
    videos = [
        write_lossless(tmp_path / f"{number}.mkv", moving_frames(10 + number, 36, 60 + 2 * number))
        for number in range(3)
    ]
    call, calls = MLP3DBackbone.__call__, []

    def counted(self, *args, **kwargs):
        calls.append(1)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(MLP3DBackbone, "__call__", counted)
    per_video = []
    for path in videos:
        calls.clear()
        [prediction] = classify(model, path, crops=3, top_k=4, batch_size=2)
        per_video.append(len(calls))
    if keras.backend.backend() == "torch":
        assert per_video == [2, 2, 2]  # runs as it stands, two batches a video
    else:
        assert per_video[0] > 0
        assert per_video[1:] == [0, 0]
    views, _ = CONVERTER.views(videos[-1], crops=3)
    logits = np.concatenate(
        [model.predict_on_batch(views[[0, 1]]), model.predict_on_batch(views[[2, 0]])]
    )
    scores = softmax(logits[:3]).mean(axis=0)
    np.testing.assert_allclose(prediction.scores, np.sort(scores)[::-1], rtol=1e-5)


def test_equal_crops_are_computed_once(model, square_video):
    [three] = classify(model, square_video, clips=2, crops=3)
    [one] = classify(model, square_video, clips=2, crops=1)
    assert model.batches == [(2, 8, 32, 32, 3)] * 2
    assert three == one


# What a source is -------------------------------------------------------------------------------


def test_the_same_from_a_file_its_bytes_and_its_frames(model, video):
    frames, fps = read_video(video)
    [expected] = classify(model, video, clips=2)
    assert expected.frame_times.dtype == "float64"
    np.testing.assert_allclose(expected.frame_times, expected.frame_indices / fps)
    content = pathlib.Path(video).read_bytes()
    with open(video, "rb") as file:
        for source, name in (
            (pathlib.Path(video), video),
            (content, "bytes"),
            (bytearray(content), "bytes"),
            (memoryview(content), "bytes"),
            (io.BytesIO(content), "file object"),
            (file, video),
        ):
            [found] = classify(model, source, clips=2)
            assert (found.path, found.labels, found.scores) == (
                name, expected.labels, expected.scores,
            )  # fmt: skip
            np.testing.assert_array_equal(found.frame_indices, expected.frame_indices)
            np.testing.assert_array_equal(found.frame_times, expected.frame_times)
    for source, rate, name in (
        (frames, None, "frames"),
        (list(frames), 8, "frames"),
        (tuple(frames), None, "frames"),
        (Frames(frames, fps=8, name="camera"), None, "camera"),
        (LazySource("row 3", lambda: list(frames)), 8, "row 3"),
    ):
        [found] = classify(model, source, clips=2, fps=rate)
        assert (found.path, found.error) == (name, "")
        # Files are resized in the colors that they are stored in, arrays as RGB.
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0.05)
        np.testing.assert_array_equal(found.frame_indices, expected.frame_indices)
        if name in ("camera", "row 3") or rate:
            np.testing.assert_allclose(found.frame_times, expected.frame_times)
        else:
            assert found.frame_times is None


def test_lists_are_lists_of_sources_except_lists_of_frames(model, video):
    frames, _ = read_video(video)
    content = pathlib.Path(video).read_bytes()
    many = classify(model, [video, content, frames, list(frames), Frames(frames, name="x")])
    assert [found.path for found in many] == [video, "bytes", "frames", "frames", "x"]
    assert [found.path for found in classify(model, (path for path in (video, video)))] == [
        video
    ] * 2
    assert [found.path for found in classify(model, np.array([video, video]))] == [video] * 2
    [alone] = classify(model, list(frames))
    assert alone == many[3]


# Unreadable videos ------------------------------------------------------------------------------


def bad_sources(tmp_path, video):
    (tmp_path / "notes.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    os.symlink(tmp_path / "nothing.mp4", tmp_path / "dangling.mp4")
    os.symlink(tmp_path / "loop.mp4", tmp_path / "loop.mp4")
    paths = ["notes.mp4", "empty.mp4", "pipe.mp4", "dangling.mp4", "loop.mp4", "absent.mp4"]
    return {
        **{str(tmp_path / name): str(tmp_path / name) for name in paths},
        str(tmp_path): tmp_path,
        "bytes": b"no video",
        "file object": io.BytesIO(b""),
        "frames": np.zeros((4, 32, 32), "uint8"),
        "row": LazySource("row", lambda: {}["image"]),
        "other": LazySource("other", lambda: [1, 2]),
    }


def test_one_bad_source_stops_nothing_and_is_named(model, video, tmp_path):
    bad = bad_sources(tmp_path, video)
    sources = [video, *bad.values(), video]
    first, *failed, last = classify(model, sources, on_error="report")
    assert first == last == classify(model, video)[0]
    assert first.error == ""
    assert [found.path for found in failed] == list(bad)
    for found in failed:
        assert (found.labels, found.scores, found.frame_indices.shape) == ((), (), (0, 0))
        assert found.frame_times is None
        assert found.error
        assert "\n" not in found.error
        assert repr(found) == f"Prediction(path={found.path!r}, error={found.error!r})"
    for name in bad:
        with pytest.raises((ValueError, OSError)):
            classify(model, bad[name])


def test_any_error_of_reading_is_reported_and_none_of_the_network(model, video, monkeypatch):
    def failing(self, video, **options):
        raise IndexError("list index out of range")

    monkeypatch.setattr(VideoConverter, "read", failing)
    [found] = classify(model, video, on_error="report")
    assert found.error == "IndexError: list index out of range"
    monkeypatch.undo()
    monkeypatch.setattr(
        model, "predict_on_batch", lambda batch: np.full((len(batch), 4), np.nan, "float32")
    )
    with pytest.raises(ValueError, match="not finite"):
        classify(model, video, on_error="report")


def test_raising_says_how_to_have_the_others(model, video, tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"notes\.mp4") as caught:
        classify(model, [video, tmp_path / "notes.mp4", video])
    [note] = caught.value.__notes__
    assert "number 2 of 3 videos" in note
    assert 'on_error="report"' in note


# What is refused --------------------------------------------------------------------------------


def test_a_converter_is_needed(video):
    with pytest.raises(ValueError, match=r"pass converter=keras_mlp3d\.data\.VideoConverter"):
        classify(tiny_model(converter=None), video)


def test_clips_must_fit_the_network(model, video):
    converter = VideoConverter(num_frames=12, image_size=(32, 32))
    with pytest.raises(ValueError, match=r"12 frames does not fit the schedule .* 8, 16"):
        classify(model, video, converter=converter)


def test_missing_files_are_noticed_first(model, video, tmp_path, monkeypatch):
    monkeypatch.setattr(VideoConverter, "read", None)
    with pytest.raises(FileNotFoundError, match=r"no such video file.*absent\.mp4"):
        classify(model, [video, tmp_path / "absent.mp4"])


def test_an_unreadable_video_is_named(model, tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError, match=r"notes\.mp4"):
        classify(model, path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": 3}, "sources must be a video or a list of videos, .*; got int 3"),
        ({"sources": ["a.mp4", None]}, "got NoneType None"),
        ({"sources": {"path": "a.mp4", "bytes": None}}, "got dict {'path': 'a.mp4'"),
        ({"top_k": 0}, "top_k must be a positive integer, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer, got 2.5"),
        ({"clips": 0}, "clips must be a positive integer, got 0"),
        ({"crops": -1}, "crops must be a positive integer, got -1"),
        ({"crops": True}, "crops must be a positive integer, got True"),
        ({"fps": 0}, "fps must be a number above 0, got 0"),
        ({"fps": float("nan")}, "fps must be a number above 0, got nan"),
        ({"fps": "25"}, "fps must be a number above 0, got '25'"),
        ({"on_error": "skip"}, "on_error must be one of 'raise', 'report', got 'skip'"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "report"])
def test_wrong_arguments(model, video, monkeypatch, options, message, on_error):
    monkeypatch.setattr(VideoConverter, "read", None)
    with pytest.raises(ValueError, match=message):
        classify(**{"model": model, "sources": video, "on_error": on_error, **options})


def test_networks_without_scores(video):
    with pytest.raises(ValueError, match=r"have classes, got MLP3DBackbone"):
        classify(MLP3DBackbone(*SIZES, "short_range:2"), video, converter=CONVERTER)
    with pytest.raises(ValueError, match=r"has activation 'tanh'"):
        classify(tiny_model(activation="tanh"), video)


def test_weights_that_are_no_numbers(model, video, monkeypatch):
    monkeypatch.setattr(
        model, "predict_on_batch", lambda batch: np.full((len(batch), 4), np.nan, "float32")
    )
    with pytest.raises(ValueError, match="not finite"):
        classify(model, video)


def test_views_must_be_clips(model):
    with pytest.raises(ValueError, match=r"got shape \(8, 32, 32, 3\)"):
        score_views(model, np.zeros((8, 32, 32, 3), "uint8"))
