"""Events, classes and order of clips of the motion-shapes data set, and checks of its options."""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_mlp3d._utils.checks import check_choice, check_integer

EVENTS = ("blink", "pulse", "spin", "swing_x", "swing_y")
EXTRA_EVENTS = ("circle", "squash", "tilt", "tint")
SPLITS = ("train", "val", "test")


def _ordered_pairs(events):
    return tuple(sorted(f"{a}_then_{b}" for a, b in itertools.permutations(events, 2)))


CLASS_NAMES = _ordered_pairs(EVENTS)
EXTRA_CLASS_NAMES = _ordered_pairs(EXTRA_EVENTS)

ALL_EVENTS = EVENTS + EXTRA_EVENTS


def plan_clips(num_clips: int, seed: int, classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return rows (class, index, scene seed); the two orders of a scene are adjacent."""
    check_integer("num_clips", num_clips)
    check_integer("seed", seed, 0)
    ordered = sorted(classes, key=lambda name: (sorted(name.split("_then_")), name))
    plan = []
    for place in range(num_clips):
        index, name = place // len(ordered), ordered[place % len(ordered)]
        pair = sorted(ALL_EVENTS.index(event) for event in name.split("_then_"))
        key = np.random.SeedSequence([int(seed), *pair, index])
        plan.append((name, index, int(key.generate_state(1, np.uint64)[0])))
    return plan


def rest_frames(num_frames: int) -> int:
    """Return the number of frames of rest: about a quarter, so that events fill whole tubelets."""
    return 8 * max(1, (num_frames + 16) // 32)


def check_options(split: str, num_frames: int, size: int) -> None:
    """Raise an error for a split, a number of frames or a size that no clip can have."""
    check_choice("split", split, SPLITS)
    check_integer("num_frames", num_frames, 16)
    if num_frames % 8:
        raise ValueError(
            f"num_frames must be a multiple of 8, for events of whole groups of four frames, "
            f"got {num_frames}."
        )
    check_integer("size", size, 16, 512)
    if size % 2:
        raise ValueError(f"size must be even, for H.264, got {size}.")


def check_classes(classes: Sequence[str] | None) -> list[str]:
    """Return class names as a list, or all of them for None; raise an error for unknown names."""
    if classes is None:
        return list(CLASS_NAMES)
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of class names, got the string {classes!r}.")
    known = _ordered_pairs(ALL_EVENTS)
    classes = list(classes)
    for name in classes:
        if name not in known:
            raise ValueError(
                f"classes must hold names such as 'spin_then_blink', two different events of "
                f"{', '.join(ALL_EVENTS)}, got {name!r}."
            )
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"classes must hold at least one name, each once, got {classes!r}.")
    return classes
