"""Compares the cost of our networks with networks for video of torchvision and transformers.

    make bench-peers
    python benchmarks/peers.py [--networks mlp3d_xs s3d] [--sizes 16x224x224 64x128x128]
        [--tasks forward step] [--rounds 5] [--threads 2] [--batch 1] [--note TEXT]
        [--output runs/peers.json]
    python benchmarks/peers.py --page runs/peers.json [--to docs/peers.md]

A forward pass, and a training step (cross-entropy, AdamW, the same for all), in float32 on the CPU,
by eager PyTorch. Each network has a process of its own, which stays; they take turns, round after
round, and each measures a matrix product before and after. Weights are random: accuracy is not
compared. The file is written after each round. The same command resumes it, and other options add
to it; `--page` writes a page from it.
"""

import argparse
import os
import pathlib
import platform
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

from cells import Child, Results, Stopped, peak_memory, read, serve, size_of, version
from peer_networks import PEERS, build, count_macs, library_of, missing
from peers_page import NETWORKS, SIZES, TASKS, page

#: Side of the matrix product, and how often it is taken at a time.
SIDE, PRODUCTS = 1024, 2
LIBRARIES = ("torch", "torchvision", "transformers", "keras", "keras-mlp3d", "numpy")


def machine(threads, batch):
    """Return the machine, the versions and the settings that figures depend on."""
    return {
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "threads": threads,
        "batch": batch,
    }


def cell_name(task, size, network):
    """Return the name of a cell in the file."""
    return f"{task} {size} {network}"


def is_finished(cell, rounds):
    """Return whether a cell needs no more rounds."""
    return "error" in cell or ("macs" in cell and len(cell.get("seconds", ())) >= rounds)


def measure(results, size, options):
    """Measure the cells of a size that are not finished, in turn, and save them."""

    def waits(task, name):
        cell = results.cells.get(cell_name(task, size, name), {})
        return not is_finished(cell, options.rounds)

    waiting = [n for n in options.networks if any(waits(task, n) for task in options.tasks)]
    children = {name: start(name, size, options) for name in waiting}
    try:
        # A process that still starts would take time from those that are measured.
        built = {name: ask(child, do="build") for name, child in children.items()}
        # The training step needs more memory than the forward pass, so its peak is its own.
        for task in (task for task in TASKS if task in options.tasks):
            names = [name for name in waiting if waits(task, name)]
            cells = {n: results.cells.setdefault(cell_name(task, size, n), {}) for n in names}
            for name in names:
                answer = built[name]
                if "error" not in answer:
                    answer = ask(children[name], do="begin", task=task)
                cells[name].update(answer)
            take_turns(results, cells, children, options.rounds)
            for name in names:
                print(cell_name(task, size, name), said(cells[name]), flush=True)
    finally:
        for child in children.values():
            child.process.kill()
            child.close()


def take_turns(results, cells, children, rounds):
    """Measure until each of {network: cell} is finished, and save after every turn."""
    while names := [name for name in cells if not is_finished(cells[name], rounds)]:
        turn = round(time.time(), 3)
        for name in names:
            cell, child = cells[name], children[name]
            answer = {}
            if len(cell.get("seconds", ())) < rounds:
                answer = ask(child, do="round")
                if "error" not in answer:
                    add_round(cell, turn, answer)
                    answer = {}
            if not answer and len(cell["seconds"]) >= rounds:
                answer = ask(child, do="finish")
            cell.update(answer)
        results.save()
    results.save()


def ask(child, **request):
    """Return the answer of a process, or the error that it ended with."""
    try:
        return child.ask(**request)
    except Stopped as error:
        return {"error": str(error)}


def add_round(cell, turn, answer):
    """Add the figures of a round to a cell."""
    for name, value in (("turns", turn), *answer.items()):
        cell.setdefault(name, []).append(value)


def said(cell):
    """Return the median of a finished cell, or why there is none."""
    if "error" in cell:
        return cell["error"]
    middle = sorted(cell["seconds"])[len(cell["seconds"]) // 2]
    return f"{middle:.2f} s, {cell['macs'] / 1e9:.1f} GMACs"


def start(name, size, options):
    """Start the process of a network."""
    arguments = [name, size, str(options.threads), str(options.batch)]
    variables = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": str(options.threads)}
    return Child([sys.executable, __file__, "--child", *arguments], variables)


def child(name, size, threads, batch):
    """Measure a network at requests from the standard input."""
    os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")
    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    state = {}

    def handle(request):
        if request["do"] == "build":
            if library_of(name) is None:
                import keras_mlp3d  # noqa: F401, so that no import counts as memory of the network
            state.update(multiply=product(), before=peak_memory())
            state["network"] = build(name, size_of(size))
        elif request["do"] == "begin":
            state["run"] = runner(state["network"], request["task"], int(batch))
            state["run"]()
        elif request["do"] == "round":
            return one_round(state["run"], state["multiply"])
        elif request["do"] == "finish":
            peak = peak_memory()  # before the count, which writes attention out
            parameters = state["network"].module.parameters()
            return {
                "bytes": peak - state["before"],
                "parameters": sum(p.numel() for p in parameters if p.requires_grad),
                "macs": count_macs(state["run"]),
            }
        return {}

    serve(handle)


def runner(network, task, batch):
    """Return a function that runs a network once.

    Args:
        network: `Network`.
        task: "forward" or "step".
        batch: Number of clips.
    """
    import torch

    clips = network.clips(batch)
    if task == "forward":

        def forward():
            with torch.no_grad():
                return network.call(clips, False)

        return forward
    labels = torch.arange(batch)
    optimizer = torch.optim.AdamW(network.module.parameters(), lr=1e-4, weight_decay=0.05)

    def step():
        loss = torch.nn.functional.cross_entropy(network.call(clips, True), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def product():
    """Return a function that takes the matrix product."""
    import torch

    matrix = torch.randn(SIDE, SIDE)
    matrix @ matrix
    return lambda: [matrix @ matrix for _ in range(PRODUCTS)]


def one_round(run, multiply):
    """Return seconds of a run, and the multiply-accumulates per second of a product around it."""
    before, seconds, after = (seconds_of(function) for function in (multiply, run, multiply))
    return {"seconds": seconds, "product": PRODUCTS * SIDE**3 / ((before + after) / 2)}


def seconds_of(function):
    """Run a function once and return how long it took."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(arguments=None):
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="presets and peers")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="FRAMESxHEIGHTxWIDTH")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--note", help="a sentence for the page, such as what else was running")
    parser.add_argument("--output", default="runs/peers.json")
    parser.add_argument("--page", metavar="FILE", help="write the page of a file, measure nothing")
    parser.add_argument("--to", help="the page; by default next to its file")
    options = parser.parse_args(arguments)
    try:
        if options.page:
            to = pathlib.Path(options.to or pathlib.Path(options.page).with_suffix(".md"))
            to.write_text(page(read(options.page), options.page, to), encoding="utf-8")
            print(to)
            return
        for size in options.sizes:
            size_of(size)
        for name in ("rounds", "threads", "batch"):
            if getattr(options, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(options, name)}.")
        check_names(options.networks)
        results = Results(options.output, machine(options.threads, options.batch))
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    if options.note:
        results.machine["note"] = options.note
    for size in options.sizes:
        measure(results, size, options)
    results.save()
    print(f"{options.output}: python benchmarks/peers.py --page {options.output}")


def check_names(names):
    """Refuse networks that are unknown or whose library is not installed."""
    import keras_mlp3d

    known = (*NETWORKS, *keras_mlp3d.list_presets())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"There is no network {unknown[0]!r}: the peers are {', '.join(PEERS)}.")
    if lacking := missing(names):
        raise ValueError(lacking)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
