"""The graph's sampling, resizing and crops against those of the converter."""

import keras
import numpy as np
import pytest
from export.frames import video_like

from keras_mlp3d.data import VideoConverter
from keras_mlp3d.export.preprocessing import INTERPOLATIONS, FramesToScores

OPTIONS = [
    {},
    {"resize": 48},
    {"sampling": "dense", "frame_stride": 3},
    {"crop": "none"},
    {"image_size": (40, 64)},
    *({"interpolation": name} for name in INTERPOLATIONS),
]


@pytest.mark.parametrize("shape", [(20, 50, 70, 3), (9, 120, 64, 3), (40, 20, 24, 3)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_views_are_those_of_the_converter(options, shape):
    converter = VideoConverter(**{"num_frames": 8, "image_size": (32, 32), **options})
    frames = video_like(shape[:3])
    wanted, _ = converter.views(frames, clips=2, crops=3)
    layer = FramesToScores(None, converter, clips=2, crops=3)
    views = keras.ops.convert_to_numpy(layer.views(keras.ops.convert_to_tensor(frames)))
    difference = np.abs(views - wanted)
    # FFmpeg rounds several times, and clips in between.
    assert difference.mean() < 0.15
    assert (difference > 1).mean() < 1e-3


@pytest.mark.parametrize("sampling", ["uniform", "dense"])
@pytest.mark.parametrize("count", [1, 5, 8, 31])
def test_pictures_of_the_right_size_are_not_changed(sampling, count):
    converter = VideoConverter(8, (32, 40), sampling, frame_stride=2)
    frames = np.random.default_rng(0).integers(0, 256, (count, 32, 40, 3)).astype("uint8")
    for clips, crops in ((1, 1), (3, 1), (2, 3)):
        layer = FramesToScores(None, converter, clips, crops)
        views = keras.ops.convert_to_numpy(layer.views(keras.ops.convert_to_tensor(frames)))
        np.testing.assert_array_equal(views, converter.views(frames, clips, crops)[0])
