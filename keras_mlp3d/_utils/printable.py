"""Text from anywhere, made safe to print, to save and to load again."""

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

#: Longest class name that a network takes, and the most that a preset keeps of one.
MAX_CLASS_NAME = 1000

# Control characters, line and paragraph separators, controls of the writing direction, and lone
# surrogates. Joiners and marks that ordinary words and emoji need are not among them.
_WITHOUT_ASCII = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[\x00-\x1f{_WITHOUT_ASCII}]")
_UNSAFE_IN_JSON = re.compile(f"[{_WITHOUT_ASCII}]")


def one_line(text: object) -> str:
    """Return text as one line of printable characters.

    Each run of white space and of characters that cannot be printed, such as those that steer a
    terminal, becomes one space.

    Example:

    >>> one_line("run\\x1b[2J \\n fast")
    'run [2J fast'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def shortened(text: str, most: int = 100) -> str:
    """Return a text for an error message: the beginning of a long text.

    Example:

    >>> shortened("a" * 200, most=45)
    'aaaaa ... (200 characters)'
    """
    return text if len(text) <= most else f"{text[: most - 40]} ... ({len(text)} characters)"


def is_printable(text: str) -> bool:
    """Return whether `text` can be printed and encoded as it is.

    Example:

    >>> is_printable("Zoë"), is_printable("a\\nb")
    (True, False)
    """
    return _UNSAFE.search(text) is None


def printable(text: str) -> str:
    r"""Return `text` with each control character and lone surrogate written as its escape.

    Args:
        text: Any text.

    Example:

    >>> print(printable("red \x1b[31m, surrogate \ud800"))
    red \x1b[31m, surrogate \ud800
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_class_names(names: Sequence[Any] | None) -> list[str] | None:
    r"""Return class names that any network takes, as a preset saves and loads them.

    Most names stay as they are. A name that is no string becomes one; letters and their accents are
    composed (NFC); control characters and lone surrogates become their escapes, as in `printable`;
    a name of more than `MAX_CLASS_NAME` characters is truncated; a repeated name gets its index.

    Args:
        names: None, or one name per class.

    Example:

    >>> printable_class_names(["cat", "big\tdog", 3, "cat"])
    ['cat', 'big\\tdog', '3', 'cat (3)']
    """
    if names is None:
        return None
    printed: list[str] = []
    used = set()
    for index, name in enumerate(names):
        text = unicodedata.normalize("NFC", name if isinstance(name, str) else str(name))
        text = printable(text)
        if len(text) > MAX_CLASS_NAME:
            text = f"{text[: MAX_CLASS_NAME - 1]}…"
        if text in used:
            text = f"{text[: MAX_CLASS_NAME - 20]} ({index})"
        used.add(text)
        printed.append(text)
    return printed


def json_text(content: Any) -> str:
    r"""Return `content` as readable JSON that any terminal shows and any file takes.

    Args:
        content: Dict, list or other value that JSON knows. NumPy numbers and arrays become plain
            ones, paths become strings.

    Raises:
        TypeError: If it holds anything else.
        ValueError: If it holds a number that is not finite.

    Example:

    >>> json_text(["Zoë", "\ud800", np.float32(0.5)]).split()
    ['[', '"Zoë",', '"\\ud800",', '0.5', ']']
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=plain_value)
    # These characters stand inside strings only; JSON reads the escapes as the same characters.
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_value(value: Any) -> Any:
    """Return what stands in JSON for a value that JSON does not know, as `default` of `json.dumps`.

    Args:
        value: NumPy number or array, or a path.

    Raises:
        TypeError: If it is anything else.

    Example:

    >>> plain_value(np.array([1, 2]))
    [1, 2]
    """
    if hasattr(value, "tolist") and hasattr(value, "dtype"):  # a NumPy number or array
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
