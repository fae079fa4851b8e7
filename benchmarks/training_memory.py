"""Compares the memory of a training step that `cost.training_step` predicts with what is measured.

    python benchmarks/training_memory.py [--backend torch jax tensorflow] [--dtype mixed_bfloat16]
        [--remat] [--cells small large long] [--preset mlp3d_xs] [--batch 1] [--limit 12]

Each cell of the table is a network on clips of a shape in batches of a size, and is measured in a
process of its own. `ratio` is predicted over measured.

- kept: what the forward pass keeps for the backward pass. PyTorch: the storages of all saved
  tensors, each once, without weights and clips (`torch.autograd.graph.saved_tensors_hooks`).
- peak: the most memory of a whole step with AdamW. PyTorch and TensorFlow: the largest resident
  set of the process in its second step, minus that before the network was built, when the clips
  were there in NumPy. JAX: the buffers of the compiled step (`memory_analysis()`): arguments,
  outputs and temporary ones.
- GFLOP/s: two operations per counted multiply-accumulate, over the time of the second step (not on
  JAX, whose step is compiled and not run).

Cells whose predicted peak is above `--limit` GB are skipped and named. With `--remat` each network
is measured with and without `remat`, and `saved` is what it saves of the peak without.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

BACKENDS = ("torch", "jax", "tensorflow")
#: Preset, frames, pixels, batch. The factors of a backend come from "small", never from the others.
CELLS = {
    "small": (
        ("mlp3d_tiny", 24, 96, 4),
        ("mlp3d_nano", 32, 64, 16),
        ("mlp3d_nano", 64, 128, 8),
        ("cyclemlp_nano", None, 128, 64),
        ("cyclemlp_b1", None, 224, 8),
    ),
    "large": (
        ("mlp3d_xs", 16, 224, 1),
        ("mlp3d_xs", 16, 224, 2),
        ("mlp3d_xs", 16, 224, 4),
        ("mlp3d_s", 16, 224, 1),
        ("mlp3d_m", 16, 224, 1),
        ("mlp3d_l", 16, 224, 1),
    ),
    "long": (
        ("mlp3d_xs", 64, 128, 1),
        ("mlp3d_xs", 64, 224, 1),
        ("mlp3d_s", 64, 224, 1),
        ("mlp3d_m", 64, 224, 1),
        ("mlp3d_l", 64, 224, 1),
    ),
}
CLASSES = 174
MEGABYTE = 1e6


def status(key):
    """Return a line of the process's status, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        [line] = [line for line in file if line.startswith(f"{key}:")]
    return int(line.split()[1]) * 1024


def reset_peak():
    """Make the peak of the resident set start again at its size now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def make(cell, options):
    """Return a network without weights, and the shape of its input."""
    import keras_mlp3d as km

    preset, frames, size, _ = cell
    remat = {"remat": True} if options["remat"] else {}
    shared = {"load_weights": False, "num_classes": CLASSES, "dtype": options["dtype"], **remat}
    if frames is None:
        return km.CycleMLP.from_preset(preset, **shared), (size, size, 3)
    return km.MLP3D.from_preset(preset, **shared), (frames, size, size, 3)


def data(shape, batch):
    """Return clips and labels."""
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 256, (batch, *shape)).astype("float32")
    return clips, generator.integers(0, CLASSES, batch)


def compiled(model):
    """Return the network, ready to be trained as `keras-mlp3d train` does."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.05)
    model.compile(optimizer, loss)
    return model


def saved_tensors(model, clips):
    """Return the bytes that PyTorch keeps in a forward pass, without weights and clips."""
    import torch

    clips = torch.from_numpy(clips)
    known = {weight.value.untyped_storage().data_ptr() for weight in model.weights}
    known.add(clips.untyped_storage().data_ptr())
    storages, alive = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # else another tensor could get its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(clips, training=True)
    return sum(storages.values())


def resident_peak(cell, shape, options):
    """Return (model, clips, peak of the resident set in a step, seconds of the step)."""
    import keras_mlp3d as km

    # The libraries allocate for themselves when they first compute.
    warm = km.MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "short_range:2", dtype=options["dtype"])
    warm = compiled(km.MLP3D(warm, CLASSES))
    for _ in range(2):
        warm.train_on_batch(*data((8, 32, 32, 3), 1))
    clips, labels = data(shape, cell[-1])
    before = status("VmRSS")
    model, _ = make(cell, options)
    compiled(model).train_on_batch(clips, labels)
    reset_peak()
    start = time.perf_counter()
    model.train_on_batch(clips, labels)
    return model, clips, status("VmHWM") - before, time.perf_counter() - start


def buffers(cell, options):
    """Return bytes of the buffers of JAX's compiled step."""
    import jax

    model, shape = make(cell, options)
    model = compiled(model)
    clips, labels = data(shape, cell[-1])
    model.optimizer.build(model.trainable_variables)
    state = [
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    step = jax.jit(model.train_step, donate_argnums=0)
    found = step.lower(tuple(state), (clips, labels)).compile().memory_analysis()
    used = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return used - found.alias_size_in_bytes


def measure(cell, options):
    """Return one cell, on the backend of this process: what is predicted, and what is measured."""
    from keras_mlp3d import cost

    import keras

    keras.config.set_image_data_format("channels_last")
    backend = keras.config.backend()
    model, shape = make(cell, options)
    step = cost.training_step(model, shape, cell[-1])
    result = {"predicted": {"kept": step.activations, "peak": step.peak, "macs": step.macs}}
    if step.peak > 1e9 * options["limit"]:
        return result
    del model
    if backend == "jax":
        return {**result, "peak": buffers(cell, options)}
    model, clips, result["peak"], result["seconds"] = resident_peak(cell, shape, options)
    if backend == "torch":
        result["kept"] = saved_tensors(model, clips)
    return result


def child(backend, cell, **options):
    """Run `measure` in a process of its own."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Freed memory goes back to the system at once, so that the resident set is what is in use.
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    command = [sys.executable, __file__, "--here", json.dumps([cell, options])]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip().splitlines()[-1] if result.stderr else "killed")
    return json.loads(result.stdout.splitlines()[-1])


def row_of(backend, cell, options, remat):
    """Return the texts of one row, and the measured peak; or why there is none."""
    try:
        found = child(backend, cell, dtype=options.dtype, remat=remat, limit=options.limit)
    except RuntimeError as error:
        return None, f"failed: {error}"
    predicted = found["predicted"]
    if "peak" not in found:
        return None, f"predicted {predicted['peak'] / 1e9:.1f} GB, above --limit"
    texts = []
    for key in ("kept", "peak"):
        measured = found.get(key)
        texts.append(f"{predicted[key] / MEGABYTE:,.0f}")
        texts.append("" if measured is None else f"{measured / MEGABYTE:,.0f}")
        texts.append("" if measured is None else f"{predicted[key] / measured:.2f}")
    seconds = found.get("seconds")
    texts.append("" if seconds is None else f"{2e-9 * predicted['macs'] / seconds:.0f}")
    return texts, found["peak"]


def main():
    """Run the cells and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cells", nargs="+", choices=tuple(CELLS), default=tuple(CELLS))
    parser.add_argument("--preset", help="only the cells of this preset")
    parser.add_argument("--batch", type=int, help="only the cells of this batch")
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--limit", type=float, default=12, help="GB")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(*json.loads(options.here))))
        return
    head = ("backend", "network", "clip", "batch", "dtype", "kept MB", "measured", "ratio")
    head = (*head, "peak MB", "measured", "ratio", "GFLOP/s", *(["saved"] if options.remat else []))
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * 5 + " ---: |" * (len(head) - 5), flush=True)
    cells = [cell for group in options.cells for cell in CELLS[group]]
    if options.remat:  # the blocks of a CycleMLP cannot
        cells = [cell for cell in cells if cell[1] is not None]
    for backend in options.backend:
        for cell in cells:
            if options.preset in (None, cell[0]) and options.batch in (None, cell[-1]):
                rows(backend, cell, options)


def rows(backend, cell, options):
    """Print the row of a cell, or the two rows without and with `remat`."""
    preset, frames, size, batch = cell
    clip = "x".join(str(length) for length in (frames, size, size) if length)
    plain = None
    for remat in (False, True) if options.remat else (False,):
        texts, peak = row_of(backend, cell, options, remat)
        name = f"{preset}, remat" if remat else preset
        row = [backend, name, clip, str(batch), options.dtype]
        if texts is None:
            print("| " + " | ".join([*row, peak]) + " |", flush=True)
            continue
        if options.remat:
            texts.append("" if plain is None else f"{1 - peak / plain:.0%}")
        plain = plain or peak
        print("| " + " | ".join([*row, *texts]) + " |", flush=True)


if __name__ == "__main__":
    main()
