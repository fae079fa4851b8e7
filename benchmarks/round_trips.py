"""Largest difference of the logits after saving and loading, per dtype policy and way.

    KERAS_BACKEND=torch python benchmarks/round_trips.py

A small `MLP3D` is saved as `.keras`, as weights, and as a preset in both formats. A quantized
network is one of float32 after `quantize`. The table is the same on every backend if all is well:
zeros.
"""

import os
import pathlib
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras_mlp3d as km

import keras
import numpy as np

FLOATS = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
MODES = ("int8", "int4", "float8")


def network(policy):
    """Return a network whose weights are not those that it starts from."""
    backbone = km.MLP3DBackbone(
        (8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2+shift_token:2", dtype=policy
    )
    model = km.MLP3D(backbone, 5)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.2, weight.shape).astype("float32"))
    return model


def loaded(model, way, folder):
    """Return the network, saved and loaded."""
    if way == ".keras":
        model.save(folder / "model.keras")
        return keras.models.load_model(folder / "model.keras")
    if way == ".weights.h5":
        model.save_weights(folder / "model.weights.h5")
        other = type(model).from_config(model.get_config())
        other.load_weights(folder / "model.weights.h5")
        return other
    model.save_to_preset(folder / way, format=way.removeprefix("preset, "))
    return type(model).from_preset(folder / way)


def logits(model, clip):
    return keras.ops.convert_to_numpy(keras.ops.cast(model(clip), "float32"))


def main():
    ways = (".keras", ".weights.h5", "preset, h5", "preset, safetensors")
    clip = np.random.default_rng(1).integers(0, 256, (1, 8, 32, 32, 3)).astype("uint8")
    print(f"| {keras.backend.backend()} | {' | '.join(ways)} |")
    print("| --- |" + " ---: |" * len(ways))
    for name in (*FLOATS, *MODES):
        model = network(name if name in FLOATS else "float32")
        if name in MODES:
            model.quantize(name)
        expected, cells = logits(model, clip), []
        for way in ways:
            with tempfile.TemporaryDirectory() as folder:
                found = logits(loaded(model, way, pathlib.Path(folder)), clip)
            cells.append(f"{np.abs(found - expected).max():.1e}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
