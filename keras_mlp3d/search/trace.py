"""The scores of a search in a file, each written as it is made."""

import itertools
import json
import logging
import math
import os
import pathlib

from keras_mlp3d._utils.atomic_write import append, naming

_logger = logging.getLogger("keras_mlp3d")

_SAFE = "The scores before it are in the file: with space on the disk, the same search resumes."


class Trace:
    """A JSON-lines file of scores that a killed search goes on from.

    The first line says what is searched; a file that says another thing is refused. Every score
    is on the disk before the next one is made. What a kill left of a last line is dropped.

    Args:
        path: The file; made with the first score, in a folder that exists.
        identity: {name: JSON value}: what decides the scores.
        anew: Whether a file of another search is moved aside, to "...-before-1" and so on, instead
            of being refused; or the names in `identity` that may differ for that.

    Raises:
        ValueError: If the file is of another search (the difference is named), or is damaged
            anywhere but in its last line.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trace = Trace(f"{folder}/trace.jsonl", {"depth": 2})
    ...     trace.add(["shift_token:2", None], 7, 0.5, block=0)
    ...     Trace(f"{folder}/trace.jsonl", {"depth": 2}).get(["shift_token:2", None], 7)
    0.5
    """

    def __init__(self, path, identity, anew=False):
        self.path = pathlib.Path(path)
        self._identity = json.loads(json.dumps(identity, allow_nan=False))
        self._values = {}
        if self.path.exists():
            self._read(anew)

    def __len__(self):
        return len(self._values)

    def get(self, choices, seed):
        """Returns a score, or None where there is none yet.

        Args:
            choices: One text for each block, None where it is undecided.
            seed: Seed of the draws of undecided blocks.
        """
        return self._values.get(_key(choices, seed))

    def add(self, choices, seed, value, **notes):
        """Appends a score; it is on the disk when this returns.

        Args:
            choices: One text for each block, None where it is undecided.
            seed: Seed of the draws of undecided blocks.
            value: The score, a finite number.
            **notes: Further values of the line, for the reader.

        Raises:
            OSError: If it cannot be written; the scores before it are still there.
        """
        lines = [] if self.path.exists() else [{"search": self._identity}]
        lines.append({**notes, "choices": list(choices), "seed": seed, "value": float(value)})
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        append(self.path, text.encode(), sync=True, safe=_SAFE)
        self._values[_key(choices, seed)] = float(value)

    def _read(self, anew):
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        lines = [self._parsed(*row) for row in enumerate(content[:whole].splitlines(), start=1)]
        names = self._differing(lines[0].get("search")) if lines else []
        if names and (anew is True or set(names) <= set(anew or ())):
            self._set_aside()
            return
        if names:
            before = lines[0]["search"]
            difference = "; ".join(
                f"{name} was {before.get(name)!r}, is {self._identity.get(name)!r}"
                for name in names
            )
            raise ValueError(
                f"{self.path} is the trace of another search: {difference}. Take another folder, "
                "or start anew in this one: --anew on the command line, anew=True in Python; this "
                "trace is then kept under another name."
            )
        for number, line in enumerate(lines[1:], start=2):
            value, choices = line.get("value"), line.get("choices")
            whole_line = isinstance(value, float) and isinstance(choices, list)
            if not whole_line or not math.isfinite(value):
                raise ValueError(f"{self.path}, line {number}, is damaged: it holds no score.")
            self._values[_key(choices, line.get("seed"))] = value
        if not lines:
            self.path.unlink()
        elif whole < len(content):
            _logger.warning("%s: the last line is cut short and was dropped", self.path)
            with naming(self.path), open(self.path, "r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())

    def _parsed(self, number, line):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path}, line {number}, is damaged: {error}.") from error
        if not isinstance(content, dict):
            raise ValueError(f"{self.path}, line {number}, is damaged: it is no JSON object.")
        return content

    def _differing(self, before):
        """The names of what differs from the search that a trace's first line names."""
        if not isinstance(before, dict):
            raise ValueError(f"{self.path} is no trace of a search: its first line says nothing.")
        now = self._identity
        names = [*now, *(name for name in before if name not in now)]
        return [name for name in names if before.get(name) != now.get(name)]

    def _set_aside(self):
        numbers = itertools.count(1)
        names = (f"{self.path.stem}-before-{number}{self.path.suffix}" for number in numbers)
        os.replace(self.path, next(p for p in map(self.path.with_name, names) if not p.exists()))


def _key(choices, seed):
    return json.dumps([*choices, seed])
