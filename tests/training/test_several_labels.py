"""Training on videos with several labels: the loss, the metric, the best epoch, contradictions."""

import json
import pathlib

import keras
import numpy as np
import pytest
from data.make_videos import write_lossless
from reference import average_precision as reference

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Manifest, VideoConverter, VideoLoader, VideoRow
from keras_mlp3d.inference import evaluate
from keras_mlp3d.training import (
    MeanAveragePrecision,
    Recipe,
    TrainingInterrupted,
    data_change,
    make_loaders,
    train,
    video_list,
)

NAMES = ("blue", "green", "red")
CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32))
BATCH = 4


def make_model(activation="sigmoid"):
    keras.utils.set_random_seed(0)
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2")
    return MLP3D(
        backbone,
        3,
        dropout=0.0,
        activation=activation,
        class_names=list(NAMES),
        converter=CONVERTER,
        name="model",
    )


def make_recipe(**changes):
    values = {
        "epochs": 2,
        "warmup_epochs": 0.5,
        "batch_size": BATCH,
        "reference_batch_size": BATCH,
        "learning_rate": 0.01,
    }
    return Recipe("unmeasured", "several", **{**values, **changes})


def write_clips(folder, count, seed):
    """Videos whose colors are their labels: each of red, green and blue is there, or not."""
    folder.mkdir()
    rows = []
    for k in range(count):
        labels = [place for place in range(3) if (k + seed) >> place & 1]
        frames = np.full((8, 32, 32, 3), 20 + k % 5, "uint8")
        for place in labels:
            frames[..., 2 - place] += 180
        write_lossless(folder / f"{k}.mkv", frames)
        rows.append(VideoRow(str(folder / f"{k}.mkv"), labels))
    return Manifest(rows, NAMES, folder.name)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return write_clips(folder / "train", 8, 0), write_clips(folder / "val", 7, 3)


def one_label_of(manifest):
    return Manifest([VideoRow(row.path, 0) for row in manifest.rows], NAMES, manifest.split)


class TestMetric:
    def test_against_the_twin(self):
        """Scores in the middles of bins, so that equal bins are equal scores."""
        rng = np.random.default_rng(0)
        metric = MeanAveragePrecision(3, num_bins=20)
        labels, bins = rng.integers(0, 2, (30, 3)), rng.integers(0, 20, (30, 3))
        scores = 1 / (1 + np.exp(-((bins + 0.5) - 10)))
        for start in range(0, 30, 10):
            part = slice(start, start + 10)
            metric.update_state(labels[part].astype("float32"), scores[part].astype("float32"))
        wanted = reference.mean_average_precision(labels.tolist(), bins.tolist())
        assert float(metric.result()) == pytest.approx(wanted, abs=1e-5)
        metric.reset_state()
        assert float(metric.result()) == 0

    def test_many_bins_come_near_any_scores(self):
        rng = np.random.default_rng(1)
        labels = rng.integers(0, 2, (200, 4))
        scores = 1 / (1 + np.exp(-(labels + 1.5 * rng.normal(size=(200, 4)))))
        metric = MeanAveragePrecision(4)
        metric.update_state(labels.astype("float32"), scores.astype("float32"))
        wanted = reference.mean_average_precision(labels.tolist(), scores.tolist())
        assert float(metric.result()) == pytest.approx(wanted, abs=0.005)

    def test_scores_of_zero_and_one(self):
        metric = MeanAveragePrecision(1)
        metric.update_state(np.array([[1.0], [0.0], [1.0]]), np.array([[1.0], [0.0], [1.0]]))
        assert float(metric.result()) == pytest.approx(1.0)

    def test_weights_and_classes_without_clips(self):
        labels = np.array([[1, 0], [0, 0], [1, 0]], "float32")
        scores = np.array([[0.9, 0.2], [0.8, 0.4], [0.7, 0.9]], "float32")
        metric = MeanAveragePrecision(2)
        metric.update_state(labels, scores, np.array([1, 0, 1], "float32"))
        assert float(metric.result()) == pytest.approx(1.0)

    def test_mixed_labels(self):
        metric = MeanAveragePrecision(1)
        metric.update_state(np.array([[0.9], [0.1]]), np.array([[0.3], [0.6]]))
        assert float(metric.result()) == pytest.approx(0.5)

    def test_config(self):
        config = MeanAveragePrecision(3, 50).get_config()
        again = MeanAveragePrecision.from_config(config)
        assert (again.num_classes, again.num_bins, again.name) == (3, 50, "mean_average_precision")
        with pytest.raises(ValueError, match="num_bins must be an integer of at least 2, got 1"):
            MeanAveragePrecision(3, 1)


def test_fit_with_what_keras_has(manifests):
    model = make_model()
    model.compile("adam", "binary_crossentropy", metrics=[MeanAveragePrecision(3)])
    loader = VideoLoader(manifests[0], CONVERTER, BATCH, training=True)
    history = model.fit(loader, epochs=1, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "mean_average_precision"}
    assert 0.2 < history["loss"][0] < 2


def test_train_measures_what_evaluate_does(manifests, tmp_path):
    model, recipe = make_model(), make_recipe(augmentation={"mix_up": 0.8}, label_smoothing=0.1)
    loaders = make_loaders(recipe, *manifests, CONVERTER, workers=1)
    result = train(model, recipe, *loaders, tmp_path / "run", verbose=0)
    history = result.history
    assert {"loss", "mean_average_precision", "val_loss", "val_mean_average_precision"} < set(
        history
    )
    values = history["val_mean_average_precision"]
    assert result.best_epoch == int(np.argmax(values))
    found = evaluate(model, manifests[1])
    assert found.mean_average_precision == pytest.approx(values[result.best_epoch], abs=0.02)
    scores = np.array([video.scores for video in found.predictions])
    labels = manifests[1].labels
    loss = -(labels * np.log(scores) + (1 - labels) * np.log(1 - scores)).mean()
    assert loss == pytest.approx(history["val_loss"][result.best_epoch], rel=1e-3)


def test_it_learns(manifests, tmp_path):
    model, recipe = make_model(), make_recipe(epochs=25, learning_rate=0.02)
    loaders = make_loaders(recipe, *manifests, CONVERTER, workers=1)
    train(model, recipe, *loaders, tmp_path / "run", verbose=0)
    assert evaluate(model, manifests[1]).mean_average_precision > 0.95


def test_a_stopped_run_ends_with_the_same_weights(manifests, tmp_path):
    def go(folder, stop=None):
        model, recipe = make_model(), make_recipe()
        loaders = make_loaders(recipe, *manifests, CONVERTER, workers=1)
        return model, train(model, recipe, *loaders, folder, verbose=0, stop=stop)

    whole, first = go(tmp_path / "whole")
    asked = iter([True])  # after the first step of the first epoch
    with pytest.raises(TrainingInterrupted, match="Stopped after step 1 of 2"):
        go(tmp_path / "stopped", lambda: next(asked, False))
    resumed, second = go(tmp_path / "stopped")
    assert second.best_epoch == first.best_epoch
    for name, values in first.history.items():
        np.testing.assert_allclose(second.history[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_unreadable_validation_videos(manifests, tmp_path):
    training, validation = manifests
    (tmp_path / "bad.mkv").write_bytes(b"no video")
    rows = [*validation.rows, VideoRow(str(tmp_path / "bad.mkv"), (0, 1, 2))]
    model, recipe = make_model(), make_recipe()
    loaders = make_loaders(recipe, training, Manifest(rows, NAMES, "val"), CONVERTER, workers=1)
    result = train(model, recipe, *loaders, tmp_path / "run", verbose=0)
    assert result.history["val_unreadable"] == [1.0, 1.0]
    readable = evaluate(model, validation).mean_average_precision
    found = result.history["val_mean_average_precision"][result.best_epoch]
    assert found == pytest.approx(readable, abs=0.02)


class TestContradictions:
    def test_one_class_from_several_labels(self, manifests, tmp_path):
        loader = VideoLoader(manifests[0], CONVERTER, BATCH, training=True)
        with pytest.raises(ValueError, match=r"several labels, and model has activation=None"):
            train(make_model(None), make_recipe(), loader, folder=tmp_path / "run", verbose=0)
        assert not (tmp_path / "run").exists()

    def test_several_classes_from_one_label(self, manifests, tmp_path):
        loader = VideoLoader(one_label_of(manifests[0]), CONVERTER, BATCH, training=True)
        with pytest.raises(ValueError, match=r"model has activation='sigmoid'.* have one label"):
            train(make_model(), make_recipe(), loader, folder=tmp_path / "run", verbose=0)

    def test_validation_of_another_kind(self, manifests, tmp_path):
        loader = VideoLoader(manifests[0], CONVERTER, BATCH, training=True)
        checks = VideoLoader(one_label_of(manifests[1]), CONVERTER, BATCH)
        with pytest.raises(ValueError, match="have one label each"):
            train(make_model(), make_recipe(), loader, checks, tmp_path / "run", verbose=0)

    def test_labels_of_a_data_set_of_ones_own(self, tmp_path):
        class Clips(keras.utils.PyDataset):
            epoch = 0

            def __len__(self):
                return 1

            def __getitem__(self, index):
                return np.zeros((4, 8, 32, 32, 3), "uint8"), np.zeros(4, "int32")

        with pytest.raises(ValueError, match=r"labels of shape \(batch, classes\), got shape \(4,"):
            train(make_model(), make_recipe(), Clips(), folder=tmp_path / "run", verbose=0)


def test_labels_that_change_between_runs(manifests):
    before = json.loads(json.dumps(video_list(manifests[0])))
    assert str(data_change(before, video_list(manifests[0]))).startswith("the order")
    rows = [VideoRow(manifests[0].rows[0].path, (0, 1)), *manifests[0].rows[1:]]
    change = data_change(before, video_list(Manifest(rows, NAMES, "train")))
    assert [pathlib.Path(name).name for name in change.relabeled] == ["0.mkv"]
