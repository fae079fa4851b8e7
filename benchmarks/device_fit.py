"""Measures `fit` from memory, files and shards, on one device or on several.

`device.py` starts it, on PyTorch with a process per device, and reads the file that it writes:
clips per second of each epoch after the first, which compiles and fills caches.
"""

import json
import os
import pathlib
import sys
import threading
import time

import keras_mlp3d as km
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data import VideoConverter, VideoLoader, read_shards

import keras
import numpy as np


class Memory(keras.utils.PyDataset):
    """The same random clips in each batch: training without any reading.

    Args:
        batches: Number of batches.
        rows: Clips of a batch in this process.
        size: (frames, height, width).
    """

    def __init__(self, batches, rows, size):
        super().__init__()
        self.batches = batches
        self.clips = np.random.default_rng(0).integers(0, 256, (rows, *size, 3)).astype("uint8")
        self.labels = np.arange(rows, dtype="int32") % 2

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        return self.clips, self.labels


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def sources(work, batch, shard):
    """Yield (name, batches of clips) of each way to feed a training."""
    size = tuple(work["size"])
    converter = VideoConverter(size[0], size[1:], crop="random")
    options = {"batch_size": batch, "training": True, "workers": work["workers"], "shard": shard}
    yield "memory", Memory(work["videos"] // batch, batch // shard[1], size)
    files = km.data.read_csv(work["files"], "train")
    yield "files", VideoLoader(files, converter, **options)
    processes = work["processes"] // shard[1]
    if processes:
        yield "processes", VideoLoader(files, converter, **options, processes=processes)
    if work["shards"]:
        yield "shards", VideoLoader(read_shards(work["shards"]), converter, **options)


def main(path):
    """Train, and the first process writes {source: clips per second of each epoch}."""
    work = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    found = {}
    with km.training.distribute(work["devices"]) as distribution:
        batch = work["batch"] * distribution.num_replicas
        keras.utils.set_random_seed(0)
        model = km.MLP3D.from_preset(
            work["network"],
            load_weights=False,
            num_classes=2,
            input_shape=(*work["size"], 3),
            dtype=work["dtype"],
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.05)
        model.compile(optimizer, loss, jit_compile=work["form"] in ("jit", "compile", "xla"))
        for name, batches in sources(work, batch, distribution.shard):
            clock = Clock()
            model.fit(batches, epochs=work["epochs"], shuffle=False, verbose=0, callbacks=[clock])
            clips = len(batches) * batch
            found[name] = [clips / seconds for seconds in clock.seconds[1:]]
        if distribution.is_chief:
            found = {"devices": distribution.num_replicas, "batch": batch, **found}
            write_whole(work["to"], json.dumps(found).encode())


def end_with_the_caller():
    """End this process when `device.py` has ended, however that was."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_caller, daemon=True).start()
    main(sys.argv[1])
