"""What is saved as a preset loads again; what would not is refused, and an earlier preset stays."""

import numpy as np
import pytest
from models import tiny

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.models import FrameCycleMLP


class MyBackbone(MLP3DBackbone):
    pass


class MyNetwork(MLP3D):
    pass


class MyFrames(CycleMLP):
    pass


class MyFramesOfClips(FrameCycleMLP):
    pass


class MyTwoPaths(TwoPathMLP3D):
    pass


SIZES = tiny.CHANNELS, tiny.DEPTHS, tiny.RATIOS
OF_USERS = {
    MLP3DBackbone: lambda: MyBackbone(*SIZES, tiny.SCHEDULE),
    MLP3D: lambda: MyNetwork(tiny.tiny_backbone(), 3),
    CycleMLP: lambda: MyFrames(*SIZES, num_classes=3),
    FrameCycleMLP: lambda: MyFramesOfClips(tiny.tiny_cycle_mlp()),
    TwoPathMLP3D: lambda: MyTwoPaths(tiny.tiny_model(), tiny.tiny_model(seed=1), (32, 32)),
}


@pytest.mark.parametrize("ours", OF_USERS, ids=lambda ours: ours.__name__)
def test_subclasses_of_users_load_what_they_save(ours, tmp_path):
    model = OF_USERS[ours]()
    folder = tmp_path / "mine"
    model.save_to_preset(folder)
    x = tiny.pixels()[:, 0] if ours is CycleMLP else tiny.pixels()
    expected = tiny.run(model, x)
    for each in (type(model), ours):
        again = each.from_preset(folder)
        assert type(again) is each
        np.testing.assert_array_equal(tiny.run(again, x), expected)
        again.save_to_preset(tmp_path / "again")
        np.testing.assert_array_equal(tiny.run(ours.from_preset(tmp_path / "again"), x), expected)


def shared_backbone():
    backbone = tiny.tiny_backbone()
    paths = (MLP3D(backbone, 3, name=name) for name in ("appearance", "motion"))
    return TwoPathMLP3D(*paths, (32, 32))


def wrong_names(count):
    model = tiny.tiny_model()
    model.class_names = [str(number) for number in range(count)]
    return model


@pytest.mark.parametrize(
    ("make", "metadata", "reason"),
    [
        (tiny.tiny_model, {"macs": 1.5e9}, "macs"),
        (tiny.tiny_model, {"clip": {"frames": 8, "size": [32, 32]}}, "clip"),
        (shared_backbone, {}, "asks for .* parameters, and its weights file"),
        (lambda: wrong_names(2), {}, "class_names must be .* different names, got 2"),
    ],
)
@pytest.mark.parametrize("format", ["h5", "safetensors"])
def test_what_would_not_load_is_refused(make, metadata, reason, format, tmp_path):
    folder = tmp_path / "preset"
    tiny.tiny_model().save_to_preset(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=reason):
        make().save_to_preset(folder, format=format, **metadata)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]
