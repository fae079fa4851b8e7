"""What int8 does to a network: size on disk, accuracy on clips that chose nothing, and time.

    KERAS_BACKEND=torch python benchmarks/quantization.py

The clips are 1,000 generated ones of a seed that no training or evaluation used before. The times
are of `predict_on_batch`, both networks in turn, after a round that is not counted.
"""

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras_mlp3d as km
from cells import in_turn, spread
from keras_mlp3d.data import VideoLoader, motion_shapes, read_folder

import keras
import numpy as np


def size_on_disk(model, form):
    """Return bytes of the weights files of a preset."""
    with tempfile.TemporaryDirectory() as folder:
        preset = pathlib.Path(folder, "preset")
        model.save_to_preset(preset, format=form)
        ending = ".h5" if form == "h5" else ".safetensors"
        return sum(path.stat().st_size for path in preset.glob(f"*{ending}"))


def predictions(model, loader):
    """Return the class of each clip, and the true ones."""
    pairs = [(model.predict_on_batch(clips), labels) for clips, labels in loader]
    logits, labels = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return logits, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="mlp3d_nano_motion_shapes")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--batch", type=int, default=16, help="clips whose time is taken")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        motion_shapes.write_motion_shapes(
            folder, split="test", num_clips=options.clips, seed=options.seed
        )
        plain = km.MLP3D.from_preset(options.preset)
        small = km.MLP3D.from_preset(options.preset)
        small.quantize("int8")
        loader = VideoLoader(read_folder(folder, "test"), plain.converter, batch_size=50)
        expected, labels = predictions(plain, loader)
        found, _ = predictions(small, loader)
        clips = next(iter(loader))[0][: options.batch]
    runs = {"float32": lambda _: plain.predict_on_batch(clips)}
    runs["int8"] = lambda _: small.predict_on_batch(clips)
    seconds = in_turn(runs, options.rounds)
    print(f"| {options.preset} | float32 | int8 |\n| --- | --- | --- |")
    for form in ("h5", "safetensors"):
        before, after = size_on_disk(plain, form), size_on_disk(small, form)
        print(f"| bytes of weights, {form} | {before:,} | {after:,} ({after / before:.3f}) |")
    accuracy = [float((logits.argmax(-1) == labels).mean()) for logits in (expected, found)]
    print(f"| top-1 on {len(labels)} clips | {accuracy[0]:.4f} | {accuracy[1]:.4f} |")
    difference = np.abs(found - expected).max() / expected.std()
    print(f"| largest difference over the logits' spread | 0 | {difference:.4f} |")
    what = f"seconds for {options.batch} clips, {keras.backend.backend()}"
    times = [spread(seconds[name], ".3f") for name in runs]
    print(f"| {what} | {times[0]} | {times[1]} |")
    pairs = zip(seconds["int8"], seconds["float32"], strict=True)
    ratios = [quantized / in_float for quantized, in_float in pairs]
    print(f"| time over that of float32 | 1 | {spread(ratios)} |")


if __name__ == "__main__":
    main()
