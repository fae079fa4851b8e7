"""Downloads one file from a web server: over HTTPS, resumed where it broke off, within limits.

The transfer uses the HTTP client of `huggingface_hub`, so its proxies and `HF_HUB_OFFLINE` hold
here too, and `transfer_limits`.
"""

import contextlib
import dataclasses
import logging
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from keras_mlp3d._utils.atomic_write import append, reserve
from keras_mlp3d._utils.printable import printable
from keras_mlp3d._utils.progress import Progress
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.client import HubError, HubUnreachableError, explained
from keras_mlp3d.hub.files import read_json, write_json
from keras_mlp3d.hub.transfer_limits import TooMuch, limited
from keras_mlp3d.hub.weights import file_sha256

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")
_PAGES = ("text/", "application/xhtml", "application/json")
_MEGABYTE = 10**6

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WebFile:
    """A downloaded file.

    Args:
        path: Path of the file.
        url: Address that was asked for it.
        size: Number of bytes.
        sha256: SHA-256 in hexadecimal digits.

    Example:

    >>> WebFile(pathlib.Path("B1.pth"), "https://host/B1.pth", 12, "0a").size
    12
    """

    path: pathlib.Path
    url: str
    size: int
    sha256: str

    def remove(self) -> None:
        """Remove the file, and what is noted of it for a later call."""
        self.path.unlink(missing_ok=True)
        _state_of(self.path).unlink(missing_ok=True)


def _state_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.json")


def check_web_address(url: str) -> str:
    """Refuse an address that is not HTTPS. Plain HTTP is allowed to this machine alone.

    Args:
        url: The address.

    Returns:
        The address.

    Raises:
        ValueError: If it is anything else.

    Example:

    >>> check_web_address("https://github.com/a/b.pth")
    'https://github.com/a/b.pth'
    """
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(url))
        plain = bool(parts.hostname) and not parts.username and url.isprintable()
    except ValueError:
        secure = plain = False
    if not (secure and plain):
        raise ValueError(
            f"A file is downloaded from an address https://host/..., got {printable(repr(url))}."
        )
    return url


def _is_loopback(url: str) -> bool:
    return urlsplit(url).scheme == "http" and urlsplit(url).hostname in _LOOPBACK


def download_file(url: str, path: StrPath, max_bytes: int) -> WebFile:
    """Download a file, or the rest of it.

    A transfer that breaks off is resumed at once as long as each attempt brings more, and otherwise
    by the next call: the part that arrived stays, next to a small file that says what it is part
    of. A part is only resumed if the server still has the same file, by its ETag or date. If the
    server cannot send a part, the file is downloaded from its beginning. A file that is whole is
    not asked for again.

    Only one process at a time may download to `path`.

    Args:
        url: Address of the file, HTTPS.
        path: Where it goes. The file is whole when this function returns, not before.
        max_bytes: Size of the largest file that is accepted.

    Returns:
        A `WebFile`.

    Raises:
        ValueError: If the address is not HTTPS.
        HubError: If the server does not answer, or refuses, or sends nothing, a web page or more
            than `max_bytes`, or redirects to an address that is not HTTPS.
        OSError: If the file cannot be written; it is named.

    Example:

    >>> try:
    ...     download_file("ftp://host/B1.pth", "B1.pth", 100)
    ... except ValueError as error:
    ...     print(error)
    A file is downloaded from an address https://host/..., got 'ftp://host/B1.pth'.
    """
    check_web_address(url)
    path = pathlib.Path(path)
    part = _Part(path, _state_of(path), url)
    with explained(url, "downloading it"), limited(max_bytes), Progress("MB") as bar:
        while not part.is_whole():
            before = part.size()
            try:
                _receive(part, max_bytes, bar)
                break
            except TooMuch:
                part.remove()
                raise
            except _transport_error() as error:
                if part.size() <= before or not part.read_state().get("validator"):
                    raise
                _logger.info("%s broke off (%s) and is resumed.", url, type(error).__name__)
    return WebFile(path, url, path.stat().st_size, file_sha256(path))


@dataclasses.dataclass(frozen=True)
class _Part:
    """What has arrived of a file, and what is known of the whole."""

    path: pathlib.Path
    state: pathlib.Path
    url: str

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def read_state(self) -> dict[str, Any]:
        """Return size and validator of the file that this is a part of; empty if unknown."""
        try:
            state = read_json(self.state)
        except (OSError, ValueError):
            return {}
        fits = state.get("url") == self.url and isinstance(state.get("validator"), str)
        return state if fits and type(state.get("size")) in (int, type(None)) else {}

    def is_whole(self) -> bool:
        return self.size() > 0 and self.read_state().get("size") == self.size()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


class _BrokenOff(Exception):
    """The server closed the connection in the middle of the file."""


def _client() -> Any:
    from huggingface_hub import get_session

    return get_session()


def _transport_error() -> tuple[type[Exception], ...]:
    # httpx, whatever its name: it depends on the version of huggingface_hub.
    http = sys.modules[type(_client()).__module__.partition(".")[0]]
    return http.TransportError, _BrokenOff


def _receive(part: _Part, max_bytes: int, bar: Progress) -> None:
    """Ask for the part that is missing, and write it."""
    state, start = part.read_state(), part.size()
    if not state.get("validator"):
        start = 0
    headers = {"Range": f"bytes={start}-", "If-Range": state["validator"]} if start else {}
    with _answer(part.url, headers) as response:
        if response.status_code == 416 and start:
            part.remove()
            start = -1
        elif response.status_code == 206 and start:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
            if not found or int(found[1]) != start or int(found[2]) != state["size"]:
                part.remove()
                start = -1
        elif response.status_code == 200:
            start = 0
        else:
            _refuse_status(part.url, response.status_code)
        if start >= 0:
            whole = state["size"] if start else None  # which this answer need not say
            _write(part, start, whole, response, max_bytes, bar)
            return
    _receive(part, max_bytes, bar)  # from the beginning: the part is of another file


def _refuse_status(url: str, status: int) -> None:
    if status >= 500 or status in (408, 429):
        raise HubUnreachableError(f"{url} is not available now (status {status}): try again later.")
    raise HubError(
        f"{url} was refused (status {status}): the file is not there, or may not be read."
    )


@contextlib.contextmanager
def _answer(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """Yield the response behind all redirects, none of which may leave HTTPS."""
    from huggingface_hub import constants

    asked, local = url, _is_loopback(url)
    for _ in range(_MAX_REDIRECTS + 1):
        with _client().stream(
            "GET",
            url,
            headers=headers,
            follow_redirects=False,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        ) as response:
            if response.status_code not in _REDIRECTS:
                yield response
                return
            target = response.headers.get("location", "")
        try:
            target = urljoin(url, target)
            check_web_address(target)
            if _is_loopback(target) and not local:
                raise ValueError("it leads to this machine")
        except ValueError as error:
            raise HubError(
                f"{asked} was redirected to {printable(target[:200])!r}, which is not HTTPS and is "
                "not followed."
            ) from error
        url = target
    raise HubError(f"{asked} was redirected more than {_MAX_REDIRECTS} times.")


def _write(
    part: _Part, start: int, whole: int | None, response: Any, max_bytes: int, bar: Progress
) -> None:
    """Append the body of a response to the part, or begin the part with it."""
    kind = response.headers.get("content-type", "").strip().lower()
    if kind.startswith(_PAGES):
        _refuse_page(part, printable(kind[:60]))
    length = response.headers.get("content-length", "")
    total = start + int(length) if re.fullmatch(r"\d{1,18}", length) else whole
    if total is not None and total > max_bytes:
        part.remove()
        raise HubError(
            f"{part.url} has {total:,} bytes, and at most {max_bytes:,} are accepted: it is "
            "another file."
        )
    if start == 0:
        part.remove()
        tag = response.headers.get("etag", "")
        validator = tag if tag and not tag.startswith("W/") else ""
        validator = validator or response.headers.get("last-modified", "")
        if total is not None:
            # Without a size, nobody could tell a part from the whole.
            write_json(part.state, {"url": part.url, "size": total, "validator": validator})
            reserve(part.path, total)
    done = start
    for chunk in response.iter_bytes():
        if done == 0 and chunk.lstrip()[:1] == b"<":
            _refuse_page(part, "it starts with '<'")
        done += len(chunk)
        if done > max_bytes:
            part.remove()
            raise HubError(f"{part.url} has more than {max_bytes:,} bytes: it is another file.")
        append(part.path, chunk)
        bar(done // _MEGABYTE, None if total is None else -(-total // _MEGABYTE))
    if not done and not total:
        part.remove()
        raise HubError(f"{part.url} brought an empty file: try again later.")
    if total is not None and done != total:
        raise _BrokenOff(f"{done:,} of {total:,} bytes came")


def _refuse_page(part: _Part, kind: str) -> None:
    part.remove()
    raise HubError(
        f"{part.url} brought a web page ({kind}), not the file: a proxy or a login may be in "
        "between. Open the address in a browser to see the page."
    )
