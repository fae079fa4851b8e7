"""The wheel holds what an editable install would hide: presets, their weights, no stray files."""

import os
import subprocess
import sys
import zipfile

import keras
import pytest

USE = """
import sys
import numpy as np
import keras_mlp3d as km
print(km.__file__)
print(*km.list_presets())
model = km.MLP3D.from_preset("mlp3d_nano_motion_shapes")
print(np.isfinite(np.asarray(model.predict_on_batch(np.zeros((1, 32, 32, 32, 3), "uint8")))).all())
print("tensorflow" in sys.modules)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), root]
    subprocess.run(command, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


def test_the_wheel_works_from_an_empty_directory(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(
        [sys.executable, "-c", USE], cwd=empty, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    where, presets, finite, tensorflow = result.stdout.splitlines()
    assert where.startswith(str(site))
    assert presets.split() == sorted(presets.split())
    assert {"mlp3d_xs", "cyclemlp_b1", "mlp3d_nano_motion_shapes"} <= set(presets.split())
    assert finite == "True"
    assert tensorflow == str(keras.backend.backend() == "tensorflow")


WITH_WEIGHTS = (
    *("mlp3d_nano_motion_shapes", "mlp3d_nano_searched"),
    *("mlp3d_tiny_grid_words", "mlp3d_tiny_radar_gestures"),
)


def test_the_wheel_holds_the_package_and_presets_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    rooms = {name.split("/")[0] for name in names}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"keras_mlp3d"}
    assert "keras_mlp3d/py.typed" in names, "without it a user's type checker ignores our types"
    for preset in WITH_WEIGHTS:
        for part in ("model", "task"):
            assert f"keras_mlp3d/_presets/{preset}/{part}.weights.h5" in names
    assert sum(name.endswith(".weights.h5") for name in names) == 2 * len(WITH_WEIGHTS)
