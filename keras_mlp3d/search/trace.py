"""The scores of a search in a file, each written at once."""

import itertools
import json
import logging
import math
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.atomic_write import append, naming
from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import StrPath

_logger = logging.getLogger("keras_mlp3d")

_SAFE = "The scores before it are in the file: once there is space, the same search resumes."


class Trace:
    """A JSON-lines file of scores from which an interrupted search is resumed.

    The first line describes the search; the file of another search is refused. Every score is on
    the disk before the next one is made. A truncated last line is dropped.

    Args:
        path: The file; made with the first score, in an existing folder.
        identity: {name: JSON value} of everything that decides the scores.
        anew: Whether the file of another search is moved aside, to "...-before-1" and so on,
            instead of refused; or only if no names other than these differ in `identity`.

    Raises:
        ValueError: If the file is of another search (the error names the difference), or a line
            before the last one is damaged.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trace = Trace(f"{folder}/trace.jsonl", {"depth": 2})
    ...     trace.add(["shift_token:2", None], 7, 0.5, block=0)
    ...     Trace(f"{folder}/trace.jsonl", {"depth": 2}).get(["shift_token:2", None], 7)
    0.5
    """

    def __init__(
        self, path: StrPath, identity: Mapping[str, Any], anew: bool | Collection[str] = False
    ):
        self.path = pathlib.Path(path)
        self._identity = json.loads(json.dumps(identity, allow_nan=False))
        self._values: dict[Any, float] = {}
        self._right: dict[Any, np.ndarray] = {}
        if self.path.exists():
            self._read(anew)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, choices: Sequence[str | None], seed: int) -> float | None:
        """Return a score, or None if there is none yet.

        Args:
            choices: A text per block, None for an undecided block.
            seed: Seed with which undecided blocks are sampled.
        """
        return self._values.get(_key(choices, seed))

    def right(self, choices: Sequence[str | None], seed: int) -> np.ndarray | None:
        """Return which clips were right, a bool each, or None if the trace does not say.

        Args:
            choices: A text per block, None for an undecided block.
            seed: Seed with which undecided blocks are sampled.
        """
        return self._right.get(_key(choices, seed))

    def add(
        self,
        choices: Sequence[str | None],
        seed: int,
        value: float,
        right: np.ndarray | None = None,
        **notes: Any,
    ) -> None:
        """Append a score. It is on the disk when this returns.

        Args:
            choices: A text per block, None for an undecided block.
            seed: Seed with which undecided blocks are sampled.
            value: The score, a finite number.
            right: None, or a bool per clip: whether its class was right.
            **notes: Further values of the line, for the reader.

        Raises:
            OSError: If it cannot be written. The scores before it stay in the file.
        """
        lines = [] if self.path.exists() else [{"search": self._identity}]
        line = {**notes, "choices": list(choices), "seed": seed, "value": float(value)}
        if right is not None:
            line |= {"clips": len(right), "right": np.packbits(right).tobytes().hex()}
        lines.append(line)
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        append(self.path, text.encode(), sync=True, safe=_SAFE)
        self._values[_key(choices, seed)] = float(value)
        if right is not None:
            self._right[_key(choices, seed)] = np.asarray(right, bool)

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
                f"{self.path} is the trace of another search: {difference}. Use another folder, "
                "or start from scratch in this one (--anew on the command line, anew=True in "
                "Python), which keeps this trace under another name."
            )
        for number, line in enumerate(lines[1:], start=2):
            value, choices = line.get("value"), line.get("choices")
            whole_line = isinstance(value, float) and isinstance(choices, list)
            if not whole_line or not math.isfinite(value):
                raise ValueError(f"{self.path}, line {number}, is damaged: it has no score.")
            key = _key(choices, line.get("seed"))
            self._values[key] = value
            if "right" in line:
                self._right[key] = self._unpacked(number, line)
        if not lines:
            self.path.unlink()
        elif whole < len(content):
            _logger.warning("%s: the last line is truncated and was dropped", self.path)
            with naming(self.path), open(self.path, "r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())

    def _parsed(self, number, line):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path}, line {number}, is damaged: {error}.") from error
        if not isinstance(content, dict):
            raise ValueError(f"{self.path}, line {number}, is damaged: it is not a JSON object.")
        return content

    def _unpacked(self, number, line):
        try:
            packed = np.frombuffer(bytes.fromhex(line["right"]), "uint8")
            clips = check_integer("clips", line.get("clips"), maximum=8 * len(packed))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}, line {number}, is damaged: {error}.") from error
        if len(packed) != -(-clips // 8):
            raise ValueError(f"{self.path}, line {number}, is damaged: clips are missing.")
        return np.unpackbits(packed, count=clips).astype(bool)

    def _differing(self, before):
        """Return the names of what differs from the search in a trace's first line."""
        if not isinstance(before, dict):
            raise ValueError(
                f"{self.path} is not the trace of a search: its first line describes none."
            )
        now = self._identity
        names = [*now, *(name for name in before if name not in now)]
        return [name for name in names if before.get(name) != now.get(name)]

    def _set_aside(self):
        numbers = itertools.count(1)
        names = (f"{self.path.stem}-before-{number}{self.path.suffix}" for number in numbers)
        os.replace(self.path, next(p for p in map(self.path.with_name, names) if not p.exists()))


def _key(choices, seed):
    return json.dumps([*choices, seed])
