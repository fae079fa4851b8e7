"""Encodes and parses `tf.train.Example`, without TensorFlow or protobuf."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def encode_example(features: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the bytes of a `tf.train.Example`.

    Args:
        features: {name: list of bytes, of floats or of integers of at least 0}.

    Example:

    >>> parse_example(encode_example({"label": [300], "start": [0.5], "name": [b"a.mp4"]}))
    {'label': [300], 'start': [0.5], 'name': [b'a.mp4']}
    """
    entries = (
        _field(1, _field(1, key.encode()) + _field(2, _feature(values)))
        for key, values in features.items()
    )
    return _field(1, b"".join(entries))


def parse_example(data: bytes) -> dict[str, list[Any]]:
    """Return the features of a `tf.train.Example`: {name: list of bytes, floats or integers}.

    The size of `data` bounds the memory that is allocated, whatever it contains.

    Args:
        data: Bytes.

    Raises:
        ValueError: If they are no `tf.train.Example`.

    Example:

    >>> parse_example(b"no example")
    Traceback (most recent call last):
    ...
    ValueError: no tf.train.Example
    """
    try:
        return dict(_features(memoryview(data)))
    except (ValueError, TypeError, struct.error):
        raise ValueError("no tf.train.Example") from None


def _features(data):
    for features in _payloads(data, 1):
        for entry in _payloads(features, 1):
            (key,), (value,) = _payloads(entry, 1), _payloads(entry, 2)
            yield bytes(key).decode(), _values(value)


def _feature(values):
    if isinstance(values[0], bytes):
        return _field(_BYTES_LIST, b"".join(_field(1, value) for value in values))
    if isinstance(values[0], float):
        return _field(_FLOAT_LIST, _field(1, struct.pack(f"<{len(values)}f", *values)))
    return _field(_INT64_LIST, _field(1, b"".join(map(_varint, values))))


def _field(number, payload):
    return bytes([number << 3 | _BYTES]) + _varint(len(payload)) + payload


def _varint(value):
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _values(feature):
    values = []
    for kind, _, values_message in _fields(feature):
        for _, wire, value in _fields(values_message):
            if kind == _BYTES_LIST:
                values.append(bytes(value))
            elif kind == _FLOAT_LIST:
                values += struct.unpack(f"<{len(value) // 4}f", value)
            elif wire == _VARINT:
                values.append(value)
            else:
                values += _varints(value)
    return values


def _payloads(message, number):
    return [
        payload for found, wire, payload in _fields(message) if (found, wire) == (number, _BYTES)
    ]


def _fields(message):
    """Yield `(number, wire type, value)` of each field of a message."""
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        wire = tag & 7
        if wire == _VARINT:
            value, place = _read_varint(message, place)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if wire == _BYTES:
                length, place = _read_varint(message, place)
            if length is None or length > len(message) - place:
                raise ValueError
            value, place = message[place : place + length], place + length
        yield tag >> 3, wire, value


def _varints(data):
    values, place = [], 0
    while place < len(data):
        value, place = _read_varint(data, place)
        values.append(value)
    return values


def _read_varint(data, place):
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError
