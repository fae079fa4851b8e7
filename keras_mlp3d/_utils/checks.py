"""Checks of arguments, with one wording: what was expected, then what came."""

import math
import operator
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any


def check_integer(name: str, value: Any, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an `int` if it is an integer in a range.

    NumPy integers are integers; booleans and floats are not.

    Args:
        name: Name of the argument, for the message.
        value: What the caller passed.
        minimum: Smallest value allowed. 1 is worded as "a positive integer".
        maximum: Largest value allowed, or None.

    Raises:
        ValueError: If `value` is no integer or out of range.

    Example:

    >>> check_integer("batch_size", 8)
    8
    >>> check_integer("batch_size", 0)
    Traceback (most recent call last):
    ...
    ValueError: batch_size must be a positive integer, got 0.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < minimum or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {_integer_range(minimum, maximum)}, got {value!r}.")
    return number


def check_integers(name: str, value: Any, length: int, minimum: int = 1) -> tuple[int, ...]:
    """Return `value` as a tuple if it is `length` integers of at least `minimum`.

    Raises:
        ValueError: If it is anything else.

    Example:

    >>> check_integers("strides", [4, 4, 4], length=3)
    (4, 4, 4)
    """
    try:
        if is_no_list(value):
            raise ValueError
        values = tuple(check_integer(name, item, minimum) for item in value)
    except (TypeError, ValueError):
        values = ()
    if len(values) != length:
        least = "positive integers" if minimum == 1 else f"integers of at least {minimum}"
        raise ValueError(f"{name} must be {length} {least}, got {value!r}.")
    return values


def check_number(
    name: str,
    value: Any,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return `value` if it is a finite number in a range.

    Args:
        name: Name of the argument, for the message.
        value: What the caller passed; booleans are no numbers.
        minimum: Smallest value allowed, or None.
        maximum: Largest value allowed, or None.
        above: Value that it must exceed, or None.
        below: Value that it must stay under, or None.

    Raises:
        ValueError: If `value` is no finite number or out of range.

    Example:

    >>> check_number("rate", 0.5, minimum=0, below=1)
    0.5
    >>> check_number("rate", 1, minimum=0, below=1)
    Traceback (most recent call last):
    ...
    ValueError: rate must be a number of at least 0 and below 1, got 1.
    """
    try:
        number = not isinstance(value, bool | str | bytes) and math.isfinite(value)
    except (TypeError, OverflowError):
        number = False
    outside = number and (
        (minimum is not None and value < minimum)
        or (maximum is not None and value > maximum)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    )
    if not number or outside:
        bounds = [
            f"{word} {bound}"
            for word, bound in (
                ("of at least", minimum),
                ("above", above),
                ("of at most", maximum),
                ("below", below),
            )
            if bound is not None
        ]
        expected = " ".join(["a number", " and ".join(bounds)]).strip()
        raise ValueError(f"{name} must be {expected}, got {value!r}.")
    return value


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`.

    Raises:
        ValueError: If it is none of them.

    Example:

    >>> check_choice("crop", "left", ["center", "random"])
    Traceback (most recent call last):
    ...
    ValueError: crop must be one of 'center', 'random', got 'left'.
    """
    known: Collection[Any] = tuple(choices)
    if not any(type(value) is type(choice) and value == choice for choice in known):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}.")
    return value


def is_no_list(value: Any) -> bool:
    """Return whether items of a value would be no list's: of text, or in the order of a set.

    A dictionary has an order, but rarely the one that its values tell.

    Example:

    >>> is_no_list("run"), is_no_list({"run", "jump"}), is_no_list({"run": 1, "jump": 0})
    (True, True, True)
    >>> is_no_list(["run", "jump"])
    False
    """
    return isinstance(value, str | bytes | Set | Mapping)


def check_boolean(name: str, value: Any) -> bool:
    """Return `value` if it is True or False.

    Raises:
        ValueError: If it is anything else.

    Example:

    >>> check_boolean("share_weights", 1)
    Traceback (most recent call last):
    ...
    ValueError: share_weights must be True or False, got 1.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return value


def _integer_range(minimum: int, maximum: int | None) -> str:
    if maximum is not None:
        return f"an integer from {minimum} to {maximum}"
    return "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
