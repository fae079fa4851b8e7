"""What a user does first, with the oldest versions that pyproject.toml allows (`make test-oldest`).

Checks that the installed versions are the lower bounds of pyproject.toml, then builds, loads,
predicts, trains for an epoch, saves and loads again, and compares the logits with those of the
NumPy twin. Run it with `KERAS_BACKEND` set.
"""

import importlib.metadata
import os
import pathlib
import re
import sys
import tempfile
import tomllib

import keras
import numpy as np

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from golden import make_nano_logits  # noqa: E402

import keras_mlp3d as km  # noqa: E402

EXTRAS = {"tensorflow": "tensorflow-cpu", "jax": "jax", "torch": "torch"}


def lower_bounds():
    """{distribution: lowest version} of the package and of the backend's extra."""
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extra = EXTRAS[keras.backend.backend()]
    lines = [*project["dependencies"], *project["optional-dependencies"][extra]]
    return dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", line).groups() for line in lines)


def check_versions():
    """Prints the versions in use; raises SystemExit if one is not the lowest that is allowed."""
    for name, lowest in lower_bounds().items():
        installed = importlib.metadata.version(name)
        print(f"{name} {installed}, allowed from {lowest}")
        # Other old CPU builds of PyTorch are on PyTorch's own index alone: see the Makefile.
        same = f"{installed.split('+')[0]}.".startswith(f"{lowest}.")
        if not same and name != "torch":
            raise SystemExit(f"{name} {installed} is installed, pyproject.toml allows {lowest}")


def check_golden_logits():
    """Builds a network, and compares its logits with those of the NumPy twin."""
    nano = make_nano_logits.nano()
    expected = np.load(make_nano_logits.FILE)["logits"]
    logits = np.asarray(nano.predict_on_batch(make_nano_logits.clip(nano)))
    difference = np.abs(logits - expected).max() / np.ptp(expected)
    print(f"golden logits: largest difference {difference:.1e} of their spread")
    if not difference < 1e-4:
        raise SystemExit("the logits are not those of the NumPy twin")


def check_weights_outlast_predictions():
    """Predicts again and again: a backend that frees memory in use changes the weights by it."""
    model = km.MLP3D.from_preset("mlp3d_nano_motion_shapes")
    converter, rng = model.converter, np.random.default_rng(0)
    shape = (1, converter.num_frames, *converter.image_size, 3)
    before = [np.array(weight, copy=True) for weight in model.weights]
    for _ in range(10):
        model.predict_on_batch(rng.integers(0, 256, shape).astype("uint8"))
    for weight, value in zip(model.weights, before, strict=True):
        if not np.array_equal(np.array(weight), value):
            raise SystemExit(f"predictions have changed the weight {weight.path}")


def check_videos_to_preset(folder):
    """Classifies videos with a preset's weights, fine-tunes it, saves it and loads it again."""
    classes = km.data.motion_shapes.CLASS_NAMES[:2]
    for split, clips in (("train", 8), ("val", 4)):
        km.data.motion_shapes.write_motion_shapes(
            folder / split, split=split, num_clips=clips, classes=classes
        )
    train, validation = (km.data.read_folder(folder / split) for split in ("train", "val"))
    model = km.MLP3D.from_preset("mlp3d_nano_motion_shapes")
    for prediction in km.inference.classify(model, [row.path for row in validation.rows], crops=1):
        print(prediction.labels[0], f"{prediction.scores[0]:.2f}", prediction.path)
    model = km.MLP3D.from_preset("mlp3d_nano_motion_shapes", num_classes=2)
    model.class_names = list(classes)
    recipe = km.training.Recipe("unmeasured", "oldest", epochs=1, warmup_epochs=0.5, batch_size=4)
    loaders = km.training.make_loaders(recipe, train, validation, model.converter)
    before = [np.array(weight) for weight in model.trainable_variables]
    run = km.training.train(model, recipe, *loaders, folder=folder / "run", verbose=0)
    moved = [
        np.abs(np.array(weight) - old).max()
        for weight, old in zip(model.trainable_variables, before, strict=True)
    ]
    print("trained:", {name: round(values[-1], 4) for name, values in run.history.items()})
    if not (np.isfinite(moved).all() and min(moved) > 0):
        raise SystemExit("training left weights as they were, or made them infinite")
    model.save_to_preset(folder / "preset")
    again = km.MLP3D.from_preset(folder / "preset")
    clips = np.stack([model.converter(row.path) for row in validation.rows])
    same = np.abs(again.predict_on_batch(clips) - model.predict_on_batch(clips)).max()
    print(f"saved and loaded: logits differ by {same:.1e}")
    if not same < 1e-5:
        raise SystemExit("the loaded network is another")


if __name__ == "__main__":
    print(f"== {keras.backend.backend()} (KERAS_BACKEND={os.environ.get('KERAS_BACKEND')})")
    check_versions()
    check_golden_logits()
    check_weights_outlast_predictions()
    with tempfile.TemporaryDirectory() as folder:
        check_videos_to_preset(pathlib.Path(folder))
    print("ok")
