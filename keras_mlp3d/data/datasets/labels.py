"""Numbers the labels of a data set."""

import difflib
import itertools
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from keras_mlp3d.data.datasets.tables import checked_classes, composed, is_null

_logger = logging.getLogger("keras_mlp3d")
# With few digits: a wrong number must not make millions of classes. A table that had a gap stores
# integers as 2.0.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,5})(?:\.0+)?")


Place = TypeVar("Place")


def check_label_separator(separator: Any) -> None:
    """Raise a `ValueError` if a text cannot separate the labels in a cell.

    Args:
        separator: What the caller passed.
    """
    if not isinstance(separator, str) or not separator or re.search(r"[\w\"'\n\r]", separator):
        raise ValueError(
            "label_separator must be a text without letters, digits and quotes, such as '|', or "
            f"None for one label per video, got {separator!r}."
        )


def split_labels(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell; an empty cell holds none.

    Args:
        cell: Text of the cell.
        separator: What separates the labels.

    Raises:
        ValueError: If a label is empty, or is there twice. The message continues the place of the
            cell, such as "line 3".

    Example:

    >>> split_labels("run | turn left", "|"), split_labels(" ", "|")
    (['run', 'turn left'], [])
    """
    if not cell.strip():
        return []
    labels = [label.strip() for label in cell.split(separator)]
    if "" in labels:
        raise ValueError(
            f"has an empty label in {cell!r}, whose labels are separated by {separator!r}"
        )
    return check_labels(labels)


def check_labels(labels: list[str]) -> list[str]:
    """Return the labels of a video if none is there twice.

    Raises:
        ValueError: If one is. The message continues the place of the labels, such as "line 3".
    """
    names = [composed(label) for label in labels]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has the label {twice!r} twice")
    return labels


def is_list(value: Any) -> bool:
    """Return whether a field of a table in memory holds a list of labels."""
    return isinstance(value, (list, tuple, set, frozenset, np.ndarray))


def label_texts(value: Any, several: bool, separator: str | None) -> list[str]:
    """Return the labels of a video as text, from a field of a table in memory.

    Args:
        value: Class name, integer, or list of them.
        several: Whether videos may have several labels, or none.
        separator: What separates the labels in a text, or None if they come in lists.

    Raises:
        ValueError: If they are something else. The message continues the place of the field, such
            as "row 3".

    Example:

    >>> label_texts(2.0, False, None), label_texts("run|fast", True, "|")
    (['2'], ['run', 'fast'])
    """
    if not several:
        return [_one_label(value)]
    if is_list(value):
        return check_labels([_one_label(one) for one in value])
    text = _label_text(value)
    if text is None:
        return [_one_label(value)]  # raises what is wrong with it
    if separator is None and text:
        raise ValueError(f"has the label {value!r}, and other rows have lists of labels")
    return split_labels(text, separator or "|")


def _one_label(value):
    text = _label_text(value)
    if text is None:
        raise ValueError(f"has the label {value!r}; it must be a class name or an integer")
    if not text:
        raise ValueError("has no label")
    return text


def _label_text(value):
    """Return a label as text; "" if there is none, None if it is of another kind."""
    if is_null(value):
        return ""
    if isinstance(value, str):
        return value.strip()
    # In pandas, integers with gaps become floats.
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    return None


def indices_of(labels: list[str], label_of: dict[str, int]) -> tuple[int, ...]:
    """Return the classes of the labels of a video.

    Args:
        labels: The labels, as text.
        label_of: {text: class}, from `number_labels`.

    Raises:
        ValueError: If two labels are one class, such as a name and its number. The message
            continues the place of the labels, such as "line 3".
    """
    classes = tuple(label_of[label] for label in labels)
    if len(set(classes)) < len(classes):
        raise ValueError(f"has labels of the same class: {labels}")
    return classes


def number_labels(
    source: str,
    found: dict[str, Place],
    class_names: Sequence[str] | None,
    wrong: Callable[[Place, str], Exception],
    elsewhere: dict[str, Place] | None = None,
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the class of each label.

    Labels are names, or integers from 0 if all of them are, also as 2.0. Names have priority: with
    the classes ("1", "0"), the labels 0 and 0.0 are the second class. If one number is a name, all
    are.

    Args:
        source: Name of the data set in messages.
        found: {text of a label: its first place}, in order.
        class_names: None, or the names of the classes in the order of their labels.
        wrong: Function that takes the place of a label and what is wrong, and returns the error.
        elsewhere: Labels of other splits in the same table, like `found`. If `class_names` is None,
            they name classes too, except for numbers below 0, which say that there is no label.

    Returns:
        `({text: label}, class names)`.
    """
    texts = {}  # in Unicode's composed form: the same letters are one class
    for text, where in found.items():
        texts.setdefault(composed(text), where)
    if class_names is None:
        for text, where in (elsewhere or {}).items():
            if not (text.startswith("-") and _NUMBER.fullmatch(text)):
                texts.setdefault(composed(text), where)
    if class_names is not None:
        known = checked_classes(class_names)
        labels = _known_labels(source, texts, known, wrong)
        names = tuple(known)
    elif texts and all(_NUMBER.fullmatch(text) for text in texts):
        labels = _numbers(source, texts, wrong)
        names = tuple(map(str, range(max(labels.values()) + 1)))
    else:
        labels = {text: label for label, text in enumerate(sorted(texts))}
        names = tuple(labels)
    return {text: labels[composed(text)] for text in found}, names


def _known_labels(source, texts, known, wrong):
    numbers = {text: int(float(text)) for text in texts if _NUMBER.fullmatch(text)}
    # "2.0" is the class "2", unless there is a class "2.0".
    names = {text: text if text in known else str(numbers.get(text, text)) for text in texts}
    named = next((text for text in numbers if names[text] in known), None)
    labels = {}
    for text, where in texts.items():
        if names[text] in known:
            labels[text] = known[names[text]]
        elif named is None and 0 <= numbers.get(text, -1) < len(known):
            labels[text] = numbers[text]
        else:
            what = f"has the label {text!r}, which is none of the {len(known)} classes"
            close = difflib.get_close_matches(text, known, 1)
            if named is not None and text in numbers:
                what += f"; as the label {named!r} is the name of one, so must this one be"
            elif close:
                what += f"; there is the class {close[0]!r}"
            elif text in numbers:
                what += f"; labels that are numbers go from 0 to {len(known) - 1}"
            raise wrong(where, what)
    by_number = texts and len(numbers) == len(texts) and named is None
    if by_number and 0 not in labels.values():
        _logger.warning(
            "%s: labels that are numbers count from 0, and no video has the label 0, the class %r",
            source, next(iter(known)),
        )  # fmt: skip
    return labels


def _numbers(source, texts, wrong):
    labels = {text: int(float(text)) for text in texts}
    there = sorted({*labels.values()})
    if there[0] < 0:
        least = min(labels, key=labels.get)
        raise wrong(
            texts[least],
            f"has the label {least!r}, and labels that are numbers must be at least 0; leave out "
            "videos without a class",
        )
    if there[0] > 0:
        least = min(labels, key=labels.get)
        names = [str(number) for number in there]
        shown = ",".join(names if len(names) <= 4 else [*names[:2], "...", names[-1]])
        raise wrong(
            texts[least],
            f"has the label {least!r}, the least of the whole numbers {there[0]} to {there[-1]} "
            "that label the videos; they must start at 0. Number the classes from 0, or give "
            f"their names: class_names (--class-names), which are {shown} if these numbers are "
            "names",
        )
    lacking = there[-1] + 1 - len(there)
    if lacking:
        seen = set(there)
        gaps = itertools.islice((n for n in range(there[-1]) if n not in seen), 5)
        _logger.warning(
            "%s: of the classes 0 to %d, %d have no video, such as %s; class_names names the "
            "classes that there are",
            source, there[-1], lacking, ", ".join(map(str, gaps)),
        )  # fmt: skip
    return labels
