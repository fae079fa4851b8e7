"""A run finds out itself what it trains, and takes callbacks of the user's."""

import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.data import Frames, Manifest, VideoConverter, VideoLoader, VideoRow
from keras_mlp3d.training import Recipe, train
from keras_mlp3d.training.identity import identity_of

CONVERTER = VideoConverter(8, (32, 32))
RECIPE = Recipe(
    "unmeasured", "short", epochs=2, warmup_epochs=0.5, batch_size=2, reference_batch_size=2
)


def network(schedule="short_range:2", **options):
    return MLP3D(MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, schedule, **options), 2)


def loader(count=4, **options):
    frames = np.zeros((8, 32, 32, 3), "uint8")
    rows = [
        VideoRow(Frames(frames + place, 8, name=f"{place}.mp4"), place % 2)
        for place in range(count)
    ]
    videos = Manifest(rows, ["jump", "run"], "train")
    return VideoLoader(videos, CONVERTER, 2, **options)


def test_equal_networks_and_videos_are_the_same():
    first = identity_of(network(), loader(), None)
    keras.Sequential()  # names are numbered by process
    assert identity_of(network(), loader(), None) == first
    assert [video[1] for video in first["training"]["videos"]] == [0, 1, 0, 1]
    others = [
        identity_of(network("shift_token:2"), loader(), None),
        identity_of(network(pixel_mean=(0.5, 0.5, 0.5)), loader(), None),
        identity_of(network(), loader(6), None),
        identity_of(network(), loader(), loader()),
        identity_of(
            FrameCycleMLP(CycleMLP((4, 4, 4, 4), (1, 1, 1, 1), 1, num_classes=2)), loader(), None
        ),
    ]
    assert all(other != first for other in others)


def test_tensorflow_is_not_asked_for(monkeypatch):
    """Keras's serialization imports an installed TensorFlow on every backend."""
    from keras.src.saving import serialization_lib

    class Loaded:
        @property
        def available(self):
            raise AssertionError("TensorFlow would be imported")

    two = TwoPathMLP3D(network(), network(), (32, 32), converter=CONVERTER)
    frame = FrameCycleMLP(CycleMLP((4, 4, 4, 4), (1, 1, 1, 1), 1, 2), converter=CONVERTER)
    several = MLP3D(network().backbone, 2, activation="sigmoid")
    monkeypatch.setattr(serialization_lib, "tf", Loaded())
    models = network(), two, frame, several
    assert len({identity_of(model, None, None)["model"]["sha256"] for model in models}) == 4


def test_a_network_and_a_data_set_of_ones_own():
    def plain(units):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])

    first = identity_of(plain(3), object(), None)
    assert first == identity_of(plain(3), object(), None)
    assert first != identity_of(plain(4), object(), None)
    assert "training" not in first


def test_another_network_is_refused_and_the_same_resumed(tmp_path):
    class Counting(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            assert "loss" in logs
            self.epochs += 1

    counting, data = Counting(), loader(training=True)
    train(network(), RECIPE, data, folder=tmp_path, verbose=0, callbacks=[counting])
    assert counting.epochs == 2
    again = Counting()
    train(network(), RECIPE, data, folder=tmp_path, verbose=0, callbacks=[again])
    assert again.epochs == 0  # it was finished
    with pytest.raises(ValueError, match="another run: model sha256 was"):
        train(network("shift_token:2"), RECIPE, data, folder=tmp_path, verbose=0)
