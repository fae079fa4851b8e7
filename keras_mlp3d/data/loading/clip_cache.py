"""Decoded clips that stay in memory."""

import threading

#: Default size of a cache.
MAX_CACHE_BYTES = 2 * 2**30


class ClipCache:
    """Keeps clips from their first use on, up to a number of bytes.

    A clip that does not fit any more is decoded at every use. A copy for another process starts
    empty.

    Args:
        max_bytes: Largest size of all kept clips together.

    Example:

    >>> import numpy as np
    >>> cache = ClipCache(max_bytes=10)
    >>> clip = cache.get(0, lambda: np.zeros(8, "uint8"))
    >>> cache.get(0, decode=None) is clip, cache.bytes
    (True, 8)
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._empty()

    @property
    def bytes(self):
        """Size of the kept clips."""
        return self._bytes

    def get(self, key, decode):
        """Returns the clip of a key, read-only if it is kept.

        Args:
            key: What names the clip.
            decode: Function without arguments that makes it, called if it is not kept.
        """
        clip = self._clips.get(key)
        if clip is not None:
            return clip
        clip = decode()
        with self._lock:
            if key not in self._clips and self._bytes + clip.nbytes <= self.max_bytes:
                clip = clip.copy()  # of a view, what it is a view of is let go
                clip.flags.writeable = False
                self._clips[key] = clip
                self._bytes += clip.nbytes
        return clip

    def _empty(self):
        self._clips, self._bytes, self._lock = {}, 0, threading.Lock()

    def __getstate__(self):
        return self.max_bytes

    def __setstate__(self, max_bytes):
        self.__init__(max_bytes)
