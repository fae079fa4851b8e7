"""What runs on PyTorch alone, and what runs on every backend in its place.

The whole suite on one backend, and on the others what a backend can change: every layer against its
twin, golden values, networks, what is saved, compiled, distributed and exported, a training that is
killed, a search. What is done around these (files, folders, arguments, signals, text) does not know
the backend. On TensorFlow one small training costs half a minute of processor time, nearly all of
it for making the graph, and on JAX as much for compiling; on PyTorch it costs three seconds.
"""

import dataclasses
import json
import pathlib


@dataclasses.dataclass(frozen=True)
class Alone:
    """A file, or a folder, that runs on PyTorch alone.

    Args:
        reason: What it tests that no backend can change.
        instead: File that every backend runs, and in which the same code meets the backend.
    """

    reason: str
    instead: str


@dataclasses.dataclass(frozen=True)
class Heavy:
    """The tests of a file that run on PyTorch alone.

    Args:
        reason: What they test that no backend can change.
        kept: Names of the tests that stand for them on every backend.
        tests: Their names; a name with a parameter in brackets is that case alone.
    """

    reason: str
    kept: tuple[str, ...]
    tests: tuple[str, ...]


_LISTS = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

#: {file or folder under `tests`: why, and what stands for it}.
WHOLE = {path: Alone(**values) for path, values in _LISTS["files"].items()}

#: {file under `tests`: its heavy tests}.
FILES = {
    path: Heavy(values["reason"], tuple(values["kept"]), tuple(values["tests"]))
    for path, values in _LISTS["tests"].items()
}


def is_whole(path):
    """Whether a file, relative to `tests`, runs on PyTorch alone, by itself or with its folder."""
    return any(path == listed or path.startswith(f"{listed}/") for listed in WHOLE)


def is_heavy(path, name):
    """Whether the test `name` of a file, relative to `tests`, runs on PyTorch alone."""
    heavy = FILES.get(path)
    listed = heavy is not None and (name in heavy.tests or name.split("[")[0] in heavy.tests)
    return listed or is_whole(path)
