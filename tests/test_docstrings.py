"""Public docstrings have the headings that a reader looks for; test_examples.py runs examples.

Public is what a package's `__init__` names, and every public method and property of a public class.
"""

import ast
import importlib
import inspect
import pathlib
import textwrap

import keras
import pytest

import keras_mlp3d

PACKAGE = pathlib.Path(keras_mlp3d.__file__).resolve().parent
#: The command line is for people who type it: it names nothing for programs.
ROOMS = sorted(
    path.parent.name
    for path in PACKAGE.glob("*/__init__.py")
    if path.parent.name != "cli" and not path.parent.name.startswith("_")
)
#: Methods of Keras's own interface: documented there, and overridden here without a change.
KERAS_METHODS = {"build", "call", "compute_output_shape", "from_config", "get_config"}
HEADINGS = ("Args", "Attributes", "Raises", "Input shape", "Output shape", "Example")


def public_objects():
    """{full name: class or function} of all rooms, each object once."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"keras_mlp3d.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(id(value), (f"{room}.{name}", value))
            elif inspect.ismodule(value):
                for inner in getattr(value, "__all__", ()):
                    item = getattr(value, inner)
                    if inspect.isclass(item) or inspect.isfunction(item):
                        found.setdefault(id(item), (f"{room}.{name}.{inner}", item))
    return dict(sorted(found.values(), key=lambda row: row[0]))


def public_methods():
    """{full name: (function, docstring)} of the public classes' own methods and properties."""
    found = {}
    for name, value in PUBLIC.items():
        for attribute, member in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(member, "__func__", member)
            function = function.fget if isinstance(function, property) else function
            if not inspect.isfunction(function) or attribute.startswith("_"):
                continue
            if not (issubclass(value, keras.layers.Layer) and attribute in KERAS_METHODS):
                # A method that overrides another may leave the docstring to it.
                docstring = inspect.getdoc(getattr(value, attribute))
                found[f"{name}.{attribute}"] = function, docstring
    return found


PUBLIC = public_objects()
METHODS = public_methods()


def sections_of(docstring):
    """The headings of a docstring, those that stand alone in a line and end in a colon."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    return {heading for heading in HEADINGS if any(_is_heading(line, heading) for line in lines)}


def _is_heading(line, heading):
    return line == f"{heading}:" or line.startswith(f"{heading}: ")


def arguments_of(function):
    """Names of the arguments that a caller gives, `self`, `cls` and `**kwargs` left out."""
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.name not in ("self", "cls") and parameter.kind is not parameter.VAR_KEYWORD
    ]


def raises(function):
    """Whether the function's own body raises an error."""
    if function.__code__.co_filename == "<string>":
        return False  # made by `dataclasses`: its `__post_init__` is looked at instead
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def missing_headings(value):
    sections = sections_of(value.__doc__)
    expected = {"Example"}
    if not inspect.isclass(value):
        expected |= {"Args"} if arguments_of(value) else set()
        expected |= {"Raises"} if raises(value) else set()
    elif issubclass(value, Exception):
        expected = set()
    else:
        own = vars(value).get("__init__")
        expected |= {"Args"} if own is not None and arguments_of(own) else set()
        checks = [
            vars(value)[name] for name in ("__init__", "__post_init__") if name in vars(value)
        ]
        expected |= {"Raises"} if any(map(raises, checks)) else set()
        if issubclass(value, keras.layers.Layer):
            expected |= {"Input shape", "Output shape"}
    return sorted(expected - sections)


def undocumented_arguments(function, docstring):
    """Arguments of a function that its docstring, where it has `Args`, does not name."""
    if "Args" not in sections_of(docstring):
        return []
    lines = [line.strip() for line in docstring.splitlines()]
    return [
        name
        for name in arguments_of(function)
        if not any(line.lstrip("*").startswith((f"{name}:", f"{name} (")) for line in lines)
    ]


def test_every_room_names_what_is_public():
    assert set(ROOMS) >= {"layers", "models", "cost", "conversion", "data", "hub"}
    for room in ROOMS:
        module = importlib.import_module(f"keras_mlp3d.{room}")
        assert module.__doc__, room
        assert list(module.__all__), room
        assert all(hasattr(module, name) for name in module.__all__), room
    assert all(hasattr(keras_mlp3d, name) for name in keras_mlp3d.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_docstring(name):
    value = PUBLIC[name]
    assert value.__doc__, f"{name} has no docstring"
    summary = inspect.cleandoc(value.__doc__).split("\n\n")[0]
    assert summary.rstrip().endswith((".", ":")), f"{name}: {summary!r}"
    assert not missing_headings(value), f"{name} lacks {missing_headings(value)}"
    called = value.__init__ if inspect.isclass(value) else value
    if inspect.isfunction(called):
        assert not undocumented_arguments(called, value.__doc__), name


@pytest.mark.parametrize("name", METHODS)
def test_public_method_docstring(name):
    method, docstring = METHODS[name]
    assert docstring, f"{name} has no docstring"
    assert not undocumented_arguments(method, docstring), name
    if raises(method):
        told = any(word in docstring.lower() for word in ("raise", "error", "refuse"))
        assert told, f"{name} does not say what it raises"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_file_says_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), path
