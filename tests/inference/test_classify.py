"""Classification of videos against the same done by hand, and what it refuses."""

import os

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d.data import VideoConverter, VideoError
from keras_mlp3d.inference import classify, score_views
from keras_mlp3d.models import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D

SIZES = (8, 8, 16, 16), (1, 1, 1, 1), 2
CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32))
NAMES = ["fall", "jump", "run", "turn"]


def tiny_model(converter=CONVERTER, name=None, num_classes=4, **options):
    backbone = MLP3DBackbone(*SIZES, "short_range:2", name=name and f"{name}_backbone")
    return MLP3D(backbone, num_classes, converter=converter, name=name, **options)


def softmax(logits):
    powers = np.exp(np.asarray(logits, "float64"))
    return powers / powers.sum(axis=-1, keepdims=True)


def by_hand(model, views):
    """Scores of views, each by itself and without the package's inference."""
    outputs = [keras.ops.convert_to_numpy(model(view[None]))[0] for view in views]
    return softmax(np.stack(outputs))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video wider than high, so that three crops are three pictures."""
    folder = tmp_path_factory.mktemp("videos")
    return write_lossless(folder / "wide.mkv", moving_frames(20, 36, 60))


@pytest.fixture(scope="module")
def square_video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return write_lossless(folder / "square.mkv", moving_frames(20, 32, 32))


def test_scores_are_averaged_over_all_views(video):
    model = tiny_model(class_names=NAMES)
    views, indices = CONVERTER.views(video, clips=2, crops=3)
    scores = by_hand(model, views).mean(axis=0)
    [prediction] = classify(model, [video], clips=2, crops=3, top_k=3)
    best = np.argsort(-scores)[:3]
    assert prediction.path == video
    assert prediction.labels == tuple(NAMES[place] for place in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-4)
    np.testing.assert_array_equal(prediction.frame_indices, indices)
    assert len({view.tobytes() for view in views}) == 6


@pytest.mark.parametrize("batch_size", [1, 3, 4, 5, 100])
def test_scores_do_not_depend_on_the_batch(batch_size):
    model = tiny_model()
    views = np.random.default_rng(0).integers(0, 256, (7, 8, 32, 32, 3), "uint8")
    scores = score_views(model, views, batch_size)
    np.testing.assert_allclose(scores, by_hand(model, views), rtol=1e-4)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)


def test_paths_keep_their_order(video, square_video):
    model = tiny_model()
    predictions = classify(model, [square_video, video, square_video], crops=1)
    assert [prediction.path for prediction in predictions] == [square_video, video, square_video]
    assert predictions[0] == predictions[2]
    assert predictions[0].scores != predictions[1].scores


def test_one_path_may_stand_alone(video, tmp_path):
    model = tiny_model()
    path = tmp_path / "copy.mkv"
    path.write_bytes(open(video, "rb").read())  # noqa: SIM115
    assert classify(model, path)[0].scores == classify(model, [str(path)])[0].scores
    assert classify(model, path)[0].path == os.fspath(path)
    assert classify(model, []) == []


def test_names_where_the_model_has_none(video):
    [prediction] = classify(tiny_model(num_classes=3), video, top_k=5)
    assert sorted(prediction.labels) == ["class 0", "class 1", "class 2"]
    assert list(prediction.scores) == sorted(prediction.scores, reverse=True)
    assert sum(prediction.scores) == pytest.approx(1)


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_activation_of_the_output(video, activation):
    model, other = tiny_model(), tiny_model(activation=activation)
    other.set_weights(model.get_weights())
    expected, got = classify(model, video)[0], classify(other, video)[0]
    assert got.labels == expected.labels
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4)


def test_two_paths_average_their_softmax_scores(video):
    paths = [tiny_model(name="still"), tiny_model(None, "moving")]
    two = TwoPathMLP3D(*paths, motion_size=(32, 32))
    for weight in two.weights:  # differences of pixels are small, so that scores would be even
        weight.assign(weight * 3)
    views, _ = CONVERTER.views(video, crops=3)
    moving = views.astype("float32") - views.astype("float32").mean(axis=1, keepdims=True)
    scores = (by_hand(paths[0], views) + by_hand(paths[1], moving)).mean(axis=0) / 2
    [prediction] = classify(two, video, top_k=4)
    np.testing.assert_allclose(prediction.scores, np.sort(scores)[::-1], rtol=1e-3)


def test_cyclemlp_sees_each_frame_by_itself(video):
    model = CycleMLP(*SIZES, num_classes=4, class_names=NAMES)
    views, indices = CONVERTER.views(video, clips=1, crops=3)
    scores = by_hand(model, views.reshape(-1, 32, 32, 3)).mean(axis=0)
    [prediction] = classify(model, video, batch_size=5, converter=CONVERTER)
    best = np.argsort(-scores)
    assert prediction.labels == tuple(NAMES[place] for place in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-4)
    np.testing.assert_array_equal(prediction.frame_indices, indices)


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
        classify(model, path, clips=1, crops=3, batch_size=2)
        per_video.append(len(calls))
    if keras.backend.backend() == "torch":
        assert per_video == [2, 2, 2]  # runs as it stands, two batches a video
    else:
        assert per_video[0] > 0
        assert per_video[1:] == [0, 0]


def test_equal_crops_are_computed_once(square_video, monkeypatch):
    model, seen = tiny_model(), []
    predict = model.predict_on_batch

    def recorded(batch):
        seen.append(len(batch))
        return predict(batch)

    monkeypatch.setattr(model, "predict_on_batch", recorded)
    three = classify(model, square_video, clips=2, crops=3)[0]
    one = classify(model, square_video, clips=2, crops=1)[0]
    assert seen == [2, 2]
    assert three == one


# What is refused --------------------------------------------------------------------------------


def test_a_converter_is_needed(video):
    with pytest.raises(ValueError, match=r"pass converter=keras_mlp3d\.data\.VideoConverter"):
        classify(tiny_model(converter=None), video)


def test_clips_must_fit_the_network(video):
    converter = VideoConverter(num_frames=12, image_size=(32, 32))
    with pytest.raises(ValueError, match=r"12 frames does not fit .* numbers of frames: 8, 16"):
        classify(tiny_model(), video, converter=converter)


def test_missing_files_are_noticed_first(video, tmp_path, monkeypatch):
    model = tiny_model()
    monkeypatch.setattr(VideoConverter, "views", None)
    with pytest.raises(FileNotFoundError, match=r"no such video file.*absent\.mp4"):
        classify(model, [video, tmp_path / "absent.mp4"])


def test_an_unreadable_video_is_named(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError, match=r"notes\.mp4"):
        classify(tiny_model(), path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": 3}, "paths must be file names"),
        ({"paths": [np.zeros((4, 32, 32, 3), "uint8")]}, "paths must be file names"),
        ({"top_k": 0}, "top_k must be a positive integer, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer, got 2.5"),
        ({"clips": 0}, "clips"),
        ({"crops": -1}, "crops"),
    ],
)
def test_wrong_arguments(video, options, message):
    with pytest.raises(ValueError, match=message):
        classify(**{"model": tiny_model(), "paths": video, **options})


def test_networks_without_scores(video):
    with pytest.raises(ValueError, match=r"have classes, got MLP3DBackbone"):
        classify(MLP3DBackbone(*SIZES, "short_range:2"), video, converter=CONVERTER)
    with pytest.raises(ValueError, match=r"has activation 'sigmoid'"):
        classify(tiny_model(activation="sigmoid"), video)


def test_weights_that_are_no_numbers(video):
    model = tiny_model()
    bias = model.get_layer("head").bias
    bias.assign(np.full(bias.shape, np.nan, "float32"))
    with pytest.raises(ValueError, match="not finite"):
        classify(model, video)


def test_views_must_be_clips():
    with pytest.raises(ValueError, match=r"got shape \(8, 32, 32, 3\)"):
        score_views(tiny_model(), np.zeros((8, 32, 32, 3), "uint8"))
