"""Kinds of rules for single values: `allows(value)` tests a value, `words` says what is allowed."""

import dataclasses
import math
from typing import Any, Protocol

from keras_mlp3d._utils.printable import shortened


class Rule(Protocol):
    """What every rule has."""

    def allows(self, value: Any) -> bool: ...

    @property
    def words(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Whole:
    """An integer that is a multiple of `multiple`."""

    least: int
    most: int
    multiple: int = 1

    def allows(self, value: Any) -> bool:
        return (
            type(value) is int and self.least <= value <= self.most and value % self.multiple == 0
        )

    @property
    def words(self) -> str:
        kind = "an integer" if self.multiple == 1 else f"a multiple of {self.multiple}"
        return f"{kind} from {self.least} to {self.most}"


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number. With `above`, `least` itself is excluded."""

    least: float
    most: float
    above: bool = False

    def allows(self, value: Any) -> bool:
        if type(value) is not float or not math.isfinite(value):
            return False
        return (self.least < value if self.above else self.least <= value) and value <= self.most

    @property
    def words(self) -> str:
        if self.above:
            return f"a number above {self.least:g} and at most {self.most:g}"
        return f"a number from {self.least:g} to {self.most:g}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of several texts."""

    choices: tuple[str, ...]

    def allows(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.choices

    @property
    def words(self) -> str:
        return f"one of {', '.join(map(repr, self.choices))}"


@dataclasses.dataclass(frozen=True)
class Text:
    """A text of at most `most` characters."""

    most: int
    may_be_empty: bool = False

    def allows(self, value: Any) -> bool:
        if not isinstance(value, str) or len(value) > self.most:
            return False
        return self.may_be_empty or bool(value.strip())

    @property
    def words(self) -> str:
        return f"a text of at most {self.most} characters"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false."""

    words = "true or false"

    def allows(self, value: Any) -> bool:
        return type(value) is bool


@dataclasses.dataclass(frozen=True)
class Several:
    """So many values with one rule."""

    length: int
    each: Rule
    names: str

    def allows(self, value: Any) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == self.length
            and all(map(self.each.allows, value))
        )

    @property
    def words(self) -> str:
        return f"{self.names}, each {self.each.words}"


@dataclasses.dataclass(frozen=True)
class OrNone:
    """What another rule allows, or null."""

    rule: Rule

    def allows(self, value: Any) -> bool:
        return value is None or self.rule.allows(value)

    @property
    def words(self) -> str:
        return f"{self.rule.words}, or null"


def shown(value: Any) -> str:
    """Return a value for an error message: on one line, and shortened."""
    try:
        return shortened(repr(value))
    except (ValueError, RecursionError):  # thousands of digits, or nested too deeply
        return f"a {type(value).__name__} that is too large to show"
