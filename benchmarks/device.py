"""Measures this machine's devices: networks, batch sizes, `fit` from files, one device and all.

    python benchmarks/device.py
    python benchmarks/device.py [--backends torch jax] [--compile] [--networks mlp3d_xs swin3d_t]
        [--sizes 64x128x128 64x224x224] [--dtypes float32 mixed_bfloat16] [--tasks forward step fit]
        [--max-batch N] [--batches 8 32] [--fit-batch 8] [--devices N] [--output runs/device.json]

Works on GPUs and on CPUs. Every installed backend has processes of its own: PyTorch runs eagerly
(with `--compile` by `torch.compile` too), JAX by XLA, TensorFlow as a graph (with `--compile` by
XLA too). The networks of `peers.py` are measured on PyTorch if their libraries are installed.

- forward, step: clips per second (a step is `train_on_batch` with AdamW), peak memory of the
  device, and multiply-accumulates per second over those of a matrix product of the same element
  type, taken in turn in the same process. The batch is doubled until memory is used up, or to
  `--max-batch` (4 on a CPU); `--batches` names the batches instead, where time is short.
- fit: clips per second of `fit` on generated videos: from memory, from files by threads and by
  processes that decode, and from shards, on one device and on all.

The output has a cell per figure and is written after each one. The same command resumes it, and
other networks, sizes, dtypes, tasks and batches add to it; other settings of a figure that is there
(rounds, videos and so on) are refused. A table is written next to it, as Markdown. Delete a cell to
repeat it.
"""

import argparse
import csv
import importlib.util
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile

if importlib.util.find_spec("torch"):  # this process computes nothing, and starts soonest so
    os.environ.setdefault("KERAS_BACKEND", "torch")

from cells import Child, Results, Stopped, how_it_ended, size_of, text_of
from device_page import page
from peer_networks import PEERS, library_of

HERE = pathlib.Path(__file__).resolve().parent
BACKENDS = ("torch", "jax", "tensorflow")
#: How each backend runs a network: as it does by default, and what `--compile` adds.
FORMS = {"torch": ("eager", "compile"), "jax": ("jit",), "tensorflow": ("graph", "xla")}
NETWORKS = ("mlp3d_xs", "mlp3d_s", "mlp3d_m", "mlp3d_l")
SIZES, TASKS = ("64x128x128", "64x224x224"), ("forward", "step", "fit")
DTYPES = ("float32", "mixed_bfloat16", "bfloat16")
FIELDS = ("backend", "form", "network", "size", "dtype", "task")
#: {kind of device: largest batch that is tried, side of the matrix product}.
LIMITS = {"gpu": (4096, 8192), "cpu": (4, 1024)}


def variables(backend):
    """Return the environment of a measuring process."""
    return {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}


def start(backend, work, limit=None):
    """Start a process that measures."""
    command = [sys.executable, str(HERE / "device_child.py"), json.dumps(work)]
    return Child(command, variables(backend), limit)


def name_of(work, number):
    """Return the name of a cell: the work, and a batch size or a number of devices."""
    return " ".join([*(work[field] for field in FIELDS), str(number)])


def plan(backend, options):
    """Yield a dict for each sweep of a backend."""
    for form in FORMS[backend] if options.compile else FORMS[backend][:1]:
        for network in options.networks:
            if network in PEERS and backend != "torch":
                continue
            for size in options.sizes:
                for dtype in options.dtypes:
                    for task in options.tasks:
                        if task != "fit" or network not in PEERS:
                            values = (backend, form, network, size, dtype, task)
                            yield dict(zip(FIELDS, values, strict=True))


def doubled(largest):
    """Yield 1, 2, 4 and so on, up to the largest."""
    batch = 1
    while batch <= largest:
        yield batch
        batch *= 2


def sweep(results, work, kind, options):
    """Measure batch after batch, until memory is used up or the largest is reached."""
    largest, side = LIMITS[kind]
    settings = {"rounds": options.rounds, "seconds": options.seconds, "side": options.side or side}
    child, batches = None, options.batches or doubled(options.max_batch or largest)
    try:
        for batch in batches:
            cell = measured(results, name_of(work, batch), settings)
            if cell is None:
                child = child or start(work["backend"], {**work, **settings}, options.limit)
                try:
                    cell = child.ask(batch=batch)
                except Stopped as error:
                    cell = {"error": str(error)}
                keep(results, name_of(work, batch), {**cell, "settings": settings})
            if "clips_per_second" not in cell:
                return
    finally:
        if child is not None:
            child.close()


def measured(results, name, settings):
    """Return the cell of a figure that is there, or None.

    Raises:
        ValueError: If it was measured with other settings.
    """
    cell = results.cells.get(name)
    known = {} if cell is None else cell.get("settings", {})
    other = [f"{key} {known[key]} there and {settings[key]} here" for key in known
             if known[key] != settings[key]]  # fmt: skip
    if other:
        raise ValueError(
            f"{results.path} has {name!r} with other settings: {'; '.join(other)}. Give another "
            "--output, or delete the cell."
        )
    return cell


def keep(results, name, cell):
    """Add a cell to the file, and print it."""
    results.cells[name] = cell
    results.save()
    texts = [cell[key] for key in ("out_of_memory", "error") if key in cell]
    if "clips_per_second" in cell:
        texts = [f"{cell['clips_per_second']:.2f} clips/s, {cell['bytes'] / 2**20:.0f} MiB"]
    sources = ("memory", "files", "processes", "shards")
    fits = {key: max(cell[key]) for key in sources if cell.get(key)}
    texts += [f"{key} {value:.2f} clips/s" for key, value in fits.items()]
    print(f"{name}: {', '.join(texts)}", flush=True)


def write_videos(folder, options):
    """Write videos, their table and their shards.

    Returns:
        A dict with the paths "files" and "shards" (None without the library for them).
    """
    from input import write_video
    from keras_mlp3d.data import read_csv, write_shards

    import numpy as np

    rng, rows = np.random.default_rng(0), []
    frames, *size = size_of(options.video)
    for number in range(options.videos):
        path = pathlib.Path(folder, f"{number}.mp4")
        write_video(path, frames, size, rng)
        rows.append((path, "ab"[number % 2]))
    table = pathlib.Path(folder, "train.csv")
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    try:
        write_shards(read_csv(table, "train"), f"{folder}/shards", short_side=None)
    except ImportError as error:
        print(f"no shards: {text_of(error)}")
        return {"files": str(table), "shards": None}
    return {"files": str(table), "shards": f"{folder}/shards"}


def fit(results, work, device, folder, data, options):
    """Measure `fit` on one device, and on all."""
    every = options.devices or device["count"]
    names = ("fit_batch", "epochs", "videos", "video", "workers", "processes")
    settings = {name: getattr(options, name) for name in names}
    for devices in dict.fromkeys((1, every)):
        if measured(results, name_of(work, devices), settings) is not None:
            continue
        if not data:
            data.update(write_videos(folder, options))
        to = pathlib.Path(folder, "result.json")
        to.unlink(missing_ok=True)
        job = {
            **work,
            **data,
            "size": size_of(work["size"]),
            "devices": devices if work["backend"] != "torch" else None,
            "batch": options.fit_batch,
            "epochs": options.epochs,
            "videos": options.videos,
            "workers": options.workers,
            "processes": options.processes,
            "to": str(to),
        }
        cell = run_fit(job, devices, device["kind"], options)
        keep(results, name_of(work, devices), {**cell, "settings": settings})


def run_fit(job, devices, kind, options):
    """Run `device_fit.py` in one process or in several, and return what it found."""
    if job["batch"] * devices > job["videos"]:
        need = job["batch"] * devices
        return {"error": f"{devices} devices x {job['batch']} clips need --videos {need} at least"}
    if kind == "cpu" and devices > 1 and job["backend"] == "tensorflow":
        return {"error": "TensorFlow has one device here: a CPU is one"}
    command, settings = [sys.executable], variables(job["backend"])
    if job["backend"] == "torch" and devices > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices)]
    if job["backend"] == "jax" and kind == "cpu":
        flags = f"--xla_force_host_platform_device_count={devices}"
        settings["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    file = pathlib.Path(job["to"]).with_name("job.json")
    file.write_text(json.dumps(job))
    command += [str(HERE / "device_fit.py"), str(file)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        # `device_fit.py` ends when nothing holds the other end: it does not outlive this process.
        given, held = os.pipe()
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **settings},
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=options.limit,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"it did not end within {options.limit} s"}
        finally:
            os.close(given)
            os.close(held)
        if done.returncode:
            return {"error": how_it_ended(done.returncode, errors)}
    return json.loads(pathlib.Path(job["to"]).read_text())


def devices_of(backends, options):
    """Return {backend: its description}, of those that are installed and start."""
    found = {}
    for backend in backends:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed")
            continue
        child = start(backend, {}, options.limit)
        try:
            answer = child.ask(do="describe")
        except Stopped as error:
            answer = {"error": str(error)}
        child.close()
        if "error" in answer:
            print(f"{backend}: {answer['error']}")
        else:
            found[backend] = answer
    return found


def machine(devices):
    """Return what the file says of the machine: a line per backend."""
    lines = {"machine": f"{os.cpu_count()} {platform.machine()} cores"}
    for backend, found in devices.items():
        versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        lines[backend] = f"{found['count']} x {found['device']}; {versions}"
    return lines


def parse(arguments):
    """Return the options; those that are wrong end the program with one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--compile", action="store_true", help="torch.compile and XLA too")
    parser.add_argument("--networks", nargs="+", help="presets, and networks of peers.py")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="FRAMESxHEIGHTxWIDTH")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES[:2])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--batches", type=int, nargs="+", help="those to try, in rising order")
    parser.add_argument("--max-batch", type=int, help="default 4096, on a CPU 4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round, at least one run")
    parser.add_argument("--side", type=int, help="of the matrix product; 8192, on a CPU 1024")
    parser.add_argument("--fit-batch", type=int, default=8, help="clips per device")
    parser.add_argument("--epochs", type=int, default=3, help="of fit; the first is not counted")
    parser.add_argument("--videos", type=int, default=128)
    parser.add_argument("--video", default="80x240x320", help="FRAMESxHEIGHTxWIDTH of the videos")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads that decode")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="that decode, of all devices; or 0"
    )
    parser.add_argument("--devices", type=int, help="how many are all; default: those found")
    parser.add_argument("--limit", type=int, default=1800, help="seconds for one figure")
    parser.add_argument("--output", default="runs/device.json")
    options = parser.parse_args(arguments)
    try:
        for size in (*options.sizes, options.video):
            size_of(size)
        for name in ("max_batch", "rounds", "side", "fit_batch", "videos", "workers", "devices"):
            if (value := getattr(options, name)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}.")
        if any(batch < 1 for batch in options.batches or ()):
            raise ValueError(f"--batches must be at least 1, got {min(options.batches)}.")
        if options.epochs < 2:
            raise ValueError(f"--epochs must be at least 2, got {options.epochs}.")
        options.networks = networks(options.networks)
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    return options


def networks(names):
    """Return the networks to measure: ours, and those of other libraries that are installed."""
    import keras_mlp3d
    from peer_networks import missing

    if names is None:
        installed = [name for name in PEERS if importlib.util.find_spec(library_of(name))]
        return [*NETWORKS, *installed]
    unknown = [name for name in names if name not in (*PEERS, *keras_mlp3d.list_presets())]
    if unknown:
        raise ValueError(f"There is no network {unknown[0]!r}: `keras-mlp3d presets` lists ours.")
    if lacking := missing(names):
        raise ValueError(lacking)
    return names


def main(arguments=None):
    """Measure what is not in the file yet, and write the table."""
    options = parse(arguments)
    devices = devices_of(options.backends, options)
    try:
        results = Results(options.output, machine(devices))
        results.save()
        print(measure_all(results, devices, options))
    except ValueError as error:
        sys.exit(f"error: {error}")


def measure_all(results, devices, options):
    """Measure what is not in the file yet; return the path of the table."""
    table, data = pathlib.Path(options.output).with_suffix(".md"), {}
    with tempfile.TemporaryDirectory() as folder:
        for backend, device in devices.items():
            for work in plan(backend, options):
                if work["task"] == "fit":
                    fit(results, work, device, folder, data, options)
                else:
                    sweep(results, work, device["kind"], options)
                found = {"machine": results.machine, "cells": results.cells}
                table.write_text(page(found), encoding="utf-8")
    return table


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # temporary files are removed
    main()
