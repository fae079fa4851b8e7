"""Keras alone on two devices, for the faults that `keras_patches` mends.

`python unpatched_keras.py OUTPUT`: two devices of one processor on JAX and TensorFlow, two
processes on PyTorch, which `torchrun` starts. The first process writes what it saw, as JSON.
"""

import json
import os
import sys

import keras
import numpy as np

ROWS = np.arange(8, dtype="float32").reshape(4, 2)


def make_model(**options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(**options), "mse", metrics=["mae"], jit_compile=False)
    return model


def error_of(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def on_jax():
    devices = [f"cpu:{k}" for k in range(2)]
    with keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope():
        model = make_model()
        model.predict(ROWS, batch_size=4, verbose=0)
        return {"odd": error_of(lambda: model.predict(ROWS[:3], batch_size=3, verbose=0))}


def on_tensorflow():
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = keras.layers.Dropout(0.5, seed=3)
        run = tf.function(lambda: layer(np.ones((1, 50), "float32"), training=True))
        kept = strategy.experimental_local_results(strategy.run(run))
        clipped = make_model(learning_rate=1.0, global_clipnorm=0.5)
        before = clipped.get_weights()
        clipped.fit(ROWS, ROWS[:, :1], batch_size=4, verbose=0)
        after = clipped.get_weights()
        odd = make_model()
        accumulated = make_model(gradient_accumulation_steps=2)
        steps = [new - old for new, old in zip(after, before, strict=True)]
        return {
            "kept": [part.numpy().tolist() for part in kept],
            "norm": float(np.sqrt(sum((step**2).sum() for step in steps))),
            "odd": error_of(lambda: odd.fit(ROWS[:3], ROWS[:3, :1], batch_size=3, verbose=0)),
            "accumulated": error_of(
                lambda: accumulated.fit(ROWS, ROWS[:, :1], batch_size=2, verbose=0)
            ),
        }


def on_torch():
    import torch
    from torch import distributed

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    keras.utils.set_random_seed(rank)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse", metrics=["mae"])
    rows = ROWS[2 * rank : 2 * rank + 2]
    start = model.get_weights()
    history = model.fit(rows, rows[:, :1], batch_size=2, verbose=0).history
    end = model.get_weights()
    dropout = keras.layers.Dropout(0.5, seed=3)
    kept = keras.ops.convert_to_numpy(dropout(np.ones((1, 50), "float32"), training=True))
    own = {
        "start": start[0].tolist(),
        "step": (end[0] - start[0]).tolist(),
        "mae": history["mae"],
        "kept": kept.tolist(),
    }
    found = [None, None]
    distributed.all_gather_object(found, own)
    distributed.destroy_process_group()
    del torch
    return {name: [part[name] for part in found] for name in own}


def main():
    backend = keras.config.backend()
    result = {"jax": on_jax, "tensorflow": on_tensorflow, "torch": on_torch}[backend]()
    if os.environ.get("RANK", "0") == "0":
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            json.dump(result, file)


if __name__ == "__main__":
    main()
