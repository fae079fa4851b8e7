"""Keeps decoded clips in memory."""

import threading
from collections.abc import Callable, Hashable
from typing import Self

import numpy as np

from keras_mlp3d._utils.checks import check_integer

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

    @classmethod
    def for_clips(cls, number: int, converter: Callable[..., np.ndarray], max_bytes: int) -> Self:
        """Return a cache for a number of clips of a converter.

        Raises:
            ValueError: If the converter has a fixed size of clips, and they are larger together.
        """
        max_bytes = check_integer("max_cache_bytes", max_bytes)
        size = getattr(converter, "image_size", None)
        frames = getattr(converter, "num_frames", None)
        if size is not None and frames is not None:
            needed = number * frames * size[0] * size[1] * 3
            if needed > max_bytes:
                raise ValueError(
                    f"cache would keep {number} clips in {needed} bytes, over "
                    f"max_cache_bytes ({max_bytes})."
                )
        return cls(max_bytes)

    @property
    def bytes(self) -> int:
        """Size in bytes of the kept clips."""
        return self._bytes

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the clip of a key, read-only if it is kept.

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

    def renew_locks(self) -> None:
        """Free the locks, in a forked process, which lacks the threads that hold them."""
        self._lock = threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}  # of the clips that are being decoded

    def _empty(self):
        self._clips, self._bytes = {}, 0
        self.renew_locks()

    def __getstate__(self):
        return self.max_bytes

    def __setstate__(self, max_bytes):
        self.__init__(max_bytes)
