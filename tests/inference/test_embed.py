"""Features of videos: what the classifier is given, averaged over views."""

import gc
import weakref

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless
from inference.test_classify import CONVERTER, SIZES, tiny_model

from keras_mlp3d import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.inference import embed


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Wider than high, so that three crops are three pictures."""
    folder = tmp_path_factory.mktemp("videos")
    return write_lossless(folder / "wide.mkv", moving_frames(20, 36, 60))


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_classifier_is_given_them(video):
    model = tiny_model()
    views, _ = CONVERTER.views(video, clips=2, crops=3)
    [found] = embed(model, video, clips=2, crops=3, batch_size=4)
    assert found.path == video
    assert found.features.dtype == np.float32
    logits = numpy_of(model.get_layer("head")(found.features[None]))[0]
    # The classifier is linear.
    expected = model.predict_on_batch(views).mean(axis=0)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
    [alone] = embed(model.backbone, video, clips=2, crops=3, converter=CONVERTER)
    np.testing.assert_allclose(alone.features, found.features, rtol=0, atol=1e-5)


def test_networks_on_images(video):
    images = CycleMLP(*SIZES, num_classes=4)
    clip = CONVERTER(video)
    expected = numpy_of(images(clip)).mean(axis=0)
    for model in (images, FrameCycleMLP(images)):
        [found] = embed(model, video, converter=CONVERTER, batch_size=3)
        logits = numpy_of(images.get_layer("head")(found.features[None]))[0]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_both_paths(video):
    paths = [tiny_model(name=name) for name in ("seen", "moving")]
    two = TwoPathMLP3D(*paths, motion_size=(48, 48))
    [found] = embed(two, video)
    size = SIZES[0][-1]
    assert found.features.shape == (2 * size,)
    [seen] = embed(paths[0], video)
    np.testing.assert_allclose(found.features[:size], seen.features, rtol=0, atol=1e-5)
    moving = two.get_layer("motion_view")(CONVERTER(video)[None])
    expected = numpy_of(paths[1](moving))[0]
    logits = numpy_of(paths[1].get_layer("head")(found.features[None, size:]))[0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_an_unreadable_video(video, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    sources = [str(tmp_path / "bad.mp4"), video]
    model = tiny_model()
    bad, good = embed(model, sources, on_error="report")
    assert (bad.path, bad.features.shape) == (sources[0], (0,))
    assert "cannot be opened" in bad.error
    assert (good.error, good.features.shape) == ("", (16,))
    with pytest.raises(ValueError, match=r"bad\.mp4"):
        embed(model, sources)
    with pytest.raises(FileNotFoundError, match="no such video file"):
        embed(model, ["absent.mp4"])


def test_weights_that_change_are_seen(video):
    model = tiny_model()
    [before] = embed(model, video)
    model.backbone.get_layer("norm").gamma.assign(np.full(16, 2.0, "float32"))
    [after] = embed(model, video)
    np.testing.assert_allclose(after.features, 2 * before.features, rtol=0, atol=1e-5)
    model.quantize("int8")
    [quantized] = embed(model, video)
    assert 0 < np.abs(quantized.features - after.features).max() < 0.2


def test_a_network_is_not_kept_alive(video):
    model = tiny_model()
    embed(model, video)
    gone = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips": 0}, "clips must be a positive integer, got 0"),
        ({"crops": 1.5}, "crops must be a positive integer"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"on_error": "skip"}, "on_error must be one of"),
        ({"converter": VideoConverter(7, (32, 32))}, "7 frames"),
    ],
)
def test_wrong_arguments(video, arguments, message):
    with pytest.raises(ValueError, match=message):
        embed(tiny_model(), video, **arguments)


def test_clips_that_do_not_fit(video):
    """In a sentence, not in the pixels that Keras prints."""
    model = MLP3D(MLP3DBackbone(*SIZES, "short_range:2"), 3)
    with pytest.raises(ValueError, match="a clip of 4 frames does not fit the schedule") as caught:
        embed(model, video, converter=VideoConverter(4, (32, 32)))
    assert len(str(caught.value)) < 500


def test_wrong_models(video):
    with pytest.raises(ValueError, match=r"model must be an MLP3D, .* or CycleMLP, got Seq"):
        embed(keras.Sequential(), video)
    with pytest.raises(ValueError, match="has no converter"):
        embed(MLP3DBackbone(*SIZES, "short_range:2"), video)
    broken = MLP3D(MLP3DBackbone(*SIZES, "short_range:2"), 4, converter=CONVERTER)
    broken.backbone.get_layer("norm").gamma.assign(np.full(16, np.nan, "float32"))
    with pytest.raises(ValueError, match="not finite numbers"):
        embed(broken, video)
