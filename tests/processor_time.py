"""Processor time of each test: `TEST_COSTS=folder pytest -p processor_time ...` writes it there.

Processor time is user and system time of the process and of its children that have ended, so it
does not depend on what else the machine does. Every process writes a file with a row per test.
`python tests/processor_time.py folder` adds them up per file and prints what is most expensive.
"""

import collections
import os
import pathlib
import resource
import sys

import pytest


def processor_seconds():
    """User and system time of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _write(name, seconds):
    folder = os.environ.get("TEST_COSTS")
    if folder:
        path = pathlib.Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        with open(path / f"{os.getpid()}.tsv", "a", encoding="utf-8") as file:
            file.write(f"{seconds:.3f}\t{name}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Measures one test with the fixtures that it sets up first."""
    start = processor_seconds()
    result = yield
    _write(item.nodeid, processor_seconds() - start)
    return result


def pytest_collection_finish(session):
    """Everything before the first test: the imports of the backend and of the test files."""
    _write("(start and imports)", processor_seconds())


def main(folder):
    """Prints seconds per file, most expensive first, and the most expensive tests."""
    files, tests = collections.Counter(), collections.Counter()
    for path in sorted(pathlib.Path(folder).rglob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            seconds, name = line.split("\t", 1)
            files[name.split("::")[0]] += float(seconds)
            tests[name] += float(seconds)
    print(f"{sum(files.values()):9.1f} s in {len(tests)} rows")
    for title, counter, number in (("files", files, 60), ("tests", tests, 80)):
        print(f"-- {title}")
        for name, seconds in counter.most_common(number):
            print(f"{seconds:9.2f} {name}")


if __name__ == "__main__":
    main(sys.argv[1])
