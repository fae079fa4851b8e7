"""LoRA against full fine-tuning and a new head alone, on real clips of unseen speakers.

    python benchmarks/lora.py --data lip_phrases --run runs/lora

A small network learns the first five phrases of the folder from scratch. It is then adapted to the
other five in three ways, by the same recipe. The accuracy is that on all `val` videos of these
phrases after the last epoch, on which no choice depends. Each training runs in a process of its
own, whose peak memory is printed. A run that was interrupted is resumed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras_mlp3d as km
from keras_mlp3d.data import Manifest, VideoConverter, read_manifest
from keras_mlp3d.inference import evaluate
from keras_mlp3d.training import Recipe, make_loaders, train

import numpy as np

WAYS = {
    "all weights": {},
    "LoRA, rank 8": {"lora_rank": 8},
    "LoRA, rank 2": {"lora_rank": 2},
    "head alone": {"frozen_stages": 4},
}


def half(manifest, first):
    """Return the videos of the first or the last classes."""
    count = len(manifest.class_names) // 2
    names = manifest.class_names[:count] if first else manifest.class_names[count:]
    rows = [
        dataclasses.replace(row, label=row.label - (0 if first else count))
        for row in manifest.rows
        if (row.label < count) == first
    ]
    return Manifest(rows, names, manifest.split)


def run(options):
    """Train in one way and return what the table says of it."""
    first = options.way == "base"
    training, validation = (
        half(read_manifest(options.data, split), first) for split in ("train", "val")
    )
    recipe = Recipe.load("lip_phrases").replace(epochs=options.epochs, warmup_epochs=1.0)
    folder = pathlib.Path(options.run, options.way.replace(" ", "-").replace(",", ""))
    classes = {"num_classes": len(training.class_names), "class_names": training.class_names}
    if first:
        converter = VideoConverter(num_frames=32, image_size=(32, 32))
        model = km.MLP3D.from_preset(
            "mlp3d_nano_lip_phrases", load_weights=False, converter=converter, **classes
        )
    else:
        model = km.MLP3D.from_preset(pathlib.Path(options.run, "base", "preset"), **classes)
        recipe = recipe.replace(**WAYS[options.way])
    loaders = make_loaders(recipe, training, validation, model.converter)
    result = train(model, recipe, *loaders, folder=folder, verbose=0)
    if first:
        model.save_to_preset(folder / "preset")
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {
        "trained": trained,
        "slots": sum(int(np.prod(v.shape)) * 4 for v in model.optimizer.variables),
        "last": result.history["val_accuracy"][-1],
        "best": evaluate(model, validation).top1,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "videos": len(validation.rows),
        "all": model.count_params(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(run(options)))
        return
    print("| trained | weights | optimizer | peak memory | top-1, last epoch |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    for way in ("base", *WAYS):
        command = [sys.executable, __file__, "--way", way, *sys.argv[1:]]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(output.splitlines()[-1])
        print(
            f"| {way} | {row['trained']:,} ({row['trained'] / row['all']:.1%}) | "
            f"{row['slots'] / 2**20:.2f} MiB | {row['peak'] / 2**20:.0f} MiB | "
            f"{row['last']:.3f} of {row['videos']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
