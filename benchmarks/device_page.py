"""Writes the table of what `device.py` measured."""

import statistics

HEAD = {
    "sweep": (
        *("backend", "network", "size", "dtype", "task", "clips/s", "at batch", "rate"),
        *("memory, MiB", "end of the sweep"),
    ),
    "fit": (
        *("backend", "network", "size", "dtype", "devices", "batch", "clips/s from memory"),
        *("from files", "by processes", "from shards", "over one device"),
    ),
}
TEXT = """"clips/s": the median at the batch with the most, with its share of the rate of a matrix
product of the same element type ("rate"; a training step counts as three forward passes) and the
peak of memory there: of the device, or of the process on a CPU. `fit` trains on generated
videos: from files, threads decode, or processes."""


def page(found):
    """Return Markdown tables of a file of figures."""
    sweeps, fits = {}, {}
    for name, cell in found["cells"].items():
        *work, number = name.split(" ")
        kind = fits if work[-1] == "fit" else sweeps
        kind.setdefault(tuple(work), {})[int(number)] = cell
    lines = ["# Devices", "", TEXT, ""]
    lines += [f"- {name}: {text}" for name, text in found["machine"].items()]
    if sweeps:
        lines += ["", "## Forward pass and training step", "", *head("sweep")]
        lines += [row(sweep_cells(work, cells)) for work, cells in sweeps.items()]
    if fits:
        lines += ["", "## `fit`", "", *head("fit")]
        for work, cells in fits.items():
            lines += [row(fit_cells(work, count, cells)) for count in sorted(cells)]
        if all(set(cells) == {1} for cells in fits.values()):
            lines += ["", "There is one device here: several are not measured."]
    return "\n".join(lines) + "\n"


def head(kind):
    """Return the first two lines of a table."""
    return [row(HEAD[kind]), row(["---"] * len(HEAD[kind]))]


def row(cells):
    """Return a line of a table."""
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def sweep_cells(work, cells):
    """Return the line of a sweep over {batch: cell}."""
    backend, form, network, size, dtype, task = work
    start = (f"{backend}, {form}", f"`{network}`", size, dtype, task)
    good = {batch: cell for batch, cell in cells.items() if "clips_per_second" in cell}
    last = max(cells)
    end = f"{last}, as asked"
    if "out_of_memory" in cells[last]:
        end = f"out of memory at {last}"
    elif "error" in cells[last]:
        end = f"at {last}: {cells[last]['error']}"
    if not good:
        return (*start, "", "", "", "", end)
    best = max(good, key=lambda batch: good[batch]["clips_per_second"])
    cell = good[best]
    figures = (f"{cell['clips_per_second']:.2f}", best, f"{cell['rate']:.2f}")
    return (*start, *figures, f"{cell['bytes'] / 2**20:.0f}", end)


def fit_cells(work, count, cells):
    """Return the line of `fit` on a number of devices, of {devices: cell}."""
    backend, form, network, size, dtype, _ = work
    start, cell = (f"{backend}, {form}", f"`{network}`", size, dtype, count), cells[count]
    if "error" in cell:
        return (*start, "", cell["error"], "", "", "", "")
    medians = {
        name: statistics.median(cell[name])
        for name in ("memory", "files", "processes", "shards")
        if cell.get(name)
    }
    over = ""
    if count > 1 and cells.get(1, {}).get("memory"):
        over = f"{medians['memory'] / statistics.median(cells[1]['memory']):.2f}"
    sources = ("memory", "files", "processes")
    texts = [f"{medians[name]:.2f}" if name in medians else "" for name in sources]
    shards = f"{medians['shards']:.2f}" if "shards" in medians else "extra `shards` is missing"
    return (*start, cell["batch"], *texts, shards, over)
