"""A training whose batches are divided over devices or processes, as the environment says.

`python divided.py FOLDER WORK...`: WORK is "curve", "train", "evaluate" or "draws"; the first
process writes what came out to FOLDER/result.json. `LOGICAL_DEVICES=2` makes two devices of one
processor, on TensorFlow. "evaluate" sees the videos in FOLDER/videos. After the first steps of
"curve" the file of the variable `TRAINING`, if it is set, is made.
"""

import json
import os
import pathlib
import sys
import types

import keras
import numpy as np

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, read_manifest
from keras_mlp3d.distribution import current_distribution, distribute
from keras_mlp3d.inference import evaluate
from keras_mlp3d.training import (
    Recipe,
    TrainingInterrupted,
    load_checkpoint,
    make_optimizer,
    save_checkpoint,
    train,
)
from keras_mlp3d.training.unreadable_videos import UnreadableVideos

BATCH_SIZE, STEPS = 4, 20


class Clips(keras.utils.PyDataset):
    """This process's part of batches that the epoch and the batch decide.

    `unreadable` are the rows of validation clips that cannot be read: their weight is 0. Divided,
    a batch of validation is filled up, as `ClipSource` does.
    """

    def __init__(self, shard=(0, 1), batches=STEPS, rows=BATCH_SIZE, unreadable=None):
        super().__init__()
        if unreadable is not None:
            videos = tuple(VideoRow(f"{k}.mp4", k % 2) for k in range(batches * rows))
            self.source = types.SimpleNamespace(
                manifest=Manifest(videos, ("even", "odd"), "val"),
                failed=dict.fromkeys(unreadable, "it is gone"),
                failed_lately={},
                counts=True,
                shard=shard,
                num_clips=batches * -(-rows // shard[1]) * shard[1],
            )
            here = self.source.num_clips // batches // shard[1]
            if shard[0]:  # this process has seen its own rows alone
                self.source.failed = {k: v for k, v in self.source.failed.items() if k >= here}
            elif shard[1] > 1:
                self.source.failed = {k: v for k, v in self.source.failed.items() if k < here}
        self.epoch, self.shard, self.batches, self.rows = 0, shard, batches, rows

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        rng = np.random.default_rng([self.epoch, index])
        labels = np.arange(self.rows, dtype="int32") % 2
        clips = rng.integers(0, 128, (self.rows, 4, 32, 32, 3))
        clips = (clips + 100 * labels[:, None, None, None, None]).astype("uint8")
        part, parts = self.shard
        here = slice(part * self.rows // parts, (part + 1) * self.rows // parts)
        if not hasattr(self, "source"):
            return clips[here], labels[here]
        size = self.source.num_clips // self.batches // parts
        here = slice(part * size, (part + 1) * size)
        rows = range(index * self.rows, (index + 1) * self.rows)
        weights = np.array([row not in self.source.failed for row in rows], "float32")
        return tuple(_filled(array[here], size) for array in (clips, labels, weights))


def _filled(array, size):
    """The array with zeros up to a size."""
    return np.pad(array, [(0, size - len(array)), *[(0, 0)] * (array.ndim - 1)])


class Losses(keras.callbacks.Callback):
    """The mean loss of the epoch until each step; at its end, a checkpoint there and back."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.curve, self.sums = folder, [], None

    def on_train_batch_end(self, batch, logs=None):
        self.curve.append(float(logs["loss"]))
        if batch == 2 and "TRAINING" in os.environ:
            pathlib.Path(os.environ["TRAINING"]).touch()
        if batch == STEPS - 1:
            distribution = current_distribution()
            self.sums = distribution.metric_sums(self.model)
            if distribution.is_chief:
                save_checkpoint(self.folder, self.model, 1)
            distribution.barrier()
            assert load_checkpoint(self.folder, self.model) == (1, 0, {})


def make_model(seed=0, dropout=0.0, **options):
    keras.utils.set_random_seed(seed)
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2", name="backbone")
    return MLP3D(backbone, 2, dropout=dropout, name="model", **options)


def make_recipe(**changes):
    values = {
        "epochs": 1,
        "warmup_epochs": 0.25,
        "batch_size": BATCH_SIZE,
        "reference_batch_size": BATCH_SIZE,
        "learning_rate": 0.01,
        "clip_norm": 0.5,
    }
    return Recipe("unmeasured", "divided", **{**values, **changes})


def compiled(model, **changes):
    optimizer = make_optimizer(model, make_recipe(**changes), STEPS, verbose=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, weighted_metrics=["accuracy"])
    return model


def curve(folder, shard=(0, 1)):
    """The losses of a `fit`, the metrics of its end, and those of clips that do not divide."""
    folder.mkdir(exist_ok=True)
    # Each PyTorch process draws weights of its own: the first's are what all must begin with.
    seed = shard[0] if keras.config.backend() == "torch" else 0
    model, losses = compiled(make_model(seed)), Losses(folder)
    validation = Clips(shard, batches=1, rows=5, unreadable=[1])
    history = model.fit(
        Clips(shard),
        validation_data=validation,
        shuffle=False,
        verbose=0,
        callbacks=[losses],
    )
    metrics = {name: row[0] for name, row in history.history.items()}
    UnreadableVideos([], validation).after_epoch(0, metrics)
    return {"curve": losses.curve, "sums": losses.sums, "metrics": metrics}


def trained(folder, shard=(0, 1)):
    """Ends a run of two epochs that is interrupted in the second one and resumed."""
    calls = []

    def stop():
        calls.append(1)
        return len(calls) == 5 and shard[0] == 0  # one process is told, and all must stop

    def go(stop):
        model = make_model()
        recipe = make_recipe(epochs=2, ema_momentum=0.9)
        validation = Clips(batches=2, rows=3, unreadable=[1, 4])
        training = Clips(shard, batches=3)
        return model, train(
            model, recipe, training, validation, folder, verbose=0, checkpoint_every=1, stop=stop
        )

    try:
        go(stop)
    except TrainingInterrupted:
        model, result = go(None)
        weights = [keras.ops.convert_to_numpy(weight).tolist() for weight in model.weights]
        return {"weights": weights, "history": result.history, "best": result.best_epoch}


def evaluated(videos):
    manifest = read_manifest(videos, "val")
    names = list(manifest.class_names)
    converter = VideoConverter(num_frames=4, image_size=(32, 32))
    model = make_model(class_names=names, converter=converter)
    evaluation = evaluate(model, manifest, clips=2, crops=3, batch_size=4, workers=1)
    return [[row.best, row.score, row.rank] for row in evaluation.predictions]


def draws():
    """What a dropout layer keeps, added up over replicas and processes."""
    layer = keras.layers.Dropout(0.5, seed=3)

    def kept():
        return layer(np.ones((1, 200), "float32"), training=True) / 2

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        return strategy.reduce("SUM", strategy.run(kept), axis=None).numpy().tolist()
    own = keras.ops.convert_to_numpy(kept())
    return current_distribution().add_up(own).tolist()


def main():
    folder, *works = sys.argv[1:]
    folder = pathlib.Path(folder)
    devices = int(os.environ.get("LOGICAL_DEVICES", "1"))
    if devices > 1:
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(processor, logical)
    with distribute() as distribution:
        shard = distribution.shard
        known = {
            "curve": lambda: curve(folder / "curve", shard),
            "train": lambda: trained(folder / "run", shard),
            "evaluate": lambda: evaluated(folder / "videos"),
            "draws": draws,
        }
        result = {
            "replicas": distribution.num_replicas,
            "sum": distribution.sum(1 + shard[0]),
            "any": [distribution.any(shard[0] == 1), distribution.any(False)],
            **{name: known[name]() for name in works},
        }
        if distribution.is_chief:
            (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
