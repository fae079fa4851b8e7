"""Presets on the Hugging Face Hub: checked downloads into the local cache of the Hub.

`huggingface_hub` does the transfers and keeps the cache. It does not compare what arrives over
plain HTTP with the checksum that the Hub states, nor what lies in its cache with anything: this
file does, at every load.
"""

import logging
import os
import pathlib
import re

from keras_mlp3d.hub.address import HubAddress, parse_hub_uri
from keras_mlp3d.hub.client import (
    HubError,
    HubUnreachableError,
    explained,
    hash_file,
    hub_api,
    list_files,
)
from keras_mlp3d.hub.upload import upload_preset

__all__ = [
    "HubAddress",
    "HubError",
    "HubUnreachableError",
    "download_preset",
    "parse_hub_uri",
    "upload_preset",
]

MAX_BYTES = 8 * 2**30

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_logger = logging.getLogger(__name__)


def download_preset(uri, filenames, *, max_bytes=MAX_BYTES):
    """Brings files of a preset into the local cache of the Hub and checks every one of them.

    Files already cached are not asked for again, only the list of files is; with `HF_HUB_OFFLINE=1`
    or without a network the cache alone answers. A transfer that breaks off resumes where it
    stopped. Each file's size and content are then compared with what the Hub states (SHA-256, or
    the Git blob hash of small files), also when the file comes from the cache; a damaged file is
    removed from the cache.

    Without a network, the stated hash is the one in the cache. A cache on a system without symbolic
    links keeps none: there, files taken offline are not compared.

    Args:
        uri: str, `hf://user/repo[@revision]`.
        filenames: dict, file name to bool: whether the preset must have it. Without a network an
            optional file that was never cached counts as missing.
        max_bytes: int, the most that the files may take together, in bytes.

    Returns:
        A `pathlib.Path`: the folder that holds the files, all of one commit. Do not write to it.

    Raises:
        ValueError: the address or a file name is not of the safe form.
        HubError: no such repository, revision or file, no access, no network, too large, damaged.

    Example:

    >>> try:
    ...     download_preset("hf://someone/mlp3d", {"../config.json": True})
    ... except ValueError as error:
    ...     print(error)
    A file of a preset has a plain name such as 'config.json'; got '../config.json'.
    """
    address = parse_hub_uri(uri)
    for name in filenames:
        if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
            raise ValueError(
                f"A file of a preset has a plain name such as 'config.json'; got {name!r}."
            )
    if not any(filenames.values()):
        raise ValueError(
            f"`filenames` must mark at least one file of {address} as required; got {filenames!r}."
        )
    # The branch may move between the list and the files; the files must be of the listed commit.
    for _ in range(3):
        try:
            commit, stated = list_files(address)
        except HubUnreachableError as error:
            return _from_cache(address, filenames, error)
        wanted = _choose(address, filenames, stated, max_bytes)
        paths = _fetch(address, commit, wanted)
        if paths is not None:
            for name, path in paths.items():
                _verify(address, path, *stated[name])
            return path.parent
    raise HubError(f"{address} changed while it was being downloaded: try again.")


def _choose(address, filenames, stated, max_bytes):
    """Returns the names to download, refusing a preset that lacks one or is too large."""
    for name, required in filenames.items():
        if required and name not in stated:
            raise HubError(
                f"{address} has no file {name!r}: it holds no such preset of keras_mlp3d, or lacks "
                f"its weights. It has: {', '.join(sorted(stated)[:20]) or 'no files'}."
            )
    wanted = [name for name in filenames if name in stated]
    for name in wanted:
        size, checksum = stated[name]
        if not isinstance(size, int) or not _CHECKSUM.fullmatch(str(checksum)):
            raise HubError(
                f"The Hub must state the size and checksum of {name!r} of {address}; got "
                f"{stated[name]}."
            )
    total = sum(stated[name][0] for name in wanted)
    if total > max_bytes:
        raise HubError(
            f"The files of {address} take {total:,} bytes, and at most {max_bytes:,} are allowed: "
            f"raise `max_bytes` if that is what you expect."
        )
    return wanted


def _fetch(address, commit, names):
    """Returns {name: path in the cache}, or None where the branch no longer points to `commit`."""
    paths = {}
    for name in names:
        # The first file is asked for by branch, so that the cache learns which commit it means.
        revision = commit if paths else address.revision
        with explained(address, f"downloading {name!r}"):
            path = hub_api().hf_hub_download(address.repo_id, name, revision=revision)
        paths[name] = pathlib.Path(path)
        if paths[name].parent.name != commit:
            return None
    return paths


def _from_cache(address, filenames, error):
    from huggingface_hub.errors import EntryNotFoundError

    paths = {}
    for name, required in filenames.items():
        try:
            path = hub_api().hf_hub_download(
                address.repo_id, name, revision=address.revision, local_files_only=True
            )
        except EntryNotFoundError:
            if required:
                raise HubError(
                    f"{error} The cache has no {name!r} of it: load it once with a network."
                ) from error.__cause__
        else:
            paths[name] = pathlib.Path(path)
    for path in paths.values():
        checksum = pathlib.Path(os.readlink(path)).name if path.is_symlink() else ""
        if _CHECKSUM.fullmatch(checksum):
            _verify(address, path, path.stat().st_size, checksum)
    _logger.info("%s The files come from the cache, %s.", error, path.parent)
    return path.parent


def _verify(address, path, size, checksum):
    """Compares a cached file with its stated size and checksum; removes it where they differ."""
    actual_size = path.stat().st_size
    expected, actual = f"{size} bytes", f"{actual_size} bytes"
    if actual_size == size:
        expected, actual = checksum, hash_file(path, git_blob=len(checksum) == 40)
    if expected == actual:
        return
    # snapshots/<commit>/<name> is a link to blobs/<checksum>, that one perhaps to a shared store.
    repository = path.parents[2]
    for copy in (path.resolve(), repository / "blobs" / checksum, path):
        if copy.is_relative_to(repository.parent):
            copy.unlink(missing_ok=True)
    raise HubError(
        f"{path.name!r} of {address} is damaged: expected {expected}, got {actual}. "
        f"It was removed from the cache: try again to download it anew."
    )
