"""Text that is safe to print, and JSON that any terminal shows and any file takes."""

import json
import unicodedata

import numpy as np
import pytest

from keras_mlp3d._utils.printable import (
    MAX_CLASS_NAME,
    is_printable,
    json_text,
    printable,
    printable_class_names,
)

ALL = list(map(chr, range(0x110000)))


def test_every_control_character_and_surrogate_is_escaped():
    for character in ALL:
        unsafe = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        bidi = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
        assert is_printable(character) != (unsafe or bidi), hex(ord(character))
    escaped = printable("".join(ALL))
    assert is_printable(escaped)
    escaped.encode()
    kept = [character for character in ALL if is_printable(character)]
    assert printable("".join(kept)) == "".join(kept)


def test_json_comes_back_and_is_safe():
    text = "".join(reversed(ALL))  # so that no two surrogates are a pair
    content = {text: [text, 1.5, None, True]}
    text = json_text(content)
    assert json.loads(text) == content
    assert is_printable(text.replace("\n", ""))
    text.encode()
    assert "Zoë" in json_text(["Zoë"])


def test_json_of_numpy_and_paths(tmp_path):
    content = {"a": np.int64(3), "b": np.array([[1.5, 2.0]], "float32"), "c": tmp_path}
    assert json.loads(json_text(content)) == {"a": 3, "b": [[1.5, 2.0]], "c": str(tmp_path)}
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        json_text([object()])
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text([float("nan")])


def test_class_names():
    assert printable_class_names(None) is None
    names = ["x" * (MAX_CLASS_NAME + index) for index in range(3)]
    printed = printable_class_names([*names, *names, "\x1b", "ok", 1, "1"])
    assert printed[0] == names[0]
    assert printed[6:] == ["\\x1b", "ok", "1", "1 (9)"]
    assert len(set(printed)) == len(printed)
    assert max(map(len, printed)) <= MAX_CLASS_NAME
    assert printable_class_names(printed) == printed
    accents = ["\u00e9\ud800", "e\u0301\ud800", "caf\u00e9", "cafe\u0301"]  # é in both forms
    printed = printable_class_names(accents)
    assert printed == ["\u00e9\\ud800", "\u00e9\\ud800 (1)", "caf\u00e9", "caf\u00e9 (3)"]
