"""Limits on what a server can make us read: bytes, unpacked bytes, and time.

`huggingface_hub` reads whatever a server sends, for as long as it sends. Within `limited`, the
responses that its HTTP client gets in this thread are read through a stream that counts. Transfers
by `hf_xet` do not use this client; that library compares each piece with its hash.
"""

import contextlib
import contextvars
import dataclasses
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from keras_mlp3d._utils.printable import printable

#: A transfer may be slower than `MIN_BYTES_PER_SECOND` for this long.
GRACE_SECONDS = 60.0
MIN_BYTES_PER_SECOND = 1024
#: The longest time that a server can make us wait before we ask again.
MAX_WAIT_SECONDS = 30

_WAIT = re.compile(r";\s*t\s*=\s*(\d+)")
_UNPACKED_AT_ONCE = 2**20
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class TooSlow(Exception):
    """A transfer that takes too long; the message says how slow it was."""


class TooMuch(Exception):
    """A transfer of more bytes than stated, or packed in a way that hides their number."""


@dataclasses.dataclass
class _Limits:
    max_bytes: int
    arrived: int = 0
    seconds: float = 0.0  # spent in responses that have ended


_limits: contextvars.ContextVar[_Limits | None] = contextvars.ContextVar("limits", default=None)


@contextlib.contextmanager
def limited(max_bytes: int) -> Iterator[None]:
    """Hold each response that `huggingface_hub` gets within the `with` to limits.

    Args:
        max_bytes: Largest size of the body of a response, unpacked.

    Raises:
        TooMuch: When a response gets larger.
        TooSlow: When bytes drip in, or the server asks us to wait for long.
    """
    from huggingface_hub import get_session

    _watch(get_session())
    token = _limits.set(_Limits(max_bytes))
    try:
        yield
    finally:
        _limits.reset(token)


def _watch(client: Any) -> None:
    """Add our hooks to a client, once. Outside of `limited` they do nothing."""
    hooks = client.event_hooks
    if _on_response in hooks.get("response", ()):
        return
    client.event_hooks = {
        "request": [*hooks.get("request", ()), _on_request],
        "response": [*hooks.get("response", ()), _on_response],
    }
    close: Callable[[], None] = client.close

    def close_and_watch_the_next() -> None:
        # Before it tries again, huggingface_hub closes a client that could not connect.
        close()
        if _limits.get() is not None:
            from huggingface_hub import get_session

            _watch(get_session())

    client.close = close_and_watch_the_next


def _on_request(request: Any) -> None:
    if _limits.get() is not None:
        request.headers["Accept-Encoding"] = "identity"


def _on_response(response: Any) -> None:
    limits = _limits.get()
    if limits is None:
        return
    if response.status_code >= 400:
        _check_wait(response)
    if response.request.method == "HEAD":
        return
    packed = [name.strip() for name in response.headers.get("content-encoding", "").split(",")]
    packed = [name.lower() for name in packed if name and name.lower() != "identity"]
    if packed:
        if len(packed) > 1 or packed[0] not in _WINDOW_BITS:
            names = printable(", ".join(packed)[:40])
            raise TooMuch(f"it came packed as {names!r}, which was not asked for")
        # From here on, the client sees an ordinary response.
        for name in ("content-encoding", "content-length"):
            response.headers.pop(name, None)
    http = sys.modules[type(response).__module__.partition(".")[0]]  # httpx, whatever its name
    base = http.SyncByteStream
    response.stream = type("LimitedStream", (_Limited, base), {})(response.stream, limits, packed)


def _check_wait(response: Any) -> None:
    """Refuse a wait that huggingface_hub would sleep through."""
    waits = _WAIT.findall(response.headers.get("ratelimit", ""))
    waits.append(response.headers.get("retry-after", "").strip())
    for wait in waits:
        if wait.isdecimal() and (len(wait) > 6 or int(wait) > MAX_WAIT_SECONDS):
            raise TooSlow(
                f"the server answers {response.status_code} and asks to wait {wait[:12]} seconds"
            )


class _Limited:
    """The body of a response, read within limits; made a stream of the HTTP library."""

    def __init__(self, stream: Any, limits: _Limits, packed: list[str]) -> None:
        self._stream, self._limits, self._packed = stream, limits, packed
        self._start = time.monotonic()
        self._unpacked = 0

    def __iter__(self) -> Iterator[bytes]:
        unpack = zlib.decompressobj(_WINDOW_BITS[self._packed[0]]) if self._packed else None
        for chunk in self._stream:
            self._limits.arrived += len(chunk)
            self._check_pace()
            if unpack is None:
                yield self._counted(chunk)
                continue
            while chunk and not unpack.eof:
                piece = unpack.decompress(chunk, _UNPACKED_AT_ONCE)
                chunk = unpack.unconsumed_tail
                yield self._counted(piece)

    def _counted(self, piece: bytes) -> bytes:
        self._unpacked += len(piece)
        if self._unpacked > self._limits.max_bytes:
            raise TooMuch(f"it has more than {self._limits.max_bytes:,} bytes")
        return piece

    def _check_pace(self) -> None:
        seconds = self._limits.seconds + time.monotonic() - self._start
        slow = self._limits.arrived < (seconds - GRACE_SECONDS) * MIN_BYTES_PER_SECOND
        if slow:
            raise TooSlow(f"{self._limits.arrived:,} bytes came in {seconds:.0f} seconds")

    def close(self) -> None:
        # A second more, so that one byte per connection is a drip too.
        self._limits.seconds += time.monotonic() - self._start + 1
        self._stream.close()
