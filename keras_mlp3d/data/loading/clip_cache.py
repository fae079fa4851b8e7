"""Keeps decoded clips in memory."""

import threading
from collections.abc import Callable, Hashable

import numpy as np

#: Default size of a cache.
MAX_CACHE_BYTES = 2 * 2**30


class ClipCache:
    """Keeps clips from their first use on, up to a number of bytes.

    Clips beyond that are decoded at every use. A copy for another process starts empty.

    Args:
        max_bytes: Largest size in bytes of all kept clips together.

    Example:

    >>> import numpy as np
    >>> cache = ClipCache(max_bytes=10)
    >>> clip = cache.get(0, lambda: np.zeros(8, "uint8"))
    >>> cache.get(0, decode=None) is clip, cache.bytes
    (True, 8)
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._empty()

    @property
    def bytes(self) -> int:
        """Size in bytes of the kept clips."""
        return self._bytes

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the clip of a key, read-only if it is kept.

        Args:
            key: Key of the clip.
            decode: Function without arguments that returns the clip, called if it is not kept.
                Another thread that asks for the same key meanwhile waits for this clip.
        """
        clip = self._clips.get(key)
        if clip is not None:
            return clip
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        try:
            with turn:
                clip = self._clips.get(key)
                return self._keep(key, decode()) if clip is None else clip
        finally:
            with self._lock:
                self._turns.pop(key, None)

    def _keep(self, key, clip):
        with self._lock:
            if key not in self._clips and self._bytes + clip.nbytes <= self.max_bytes:
                clip = clip.copy()  # a view would keep its whole base array
                clip.flags.writeable = False
                self._clips[key] = clip
                self._bytes += clip.nbytes
        return clip

    def _empty(self):
        self._clips, self._bytes, self._lock = {}, 0, threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}  # of the clips that are being decoded

    def __getstate__(self):
        return self.max_bytes

    def __setstate__(self, max_bytes):
        self.__init__(max_bytes)
