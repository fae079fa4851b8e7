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
        kept: Names of the tests that stand for them on every backend, and of their cases, with the
            parameters in brackets.
        tests: Their names; a name with parameters in brackets is that case alone, and one without
            them every case that is not kept.
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
    if heavy is None or name in heavy.kept:
        return is_whole(path)
    return name in heavy.tests or name.split("[")[0] in heavy.tests


def missing(path, names):
    """Return the kept tests of a file, relative to `tests`, that are not among its `names`."""
    known = {*names, *(name.split("[")[0] for name in names)}
    return [name for name in (FILES[path].kept if path in FILES else ()) if name not in known]
