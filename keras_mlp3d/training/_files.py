"""Small text files of a run."""

import csv
import io
import os


def write_beside(path, text):
    """Writes a text file beside and renames it when it is whole."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def history_csv(history):
    """Returns a history as CSV, a row an epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, row in enumerate(zip(*history.values(), strict=True)):
        writer.writerow([epoch, *row])
    return text.getvalue()
