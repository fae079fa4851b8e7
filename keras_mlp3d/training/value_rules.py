"""Kinds of rules for single values: `allows(value)` is whether one will do, `words` what will."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number; `multiple` divides it."""

    least: int
    most: int
    multiple: int = 1

    def allows(self, value):
        return (
            type(value) is int and self.least <= value <= self.most and value % self.multiple == 0
        )

    @property
    def words(self):
        divides = f" that {self.multiple} divides" if self.multiple > 1 else ""
        return f"a whole number from {self.least} to {self.most}{divides}"


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number; with `above`, the least one is excluded."""

    least: float
    most: float
    above: bool = False

    def allows(self, value):
        if type(value) is not float or not math.isfinite(value):
            return False
        return (self.least < value if self.above else self.least <= value) and value <= self.most

    @property
    def words(self):
        if self.above:
            return f"a number above {self.least:g} and at most {self.most:g}"
        return f"a number from {self.least:g} to {self.most:g}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of some texts."""

    choices: tuple

    def allows(self, value):
        return isinstance(value, str) and value in self.choices

    @property
    def words(self):
        return f"one of {', '.join(map(repr, self.choices))}"


@dataclasses.dataclass(frozen=True)
class Text:
    """A text of at most so many characters."""

    most: int
    may_be_empty: bool = False

    def allows(self, value):
        if not isinstance(value, str) or len(value) > self.most:
            return False
        return self.may_be_empty or bool(value.strip())

    @property
    def words(self):
        return f"a text of at most {self.most} characters"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false."""

    words = "true or false"

    def allows(self, value):
        return type(value) is bool


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two values of one rule."""

    each: object
    names: str

    def allows(self, value):
        return isinstance(value, tuple) and len(value) == 2 and all(map(self.each.allows, value))

    @property
    def words(self):
        return f"{self.names}, each {self.each.words}"


@dataclasses.dataclass(frozen=True)
class OrNone:
    """A value of another rule, or null."""

    rule: object

    def allows(self, value):
        return value is None or self.rule.allows(value)

    @property
    def words(self):
        return f"{self.rule.words}, or null"


def shown(value):
    """Returns a value as an error shows it: on one line, and not at any length."""
    try:
        return shortened(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits, or too deep
        return f"a {type(value).__name__} that is too large to show"


def shortened(text, most=100):
    """Returns a text as an error shows it: of long ones the beginning."""
    return text if len(text) <= most else f"{text[: most - 40]} ... ({len(text)} characters)"
