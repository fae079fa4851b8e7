"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pathlib

import keras
import numpy as np
import pytest

import keras_mlp3d

PACKAGE = pathlib.Path(keras_mlp3d.__file__).resolve().parent


def module_names():
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(part for part in parts if part != "__init__"))
    return names


def examples():
    """{full name: doctest} of every docstring with an example, in every file of the package."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    public = {name: getattr(keras_mlp3d, name) for name in keras_mlp3d.__all__}
    found = {}
    for name in module_names():
        module = importlib.import_module(name)
        namespace = {"np": np, "keras": keras, **public, **vars(module)}
        for test in finder.find(module, name, globs=namespace):
            if test.examples:
                found[test.name] = test
    return found


EXAMPLES = examples()
OF_LAYERS = [name for name in EXAMPLES if name.startswith("keras_mlp3d.layers")]
OTHERS = [name for name in EXAMPLES if name not in OF_LAYERS]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", OF_LAYERS)
def test_example_of_a_layer_runs(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize("name", OTHERS)
def test_example_runs(name, tmp_path):
    check(name, tmp_path)


def check(name, folder):
    written = []
    # A copy: a run clears the names of the test it is given.
    test = EXAMPLES[name]
    test = doctest.DocTest(
        test.examples, dict(test.globs), name, test.filename, test.lineno, test.docstring
    )
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL, verbose=False)
    results = runner.run(test, out=written.append)
    assert results.attempted == len(test.examples)
    assert not results.failed, "".join(written)
    assert not getattr(results, "skipped", 0), f"{name} skips an example"
    assert not list(folder.iterdir()), "an example leaves files behind"


def test_every_prompt_in_a_docstring_is_found():
    """No `>>>` stands where the finder does not look."""
    prompts = sum(
        line.lstrip().startswith(">>> ")
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert prompts == sum(len(test.examples) for test in EXAMPLES.values()) > 50
