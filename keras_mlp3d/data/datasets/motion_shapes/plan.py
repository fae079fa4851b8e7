"""Events, classes and order of clips of the motion-shapes data set, and checks of its options."""

import itertools

import numpy as np

EVENTS = ("blink", "pulse", "spin", "swing_x", "swing_y")
EXTRA_EVENTS = ("circle", "squash", "tilt", "tint")
SPLITS = ("train", "val", "test")


def _ordered_pairs(events):
    return tuple(sorted(f"{a}_then_{b}" for a, b in itertools.permutations(events, 2)))


CLASS_NAMES = _ordered_pairs(EVENTS)
EXTRA_CLASS_NAMES = _ordered_pairs(EXTRA_EVENTS)

ALL_EVENTS = EVENTS + EXTRA_EVENTS


def plan_clips(num_clips, seed, classes):
    """Rows (class, index, scene seed); both orders of a pair follow each other, one scene each."""
    check_integer("num_clips", num_clips, 1)
    check_integer("seed", seed, 0)
    ordered = sorted(classes, key=lambda name: (sorted(name.split("_then_")), name))
    plan = []
    for place in range(num_clips):
        index, name = place // len(ordered), ordered[place % len(ordered)]
        pair = sorted(ALL_EVENTS.index(event) for event in name.split("_then_"))
        key = np.random.SeedSequence([int(seed), *pair, index])
        plan.append((name, index, int(key.generate_state(1, np.uint64)[0])))
    return plan


def rest_frames(num_frames):
    """Frames of rest at the start: near a quarter, so that both events fill whole tubelets."""
    return 8 * max(1, (num_frames + 16) // 32)


def check_integer(name, value, low, high=None):
    """Refuses what is not an integer from `low`, and to `high` where that is given."""
    right = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not right or value < low or (high is not None and value > high):
        span = f"from {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {span}; got {value!r}.")


def check_options(split, num_frames, size):
    """Refuses a split, a number of frames or a size in pixels that no clip can have."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    check_integer("num_frames", num_frames, 16)
    if num_frames % 8:
        raise ValueError(
            f"num_frames must be a multiple of 8, for events of whole groups of four frames; "
            f"got {num_frames}."
        )
    check_integer("size", size, 16, 512)
    if size % 2:
        raise ValueError(f"size must be even, as H.264 has it; got {size}.")


def check_classes(classes):
    """Returns the names of the wanted classes as a list, all of them for None; refuses others."""
    if classes is None:
        return list(CLASS_NAMES)
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of class names; got the string {classes!r}.")
    known = _ordered_pairs(ALL_EVENTS)
    classes = list(classes)
    for name in classes:
        if name not in known:
            raise ValueError(
                f"classes must hold names such as 'spin_then_blink', two different events of "
                f"{', '.join(ALL_EVENTS)}; got {name!r}."
            )
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"classes must name each class once and at least one; got {classes!r}.")
    return classes
