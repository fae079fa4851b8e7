"""Detects truncated files, which FFmpeg reads without an error."""

import os

from keras_mlp3d._utils.types import StrPath

_MOST_BOXES = 10_000


def missing_bytes(path: StrPath) -> int:
    """Return how many bytes a file is shorter than its container says.

    It reads the outermost sizes of QuickTime and MP4, Matroska and WebM, and AVI files. The result
    is 0 if the file is complete, of another kind, or has no size in it.
    """
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        start = file.read(12)
        if start[:4] == b"\x1a\x45\xdf\xa3":
            promised = _matroska_end(file)
        elif start[:4] == b"RIFF" and start[8:] == b"AVI ":
            size = int.from_bytes(start[4:8], "little")
            promised = 8 + size if size != 0xFFFFFFFF else 0
        else:
            promised = _boxes_end(file, length)
    return max(promised - length, 0)


def _matroska_end(file):
    """Return the end of the segment, the last part of the file; 0 if its size is unknown."""
    file.seek(4)
    size = _vint(file)
    if size is None:
        return 0
    file.seek(size, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    size = _vint(file)
    return 0 if size is None else file.tell() + size


def _vint(file):
    """Read a size of EBML. Its leading zeros give the number of bytes; all ones mean unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] ^ (0x80 >> more)]) + file.read(more), "big")
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _boxes_end(file, length):
    """Return the end of the outermost box that extends past the end of the file, else 0."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        header = file.read(16)
        size, header_size = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, header_size = int.from_bytes(header[8:16], "big"), 16
        # A size of 0 means up to the end. The search ends at padding and at other kinds of data.
        if len(header) < header_size or size < header_size or not header[4:8].isalnum():
            return 0
        place += size
        if place > length:
            return place if header[4:8] in (b"mdat", b"moov", b"moof") else 0
    return 0
