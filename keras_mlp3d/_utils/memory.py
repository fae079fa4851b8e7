"""How much memory there is."""

import contextlib
import os


def memory_bytes() -> int | None:
    """Return how much memory this process may use, in bytes, or None if the system cannot tell.

    The smallest of the machine's memory, the container's limit and the process's limit.

    Example:

    >>> memory = memory_bytes()
    >>> memory is None or memory > 2**20
    True
    """
    limits = []
    if hasattr(os, "sysconf") and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= os.sysconf_names.keys():
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        # Outside a container there is no such file, or it says "max".
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            limits.append(int(file.read()))
    with contextlib.suppress(ImportError):  # on Windows
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min((limit for limit in limits if limit > 0), default=None)
