"""Presets on the Hugging Face Hub: checked downloads into the local cache of the Hub.

`huggingface_hub` does the transfers and keeps the cache. It does not compare what arrives over
plain HTTP with the checksum that the Hub states, and never checks the files in its cache again.
This module does both, at every load.
"""

import dataclasses
import hashlib
import logging
import os
import pathlib
import re
from collections.abc import Mapping

from keras_mlp3d.hub.client import (
    HubAddress,
    HubError,
    HubUnreachableError,
    explained,
    hub_api,
    list_files,
    parse_hub_uri,
)
from keras_mlp3d.hub.transfer_limits import limited

MAX_BYTES = 8 * 2**30
_MAX_ERROR_BYTES = 2**16

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Download:
    """Files of a preset in the local cache, all of one commit.

    Args:
        folder: Folder that holds them. Do not write to it.
        commit: The commit of the repository.
        sha256: {file name: SHA-256} of the files that were hashed to compare them.

    Example:

    >>> Download(pathlib.Path("snapshots/0a1b"), "0a1b", {}).commit
    '0a1b'
    """

    folder: pathlib.Path
    commit: str
    sha256: Mapping[str, str]


def download_preset(
    uri: str,
    filenames: Mapping[str, bool],
    *,
    commit: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Download:
    """Download files of a preset into the local cache of the Hub and check every one of them.

    Files already cached are not asked for again, only the list of files is. With
    `HF_HUB_OFFLINE=1` or without a network, only the cache is used. An interrupted transfer
    resumes. Each file's size and content are then compared with what the Hub states (SHA-256, or
    the Git blob hash of small files), also when the file comes from the cache. A damaged file is
    removed from the cache. If a mirror states no checksum for a file, a log message says so, and
    what it does state is compared: the size, and an ETag that is such a hash.

    A transfer ends with an error when it brings more bytes than stated, unpacked, or fewer than
    1 KiB per second for longer than a minute.

    Without a network, the stated hash is the one in the cache. A cache on a system without symbolic
    links keeps none: there, files taken offline are not compared.

    Args:
        uri: `hf://user/repo[@revision]`.
        filenames: {file name: whether the preset must have it}. Without a network, an optional
            file that was never cached counts as missing.
        commit: None for the newest of the revision, or the commit of an earlier `Download`, to get
            more files of the same preset.
        max_bytes: Largest size of the files together, in bytes.

    Returns:
        A `Download`.

    Raises:
        ValueError: If the address or a file name is not of the safe form.
        HubError: If there is no such repository, revision or file, no access or no network, or a
            file is too large, too slow or damaged.

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
            listed, stated = list_files(address, commit)
        except HubUnreachableError as error:
            return _from_cache(address, filenames, commit, error)
        wanted = _choose(address, filenames, stated, max_bytes)
        paths = _fetch(address, commit, listed, wanted, max_bytes)
        if paths is not None:
            return _checked(address, paths, stated)
    raise HubError(f"{address} changed while it was being downloaded: try again.")


def _choose(
    address: HubAddress,
    filenames: Mapping[str, bool],
    stated: Mapping[str, tuple[int | None, str | None]],
    max_bytes: int,
) -> dict[str, int | None]:
    """Return {name to download: stated size}; refuse a preset that lacks one or is too large."""
    for name, required in filenames.items():
        if required and name not in stated:
            raise HubError(
                f"{address} has no file {name!r}: it holds no such preset of keras_mlp3d, or lacks "
                f"its weights. It has: {', '.join(sorted(stated)[:20]) or 'no files'}."
            )
    wanted = {name: stated[name][0] for name in filenames if name in stated}
    for name, size in wanted.items():
        if size is not None and not (type(size) is int and size >= 0):
            raise HubError(f"The Hub states no size for {name!r} of {address}, but {size!r}.")
        if not _CHECKSUM.fullmatch(str(stated[name][1])):
            _logger.warning(
                "The server states no checksum for %r of %s: only its size and ETag are compared.",
                name,
                address,
            )
    total = sum(size or 0 for size in wanted.values())
    if total > max_bytes:
        raise HubError(
            f"The files of {address} take {total:,} bytes, and at most {max_bytes:,} are allowed: "
            f"raise `max_bytes` if that is what you expect."
        )
    return wanted


def _fetch(
    address: HubAddress,
    commit: str | None,
    listed: str,
    wanted: Mapping[str, int | None],
    max_bytes: int,
) -> dict[str, pathlib.Path] | None:
    """Return {name: path in the cache}, or None if the branch no longer points to `listed`."""
    paths: dict[str, pathlib.Path] = {}
    left = max_bytes - sum(size or 0 for size in wanted.values())
    for name, size in wanted.items():
        # The first file is asked for by branch, so that the cache learns which commit it means.
        revision = listed if paths or commit else address.revision
        # The answer to a refusal is a page of text, longer than some files.
        limit = left if size is None else max(size, _MAX_ERROR_BYTES)
        with explained(address, f"downloading {name!r}"), limited(limit):
            path = hub_api().hf_hub_download(address.repo_id, name, revision=revision)
        paths[name] = pathlib.Path(path)
        left -= paths[name].stat().st_size if size is None else 0
        if left < 0:
            raise HubError(
                f"The files of {address} take more than {max_bytes:,} bytes: raise `max_bytes` if "
                f"that is what you expect."
            )
        if paths[name].parent.name != listed:
            return None
    return paths


def _from_cache(
    address: HubAddress, filenames: Mapping[str, bool], commit: str | None, error: HubError
) -> Download:
    from huggingface_hub.errors import EntryNotFoundError

    paths, stated = {}, {}
    for name, required in filenames.items():
        try:
            found = hub_api().hf_hub_download(
                address.repo_id, name, revision=commit or address.revision, local_files_only=True
            )
        except EntryNotFoundError:
            if required:
                raise HubError(
                    f"{error} The cache has no {name!r} of it: load it once with a network."
                ) from error.__cause__
        else:
            path = paths[name] = pathlib.Path(found)
            checksum = pathlib.Path(os.readlink(path)).name if path.is_symlink() else ""
            if _CHECKSUM.fullmatch(checksum):
                stated[name] = (path.stat().st_size, checksum)
    download = _checked(address, paths, stated)
    _logger.info("%s The files come from the cache, %s.", error, download.folder)
    return download


def _checked(
    address: HubAddress,
    paths: Mapping[str, pathlib.Path],
    stated: Mapping[str, tuple[int | None, str | None]],
) -> Download:
    """Compare each file with its stated size and checksum."""
    folder = next(iter(paths.values())).parent
    sums = {
        name: _verify(address, path, *stated[name])
        for name, path in paths.items()
        if name in stated
    }
    return Download(folder, folder.name, sums)


def _verify(address: HubAddress, path: pathlib.Path, size: int | None, checksum: str | None) -> str:
    """Return the SHA-256 of a cached file; remove a damaged file and raise an error."""
    if not _CHECKSUM.fullmatch(str(checksum)):
        etag = path.resolve().name if path.is_symlink() else ""
        checksum = etag if _CHECKSUM.fullmatch(etag) else None
    actual_size, sha256 = path.stat().st_size, ""
    expected, actual = f"{size} bytes", f"{actual_size} bytes"
    if size is None or actual_size == size:
        is_git_blob = len(str(checksum)) == 40  # of a file that the Hub does not keep as LFS
        sha256, git_blob = _hash_file(path, is_git_blob)
        expected, actual = str(checksum), git_blob if is_git_blob else sha256
        if checksum is None:
            return sha256
    if expected == actual:
        return sha256
    # snapshots/<commit>/<name> links to blobs/<checksum>, which may link to a shared store.
    repository = path.parents[2]
    for copy in (path.resolve(), repository / "blobs" / str(checksum), path):
        if copy.is_relative_to(repository.parent):
            copy.unlink(missing_ok=True)
    raise HubError(
        f"{path.name!r} of {address} is damaged: expected {expected}, got {actual}. "
        f"It was removed from the cache: try again to download it from scratch."
    )


def _hash_file(path: pathlib.Path, git_blob: bool) -> tuple[str, str]:
    """Return a file's SHA-256 and, if asked for, its Git blob hash, from one reading."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            sha256.update(chunk)
            if git_blob:
                blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest() if git_blob else ""
