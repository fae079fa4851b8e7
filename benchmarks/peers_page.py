"""Writes the page of what `peers.py` measured."""

import statistics

from cells import spread
from peer_networks import PEERS

#: What is measured by default; what the file lacks of it is said to be unmeasured.
NETWORKS = ("mlp3d_xs", "mlp3d_s", *PEERS)
SIZES, TASKS = ("16x224x224", "64x128x128"), ("forward", "step")
TITLES = {"forward": "Forward pass", "step": "Training step"}
#: The network whose time others are divided by, in the same turn.
BASE = "mlp3d_s"

TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html#video-classification"
TRANSFORMERS = "https://huggingface.co/docs/transformers/model_doc/videomae"
START = f"""# Other networks for video

What a clip costs, next to networks of [torchvision]({TORCHVISION})
and of [transformers]({TRANSFORMERS}). All weights are
random: accuracy is not compared, and nothing here says which network is better on your videos.

`make bench-peers` installs the libraries in an environment of its own and measures this on your
machine. It runs `python benchmarks/peers.py` there, which resumes if it was stopped; `--networks`,
`--sizes`, `--tasks`, `--rounds` and `--threads` choose a part. This page was written by
`python benchmarks/peers.py --page {{source}} --to {{to}}`.
"""

METHOD = """## How it was measured

- Eager PyTorch on the CPU in float32, for all networks alike. A training step is a cross-entropy of
  400 classes, its gradients, and AdamW.
- The networks take turns, round after round; each has a process of its own. Medians, with the
  extremes in brackets.
- Multiply-accumulates: half of what PyTorch's `FlopCounterMode` counts. Attention is written out as
  products of matrices for the count, which would leave it out otherwise. A training step includes
  the gradients.
- "Rate": multiply-accumulates per second, divided by those of a product of two 1024 x 1024
  matrices, which is taken before and after each run in the same process.
- "Time over `{base}`": the median over the rounds in which both were measured.
- Memory: the peak of the process, minus what it had before the network was built.
- `mvit_v2_s` and `videomae_small` fix their positions, so they are built for the size of the clips.
  `videomae_small` is ViT-S: 12 layers of width 384, 6 heads, patches of 2 x 16 x 16.
"""


def page(found, source="benchmarks/results/peers.json", to="docs/peers.md"):
    """Return the page of a file of figures, as Markdown, to be written to the path `to`."""
    parts = [START.format(source=source, to=to), f"Measured on {machine(found['machine'])}.\n"]
    groups = {}
    for name, cell in found["cells"].items():
        task, size, network = name.split(" ")
        groups.setdefault((size, task), {})[network] = cell
    for (size, task), cells in sorted(groups.items()):
        finished = {name: cell for name, cell in cells.items() if "error" in cell or "macs" in cell}
        if finished:
            title = f"{TITLES[task]}, {size.replace('x', ' x ')}"
            parts.append(f"## {title}\n\n{table(finished)}")
    if lines := unmeasured(found["cells"]):
        parts.append("## Unmeasured\n\n" + "\n".join(lines) + "\n")
    parts.append(METHOD.format(base=BASE))
    return "\n".join(parts)


def unmeasured(cells):
    """Return lines that say which networks lack figures, of those that are measured by default."""
    lines = []
    for size in SIZES:
        for task in TASKS:
            found = (cells.get(f"{task} {size} {name}", {}) for name in NETWORKS)
            pairs = zip(NETWORKS, found, strict=True)
            names = [f"`{n}`" for n, cell in pairs if "error" not in cell and "macs" not in cell]
            if names:
                all_of_them = len(names) == len(NETWORKS)
                which = "all networks" if all_of_them else ", ".join(names)
                lines.append(f"- {TITLES[task]}, {size.replace('x', ' x ')}: {which}")
    return lines


def machine(said):
    """Return the machine, versions, settings and the note, in a sentence."""
    libraries = ("python", "torch", "torchvision", "transformers", "keras")
    versions = ", ".join(f"{name} {said[name]}" for name in libraries if said.get(name))
    threads = f"{said['threads']} thread{'s' * (said['threads'] > 1)}"
    clips = f"{said['batch']} clip{'s' * (said['batch'] > 1)} at a time"
    note = f". {said['note'].rstrip('.')}" if said.get("note") else ""
    return f"{said['machine']}, {threads}, {clips}; {versions}{note}"


def table(cells):
    """Return Markdown table of {network: cell}."""
    lines = [
        f"| network | parameters, M | GMACs | seconds | time over `{BASE}` | rate | memory, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, cell in cells.items():
        if "error" in cell:
            lines.append(
                f"| `{name}` | | | not measured: {cell['error'].replace('|', '/')} | | | |"
            )
            continue
        columns = (
            f"`{name}`",
            f"{cell['parameters'] / 1e6:.1f}",
            f"{cell['macs'] / 1e9:.1f}",
            spread(cell["seconds"]),
            over_base(cell, cells.get(BASE)),
            spread(rates(cell)),
            f"{cell['bytes'] / 2**20:.0f}",
        )
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def rates(cell):
    """Return the rate of each round over that of the matrix product next to it."""
    pairs = zip(cell["seconds"], cell["product"], strict=True)
    return [cell["macs"] / seconds / product for seconds, product in pairs]


def over_base(cell, base):
    """Return the median of the time over that of the base in the same turn, as text."""
    if base is None or "error" in base:
        return ""
    there = dict(zip(base["turns"], base["seconds"], strict=True))
    ratios = [
        seconds / there[turn]
        for turn, seconds in zip(cell["turns"], cell["seconds"], strict=True)
        if turn in there
    ]
    return f"{statistics.median(ratios):.2f}" if ratios else ""
