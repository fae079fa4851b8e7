"""The two formats of results: one JSON object per line, or CSV."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

#: A longer row is no result, and is not read.
MAX_ROW_BYTES = 64 * 2**20


class JsonLines:
    """A JSON object per line."""

    def header(self, labels: int) -> bytes:
        return b""

    def records(self, file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """Yield `(record, whether it is whole)` of a file that is open for reading bytes."""
        while record := file.readline(MAX_ROW_BYTES + 1):
            yield record, record.endswith(b"\n")

    def is_torn(self, record: bytes, number: int) -> bool:
        """Return whether an incomplete record is the beginning of one of ours."""
        try:
            json.loads(record)
        except (ValueError, RecursionError):
            return number > 1 or record.startswith(b'{"path": "'[: len(record)])
        return False

    def decode(self, record: bytes, number: int) -> dict[str, Any]:
        """Return the row, or raise ValueError if it is none."""
        try:
            return _checked(json.loads(record))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def encode(self, row: dict[str, Any]) -> bytes:
        return json.dumps(row, allow_nan=False).encode("ascii") + b"\n"


class Table:
    """CSV with a column per label and per score; lists and settings are JSON in a column.

    Paths that are not UTF-8 are written as their bytes.
    """

    _FIRST, _LAST = ("path", "folder", "error"), ("frame_indices", "frame_times", "settings")

    def __init__(self) -> None:
        self._labels = 0

    def header(self, labels: int) -> bytes:
        self._labels = labels
        return _line(self._columns())

    def records(self, file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """Yield `(record, whether it is whole)`; a record may have line breaks within quotes."""
        record, quotes = b"", 0
        while line := file.readline(MAX_ROW_BYTES + 1):
            record, quotes = record + line, quotes + line.count(b'"')
            if len(record) > MAX_ROW_BYTES or (line.endswith(b"\n") and quotes % 2 == 0):
                yield record, True
                record, quotes = b"", 0
        if record:
            yield record, False

    def is_torn(self, record: bytes, number: int) -> bool:
        """Return whether an incomplete record is the beginning of one of ours."""
        most = record.count(b"label_") + 1
        headers = (_line(self._columns(labels)) for labels in range(1, most + 1))
        return number > 1 or any(header.startswith(record) for header in headers)

    def decode(self, record: bytes, number: int) -> dict[str, Any] | None:
        """Return the row, or None for the header, or raise ValueError if it is neither."""
        fields = _fields(record)
        if number == 1:
            self._labels = (len(fields) - len(self._FIRST) - len(self._LAST)) // 2
            if fields != self._columns():
                raise ValueError(f"it is not the header of a file of results: {fields[:6]}")
            return None
        if len(fields) != len(self._columns()):
            raise ValueError(f"it has {len(fields)} fields, and the header {len(self._columns())}")
        row = dict(zip(self._columns(), fields, strict=True))
        labels = [row[f"label_{k}"] for k in range(1, self._labels + 1)]
        scores = [row[f"score_{k}"] for k in range(1, self._labels + 1)]
        return _checked(
            {
                "path": row["path"],
                "folder": row["folder"] or None,
                "error": row["error"] or None,
                "labels": [] if row["error"] else labels,
                "scores": [float(score) for score in scores if score],
                **{name: json.loads(row[name] or "null") for name in self._LAST},
            }
        )

    def encode(self, row: dict[str, Any]) -> bytes:
        pairs = zip(row["labels"], row["scores"], strict=True)
        values = [value for pair in pairs for value in pair]
        values += [""] * (2 * self._labels - len(values))
        last = [None if row["error"] else row[name] for name in self._LAST[:2]]
        last = ["" if value is None else json.dumps(value) for value in last]
        settings = json.dumps(row["settings"])
        first = [row["path"], row["folder"] or "", row["error"] or ""]
        return _line([*first, *values, *last, settings])

    def _columns(self, labels: int | None = None) -> list[str]:
        labels = self._labels if labels is None else labels
        pairs = [f"{name}_{k}" for k in range(1, labels + 1) for name in ("label", "score")]
        return [*self._FIRST, *pairs, *self._LAST]


def _line(fields: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(fields)  # so that both are quoted in a field
    return text.getvalue()[:-2].encode("utf-8", "surrogateescape") + b"\n"


def _fields(record: bytes) -> list[str]:
    text = io.StringIO(record.decode("utf-8", "surrogateescape"), newline="")
    limit = csv.field_size_limit(MAX_ROW_BYTES)
    try:
        return next(csv.reader(text, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"it is no CSV ({error})") from None
    finally:
        csv.field_size_limit(limit)


def _checked(row: Any) -> dict[str, Any]:
    """Return the row if its values have the types of ours, or raise ValueError."""

    def is_list(value: Any, kind: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, kind) for item in value)

    if not isinstance(row, dict):
        raise ValueError("it is no JSON object")
    good = {
        "path": isinstance(row.get("path"), str),
        "folder": isinstance(row.get("folder", 0), str | None),
        "error": isinstance(row.get("error", 0), str | None),
        "labels": is_list(row.get("labels"), str),
        "scores": is_list(row.get("scores"), int | float),
        "settings": isinstance(row.get("settings"), dict) and bool(row["settings"]),
    }
    wrong = [name for name, is_good in good.items() if not is_good]
    if wrong:
        raise ValueError(f"{' and '.join(map(repr, wrong))} are missing or have another type")
    return row
