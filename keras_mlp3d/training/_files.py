"""Small text files of a run, and the place of a run's files when another one begins."""

import csv
import io
import itertools
import os

#: What a run writes into its folder. Its description comes last: while it is there, the folder is
#: known as that run's.
_OF_A_RUN = (
    *("checkpoint-*.npz", "best.npz", "history.csv", "logs", "preset", "evaluation.json"),
    *("curves.png", "confusion.png", "wrong.png", "videos.json", "unreadable.csv"),
    "run.json",
)


def history_csv(history):
    """Returns a history as CSV, a row an epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, row in enumerate(zip(*history.values(), strict=True)):
        writer.writerow([epoch, *row])
    return text.getvalue()


def set_aside(folder):
    """Moves what a run wrote into a sub-folder `before-1`, `before-2` ...; other files stay.

    Returns the sub-folder.
    """
    numbers = itertools.count(1)
    aside = next(path for n in numbers if not (path := folder / f"before-{n}").exists())
    aside.mkdir()
    for pattern in _OF_A_RUN:
        for path in sorted(folder.glob(pattern)):
            os.replace(path, aside / path.name)
    return aside
