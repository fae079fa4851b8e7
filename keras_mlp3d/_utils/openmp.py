"""Lets PyTorch's threads on the CPU sleep while they wait for each other on a shared machine.

The threads of one operation wait for the slowest of them. In GCC's OpenMP, which PyTorch brings for
Linux, a waiting thread looks 300,000 times whether the others are ready, and sleeps only then. If
other programs run before this one, because of its low priority or a limit of processor time, most
operations of a network take as long as these looks. If nothing else runs on the machine, looking is
faster than sleeping: a step of a small network takes a tenth less time.

Source: ours; `python benchmarks/waiting_threads.py` measures both.
"""

import os
import sys

from keras_mlp3d._utils.ordered_map import default_workers

VARIABLE = "GOMP_SPINCOUNT"
#: As many looks as that library takes itself where it knows of more threads than processors.
_LOOKS = 1000
#: What a user may have decided already, for this library or for all of its kind.
_DECISIONS = (VARIABLE, "OMP_WAIT_POLICY")
#: Share of the processors that was in use over the last minute, from which on others compute.
_BUSY = 0.25
_QUOTA = "/sys/fs/cgroup/cpu.max"


def let_waiting_threads_sleep() -> None:
    """Set GOMP_SPINCOUNT for this process, before PyTorch is imported, if others compute too.

    What the user has decided stays as it is.
    """
    if "torch" in sys.modules or any(name in os.environ for name in _DECISIONS):
        return
    if _has_low_priority() or _has_quota() or _others_compute():
        os.environ[VARIABLE] = str(_LOOKS)


def _has_low_priority() -> bool:
    return hasattr(os, "getpriority") and os.getpriority(os.PRIO_PROCESS, 0) > 0


def _has_quota() -> bool:
    """Return whether a container may use less time than its processors have."""
    try:
        with open(_QUOTA, encoding="ascii") as file:
            quota, period = file.read().split()
        return quota != "max" and int(quota) < int(period) * default_workers()
    except (OSError, ValueError):  # not Linux, or without such limits
        return False


def _others_compute() -> bool:
    try:
        return os.getloadavg()[0] >= _BUSY * (os.cpu_count() or 1)
    except (OSError, AttributeError):  # not on Windows
        return False
