"""The lists of what runs once: they name tests that exist, and a wrong entry is found."""

import ast
import pathlib

import backend_free
import conftest
import full_on_torch
import keras
import pytest

TESTS = pathlib.Path(__file__).parent


def functions_in(path):
    """Names of the test functions of a file, and of those in its classes."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    inside = [node for part in tree.body if isinstance(part, ast.ClassDef) for node in part.body]
    return {node.name for node in [*tree.body, *inside] if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "path",
    [
        *backend_free.PATHS,
        *backend_free.EXCEPT,
        *conftest.QUICK,
        *conftest.LONGEST,
        *full_on_torch.WHOLE,
    ],
)
def test_what_is_listed_exists(path):
    assert (TESTS / path).exists()


@pytest.mark.parametrize("path", full_on_torch.FILES)
def test_heavy_tests_exist_and_leave_one_to_every_backend(path):
    heavy, found = full_on_torch.FILES[path], functions_in(path)
    assert heavy.reason
    assert heavy.kept
    for name in (*heavy.kept, *heavy.tests):
        assert name.split("[")[0] in found, name
    for name in heavy.kept:
        assert not full_on_torch.is_heavy(path, name), name
    for name in heavy.tests:
        assert full_on_torch.is_heavy(path, name)
    assert not backend_free.needs_no_backend(path)


@pytest.mark.parametrize("path", full_on_torch.WHOLE)
def test_a_file_of_pytorch_alone_names_one_that_every_backend_runs(path):
    alone = full_on_torch.WHOLE[path]
    assert alone.reason
    assert functions_in(alone.instead)
    assert not full_on_torch.is_whole(alone.instead)
    assert not backend_free.needs_no_backend(alone.instead)
    assert not backend_free.needs_no_backend(path)
    assert path not in full_on_torch.FILES


@pytest.mark.parametrize("path", full_on_torch.FILES)
def test_a_new_test_runs_on_every_backend_unless_somebody_lists_it(path):
    assert not full_on_torch.is_heavy(path, "test_that_is_new")


def test_a_kept_case_that_does_not_exist_is_found():
    path, heavy = next(iter(full_on_torch.FILES.items()))
    names = [f"{name}[case]" if "[" not in name else name for name in heavy.kept]
    assert full_on_torch.missing(path, names) == []
    assert full_on_torch.missing(path, names[1:]) == [heavy.kept[0]]


def test_exceptions_are_in_a_listed_folder():
    for path in backend_free.EXCEPT:
        assert backend_free.is_listed(path, backend_free.PATHS)
        assert not backend_free.needs_no_backend(path)


USES = {
    "an operation": lambda: keras.ops.add(1, 2),
    "a conversion": lambda: keras.ops.convert_to_tensor([1.0]),
    "a variable": lambda: keras.Variable([1.0]),
    "weights": lambda: keras.layers.Dense(2).build((None, 3)),
    "a random number": lambda: keras.random.normal((2,)),
    "a network": lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    "a question": lambda: keras.backend.backend(),
    "a question to the configuration": lambda: keras.config.backend(),
}


@pytest.mark.parametrize("name", USES)
def test_a_use_of_the_backend_is_an_error(name):
    with backend_free.no_backend(), pytest.raises(backend_free.BackendUsed, match="backend_free"):
        USES[name]()


def test_the_guard_leaves_nothing_behind():
    before = {(owner, name): getattr(owner, name) for owner, name in backend_free._entrances()}
    with backend_free.no_backend():
        pass
    assert len(before) > 300
    for (owner, name), value in before.items():
        assert getattr(owner, name) is value, name


def test_a_guard_is_around_this_test():
    """The list is put to use: this file is in it."""
    with pytest.raises(backend_free.BackendUsed):
        keras.backend.backend()
