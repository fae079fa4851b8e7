"""CycleMLP frame by frame: the same scores as frame after frame, blind to their order."""

import keras
import numpy as np
import pytest

from keras_mlp3d import CycleMLP, FrameCycleMLP
from keras_mlp3d.cost import count
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.inference import score_views

SIZES = (4, 4, 8, 8), (1, 1, 1, 1), 2


def make(num_classes=3, **options):
    images = CycleMLP(*SIZES, num_classes=num_classes, class_names=list("abcdef"[:num_classes]))
    return FrameCycleMLP(images, **options)


@pytest.fixture(scope="module")
def model():
    return make(converter=VideoConverter(4, (32, 32)))


def clips_of(batch=2, frames=3, side=32):
    shape = (batch, frames, side, side, 3)
    return np.random.default_rng(1).integers(0, 256, shape).astype("uint8")


def test_scores_are_those_of_the_image_network_averaged(model):
    clips = clips_of()
    got = score_views(model, clips)
    np.testing.assert_allclose(got, score_views(model.cycle_mlp, clips), rtol=0, atol=1e-6)
    logits = np.asarray(model.predict_on_batch(clips))
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, atol=1e-5)


def test_the_order_and_number_of_frames_do_not_matter(model):
    clips = clips_of(frames=4)
    forwards = np.asarray(model.predict_on_batch(clips))
    for others in (clips[:, ::-1], np.concatenate([clips, clips], axis=1)):
        np.testing.assert_allclose(model.predict_on_batch(others), forwards, atol=1e-5)


def test_preset_there_and_back(model, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    again = FrameCycleMLP.from_preset(tmp_path / "preset")
    clips = clips_of(1)
    expected = np.asarray(model.predict_on_batch(clips))
    np.testing.assert_allclose(again.predict_on_batch(clips), expected, atol=1e-6)
    assert (again.converter, again.class_names) == (model.converter, ["a", "b", "c"])
    other = FrameCycleMLP.from_preset(
        tmp_path / "preset", num_classes=2, class_names=["x", "y"], activation="softmax"
    )
    scores = np.asarray(other.predict_on_batch(clips))
    assert scores.shape == (1, 2)
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    for layer in ("embedding", "stage4_block1"):
        pairs = zip(
            model.cycle_mlp.get_layer(layer).weights,
            other.cycle_mlp.get_layer(layer).weights,
            strict=True,
        )
        for one, two in pairs:
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, two)))


def test_presets_of_images_do(tmp_path):
    assert "cyclemlp_b1" in FrameCycleMLP.presets
    model = FrameCycleMLP.from_preset("cyclemlp_nano", load_weights=False, num_classes=7)
    assert tuple(model.output_shape) == (None, 7)
    images = CycleMLP(*SIZES, num_classes=3, activation="softmax")
    images.save_to_preset(tmp_path / "images", image_size=[32, 32])
    model = FrameCycleMLP.from_preset(tmp_path / "images")
    clips = clips_of()
    expected = score_views(images, clips)
    np.testing.assert_allclose(score_views(model, clips), expected, rtol=0, atol=1e-5)


def test_keras_saves_it(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    clips = clips_of(1)
    expected = np.asarray(model.predict_on_batch(clips))
    np.testing.assert_allclose(again.predict_on_batch(clips), expected, atol=1e-6)
    assert again.converter == model.converter


def test_cost_is_that_of_all_frames(model):
    clip, image = count(model, (6, 32, 48, 3)), count(model.cycle_mlp, (32, 48, 3))
    assert (clip.macs, clip.params) == (6 * image.macs, image.params)


def test_what_does_not_fit(model):
    with pytest.raises(ValueError, match="cycle_mlp must be a CycleMLP, got"):
        FrameCycleMLP(model)
    softmax = CycleMLP(*SIZES, num_classes=3, activation="softmax")
    with pytest.raises(ValueError, match="must give logits"):
        FrameCycleMLP(softmax)
    with pytest.raises(ValueError, match="activation must be None or 'softmax', got 'relu'"):
        make(activation="relu")
    with pytest.raises(ValueError, match="takes pixels of shape"):
        model(clips_of()[:, 0])
    with pytest.raises(ValueError, match="height of at least 32 pixels, got 16"):
        model(clips_of(side=16))
    with pytest.raises(ValueError, match="Unknown override 'schedule'"):
        FrameCycleMLP.from_preset("cyclemlp_nano", load_weights=False, schedule="shift_token:2")
