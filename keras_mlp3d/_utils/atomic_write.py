"""Files that are whole or not there."""

import os


def write_whole(path, content):
    """Writes a file beside and moves it to its place; if that fails, an earlier one stays.

    Args:
        path: `pathlib.Path` of the file.
        content: Bytes.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
