"""Every public function, method, property and constructor says the types of all that it takes.

Public is what a package's `__all__` names, and what a public class inherits from our own classes.
`public_surface.py` is a user's program over the same names; `make lint` has mypy check it.
"""

import functools
import importlib
import inspect
import pathlib
import types

import pytest

import keras_mlp3d

PACKAGE = pathlib.Path(keras_mlp3d.__file__).resolve().parent
#: The command line names nothing for programs.
PACKAGES = [
    "",
    *sorted(
        path.parent.name
        for path in PACKAGE.glob("*/__init__.py")
        if path.parent.name != "cli" and not path.parent.name.startswith("_")
    ),
]
_PACKAGE_NAMES = {f"{keras_mlp3d.__name__}.{name}" for name in PACKAGES}
#: Methods that are called without being named.
UNNAMED = {"__call__", "__enter__", "__exit__", "__getitem__", "__iter__", "__len__", "__next__"}


def public_things(module, prefix):
    """(name, class or function) of all that a module's `__all__` names, in modules too."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value)):
            yield f"{prefix}{name}", value
        elif inspect.ismodule(value) and value.__name__ not in _PACKAGE_NAMES:
            yield from public_things(value, f"{prefix}{name}.")


def functions_of(name, value, own):
    """(name, function) of a function, or of a class's constructor, methods and properties."""
    if not inspect.isclass(value):
        yield name, value
        return
    seen = set()
    for owner in value.__mro__:
        for attribute, member in vars(owner).items() if own(owner) else ():
            public = not attribute.startswith("_") or attribute in {"__init__", *UNNAMED}
            if not public or attribute in seen:
                continue
            seen.add(attribute)
            for function in _functions(member):
                yield f"{name}.{attribute}", function


def _functions(member):
    if isinstance(member, property):
        return [f for f in (member.fget, member.fset) if f is not None]
    if isinstance(member, functools.cached_property):
        return [member.func]
    member = getattr(member, "__func__", member)  # of a class method or a static method
    inner = inspect.unwrap(member)
    # A wrapper around a method of Keras has the signature of Keras.
    ours = isinstance(inner, types.FunctionType) and not inner.__module__.startswith("keras.")
    return [member] if ours else []


def missing(function):
    """Names of the parameters without a type, and "return" where that is missing."""
    signature = inspect.signature(inspect.unwrap(function))
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    found = [p.name for p in parameters if p.annotation is p.empty]
    # As for mypy, a constructor that has typed parameters returns None without saying so.
    said = function.__name__ == "__init__" and len(found) < len(parameters)
    if signature.return_annotation is signature.empty and not said:
        found.append("return")
    return found


def missing_in(module, own):
    """One line for each public function of a module that lacks a type."""
    prefix = f"{module.__name__.rpartition('.')[2]}."
    return [
        f"{name}: {', '.join(missing(function))}"
        for thing, value in public_things(module, prefix)
        for name, function in functions_of(thing, value, own)
        if missing(function)
    ]


def _is_ours(cls):
    return cls.__module__.split(".")[0] == keras_mlp3d.__name__


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_annotated(package):
    module = importlib.import_module(f"keras_mlp3d.{package}".rstrip("."))
    lines = missing_in(module, _is_ours)
    assert not lines, f"{len(lines)} lack a type:\n" + "\n".join(lines)


def test_missing_types_are_seen_wherever_they_are():
    """The test of the test: a module with each kind of fault, and with none."""
    module = types.ModuleType("sample")
    exec(
        """
import functools
__all__ = ["f", "wrapped", "Base", "A", "B", "inner"]
def f(a: int, b, *args: int, c=0, **kwargs) -> int: ...
@functools.lru_cache
def wrapped(a) -> int: ...
class Base:
    def __init__(self): ...
    def inherited(self, x: int): ...
class A(Base):
    def __init__(self, x: int): ...
    @property
    def p(self): ...
    @functools.cached_property
    def q(self): ...
    @classmethod
    def make(cls, y) -> "A": ...
    @staticmethod
    def s(z): ...
    def _private(self, x): ...
    def __len__(self): ...
class B:
    def __init__(self, x: int) -> None: ...
    def m(self, *, y: str = "") -> None: ...
import types
inner = types.ModuleType("inner")
inner.__all__ = ["g"]
def g(x): ...
inner.g = g
""",
        vars(module),
    )
    assert missing_in(module, lambda cls: cls is not object) == [
        "sample.f: b, c, kwargs",
        "sample.wrapped: a",
        "sample.Base.__init__: return",
        "sample.Base.inherited: return",
        "sample.A.p: return",
        "sample.A.q: return",
        "sample.A.make: y",
        "sample.A.s: z, return",
        "sample.A.__len__: return",
        "sample.A.inherited: return",
        "sample.inner.g: x, return",
    ]
