"""A bounded memory of what a process has learned or said."""

import collections
import threading


class Recent:
    """A mapping that forgets the least recently used entry when it is full. For many threads.

    Args:
        most: Entries it holds.

    Example:

    >>> said = Recent(2)
    >>> said.set("a", 1), said.set("a", 2), said.get("a"), said.get("b")
    (True, False, 2, None)
    """

    def __init__(self, most):
        self._most, self._lock, self._entries = most, threading.Lock(), collections.OrderedDict()

    def get(self, key):
        """The value of a key, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def set(self, key, value):
        """Sets a value. Returns whether the key is new."""
        with self._lock:
            is_new = key not in self._entries
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return is_new
