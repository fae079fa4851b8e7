"""A bounded mapping that forgets old entries."""

import collections
import threading
from collections.abc import Hashable
from typing import Any


class Recent:
    """A mapping that forgets the least recently used entry when it is full. For many threads.

    Args:
        most: Largest number of entries.

    Example:

    >>> said = Recent(2)
    >>> said.set("a", 1), said.set("a", 2), said.get("a"), said.get("b")
    (True, False, 2, None)
    """

    def __init__(self, most: int):
        self._most, self._lock = most, threading.Lock()
        self._entries: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()

    def get(self, key: Hashable) -> Any:
        """Return the value of a key, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def set(self, key: Hashable, value: Any) -> bool:
        """Set a value and return whether the key is new."""
        with self._lock:
            is_new = key not in self._entries
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return is_new
