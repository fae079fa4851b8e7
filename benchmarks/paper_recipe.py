"""Takes optimization steps with a recipe of the paper, on files in Something-Something's formats.

A few webm files with `labels.json` and `train.json` are generated, read with `read_something_v2`,
decoded and augmented as in the recipe, and `mlp3d_xs` takes three steps on clips of 64 x 128 x 128.
This shows that the recipe runs, and the time and memory of a step. It says nothing about accuracy.

    KERAS_BACKEND=torch python benchmarks/paper_recipe.py
"""

import argparse
import json
import os
import pathlib
import resource
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from keras_mlp3d.data import Augmenter, VideoLoader, read_something_v2
from keras_mlp3d.training import Recipe, make_optimizer

import av
import keras
import numpy as np

TEMPLATES = (
    "Pushing [something] from left to right",
    "Pushing [something] from right to left",
    "Moving [something] up",
    "Moving [something] down",
)
DIRECTIONS = ((0, 1), (0, -1), (-1, 0), (1, 0))
HEIGHT, WIDTH, FRAMES = 240, 320, 40  # as in the data set: 240 pixels high, about 12 fps


def write_files(folder, num_videos):
    """Write annotations and videos in which a bright square moves according to the class."""
    names = [template.replace("[", "").replace("]", "") for template in TEMPLATES]
    labels = {name: str(number) for number, name in enumerate(names)}
    (folder / "labels.json").write_text(json.dumps(labels))
    entries = []
    for number in range(num_videos):
        label = number % len(TEMPLATES)
        template = TEMPLATES[label]
        entries.append(
            {
                "id": str(number + 1),
                "label": template.replace("[something]", "a box").lower(),
                "template": template,
                "placeholders": ["a box"],
            }
        )
        write_webm(folder / f"{number + 1}.webm", number, DIRECTIONS[label])
    (folder / "train.json").write_text(json.dumps(entries))


def write_webm(path, seed, direction):
    """Write one VP9 video."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 120, (HEIGHT // 16, WIDTH // 16, 3)).astype("uint8")
    ground = ground.repeat(16, axis=0).repeat(16, axis=1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=12)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for step in range(FRAMES):
            frame = ground.copy()
            moved = 2 * (step - FRAMES // 2)
            top = HEIGHT // 2 - 20 + direction[0] * moved
            left = WIDTH // 2 - 20 + direction[1] * moved
            frame[top : top + 40, left : left + 40] = 240
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        file.mux(stream.encode(None))


class Steps(keras.callbacks.Callback):
    """Prints the loss and the seconds of each step."""

    def __init__(self):
        super().__init__()
        self.start, self.total = 0.0, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        total = (batch + 1) * float(logs["loss"])  # Keras passes the mean so far
        seconds = time.perf_counter() - self.start
        print(f"step {batch + 1}  loss {total - self.total:.4f}  {seconds:.1f} s", flush=True)
        self.total = total


def main():
    """Generate files, build the network, take the steps, and print their time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="something_v2_search")
    parser.add_argument("--preset", default="mlp3d_xs")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=2)
    options = parser.parse_args()
    recipe = Recipe.load(options.recipe)
    recipe = recipe.replace(batch_size=options.batch_size, epochs=1, warmup_epochs=0)
    km.training.set_random_seed(recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_files(folder, options.steps * options.batch_size)
        manifest = read_something_v2(folder, folder)
        names = list(manifest.class_names)
        model = km.MLP3D.from_preset(
            options.preset,
            load_weights=False,
            num_classes=len(names),
            class_names=names,
            dropout=recipe.dropout,
        )
        converter = km.data.VideoConverter(
            recipe.num_frames, recipe.image_size, recipe.sampling, crop="random"
        )
        augment = Augmenter.from_config(
            {**recipe.augmentation, "label_smoothing": recipe.label_smoothing}
        )
        data = VideoLoader(
            manifest, converter, recipe.batch_size, training=True, augment=augment, workers=1
        )
        macs = km.cost.count(model, (recipe.num_frames, *recipe.image_size, 3)).macs
        print(
            f"{options.recipe}, {options.preset}, {keras.backend.backend()}: {len(manifest)} webm "
            f"files, batches of {data[0][0].shape}, {macs / 1e9:.1f} GMACs a clip forward"
        )
        model.compile(
            make_optimizer(model, recipe, len(data)),
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
        before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
        model.fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[Steps()])
        moved = [
            np.abs(keras.ops.convert_to_numpy(w) - old).max() > 0
            for w, old in zip(model.trainable_weights, before, strict=True)
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{sum(moved)} of {len(moved)} weights moved; peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
