"""Networks that score each class by itself: `score_views`, `classify`, `evaluate`."""

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless
from inference.test_evaluate import CONVERTER, NAMES, logits_of, tiny_model
from reference import average_precision as reference

from keras_mlp3d.data import Manifest, VideoRow
from keras_mlp3d.inference import (
    MultiLabelEvaluation,
    classify,
    classify_windows,
    evaluate,
    score_views,
)
from keras_mlp3d.models import CycleMLP

LABELS = [(0, 3), (), (1, 2, 5), (3,), (0, 5)]


def sigmoid_of(inputs):
    return 1 / (1 + np.exp(-logits_of(inputs) / 4))


def quick(model):
    """A network with `sigmoid_of` in the place of its forward pass."""
    model.predict_on_batch = sigmoid_of
    return model


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    paths = []
    for k in range(len(LABELS)):
        frames = moving_frames(8 + 2 * k, *((36, 60), (60, 36), (48, 48))[k % 3])
        paths.append(str(folder / f"{k}.mkv"))
        write_lossless(paths[-1], np.roll(frames, 13 * k, axis=2) // np.uint8(1 + k))
    return paths


def manifest_of(paths, names=NAMES):
    rows = [VideoRow(path, label) for path, label in zip(paths, LABELS, strict=True)]
    return Manifest(rows, names, "val")


def twin(path, clips, crops):
    """Scores (7,), view by view."""
    views, _ = CONVERTER.views(path, clips, crops)
    return np.mean([sigmoid_of(view[None])[0] for view in views], axis=0)


def test_scores_are_the_outputs_of_the_network():
    model = tiny_model(activation="sigmoid")
    clips = np.random.default_rng(0).integers(0, 256, (3, 8, 32, 32, 3)).astype("uint8")
    scores = score_views(model, clips, batch_size=2)
    np.testing.assert_allclose(scores, model.predict(clips, verbose=0), atol=1e-5)
    assert scores.dtype == np.float64
    assert (np.abs(scores.sum(axis=1) - 1) > 0.1).all()


def test_images_are_averaged_over_the_frames():
    images = CycleMLP((8, 8, 16, 16), (1, 1, 1, 1), 2, num_classes=3, activation="sigmoid")
    views = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3)).astype("uint8")
    wanted = images.predict(views[0], verbose=0).mean(axis=0)
    np.testing.assert_allclose(score_views(images, views)[0], wanted, atol=1e-5)


def test_classify_names_the_best_however_low(videos):
    [prediction] = classify(quick(tiny_model(activation="sigmoid")), videos[:1], 2, 3, top_k=4)
    scores = twin(videos[0], 2, 3)
    best = np.argsort(-scores, kind="stable")[:4]
    assert prediction.multi_label
    assert prediction.labels == tuple(NAMES[k] for k in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-5)
    [single] = classify(tiny_model(), videos[:1], 1, 1)
    assert not single.multi_label


def test_windows(videos):
    model = quick(tiny_model(activation="sigmoid"))
    [first, *_] = classify_windows(model, videos[0], window=1.0)
    assert abs(first.scores.sum() - 1) > 0.01


@pytest.mark.parametrize("views", [(1, 1), (2, 3)])
def test_evaluate_against_the_twin(videos, views):
    model = quick(tiny_model(activation="sigmoid"))
    found = evaluate(model, manifest_of(videos), *views, batch_size=3)
    assert isinstance(found, MultiLabelEvaluation)
    scores = [twin(path, *views) for path in videos]
    np.testing.assert_allclose([v.scores for v in found.predictions], scores, rtol=1e-5)
    assert [video.labels for video in found.predictions] == LABELS
    labels = [[k in label for k in range(7)] for label in LABELS]
    wanted = reference.mean_average_precision(labels, np.round(scores, 9).tolist())
    assert found.mean_average_precision == pytest.approx(wanted, abs=1e-9)
    assert found.classes_without_videos == (NAMES[4], NAMES[6])
    assert found.class_counts.tolist() == [2, 1, 1, 2, 0, 2, 0]
    assert (found.clips, found.crops, found.split) == (*views, "val")
    assert found.digest == manifest_of(videos).digest


def test_classes_are_matched_by_name(videos):
    model = quick(tiny_model(activation="sigmoid"))
    straight = evaluate(model, manifest_of(videos))
    turned = [tuple(6 - k for k in label) for label in LABELS]
    rows = [VideoRow(path, label) for path, label in zip(videos, turned, strict=True)]
    found = evaluate(model, Manifest(rows, NAMES[::-1], "val"))
    assert found.class_names == NAMES
    assert [video.labels for video in found.predictions] == LABELS
    assert found.average_precisions == straight.average_precisions


def test_failed_videos_keep_their_labels(videos, tmp_path):
    (tmp_path / "empty.mkv").write_bytes(b"")
    paths = [*videos[:3], str(tmp_path / "empty.mkv"), videos[4]]
    model = quick(tiny_model(activation="sigmoid"))
    found, whole = (evaluate(model, manifest_of(each)) for each in (paths, videos))
    assert [path for path, _ in found.failed] == [paths[3]]
    assert found.failed_labels == (LABELS[3],)
    assert (found.expected, found.decoded) == (5, 4)
    assert found.class_counts.tolist() == whole.class_counts.tolist()
    # Class 3 has two videos, of which one is never found.
    assert found.average_precisions[3] == found.average_precisions_of_decoded[3] / 2


def test_contradictions(videos):
    one = Manifest([VideoRow(videos[0], 0)], NAMES, "val")
    with pytest.raises(ValueError, match="has activation='sigmoid', which scores each class by it"):
        evaluate(tiny_model(activation="sigmoid"), one)
    for activation in (None, "softmax"):
        with pytest.raises(ValueError, match=f"several labels, and .*activation={activation!r}"):
            evaluate(tiny_model(activation=activation), manifest_of(videos))


def test_a_preset_keeps_the_activation(tmp_path):
    model = tiny_model(activation="sigmoid")
    model.save_to_preset(tmp_path / "preset")
    again = type(model).from_preset(tmp_path / "preset")
    clips = np.random.default_rng(0).integers(0, 256, (2, 8, 32, 32, 3)).astype("uint8")
    np.testing.assert_array_equal(score_views(again, clips), score_views(model, clips))
    assert "may have several classes" in (tmp_path / "preset" / "README.md").read_text()
    other = type(model).from_preset(tmp_path / "preset", num_classes=2, activation=None)
    assert other.activation is None
