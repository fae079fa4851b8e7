"""Renders the clips of motion_shapes into memory or into files."""

import pathlib

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data.datasets.motion_shapes import render
from keras_mlp3d.data.datasets.motion_shapes.files import claim_folder, encode_clip
from keras_mlp3d.data.datasets.motion_shapes.plan import (
    ALL_EVENTS,
    SPLITS,
    check_classes,
    check_integer,
    check_options,
    plan_clips,
    rest_frames,
)


def render_clip(first, second, scene_seed, split="train", num_frames=32, size=64):
    """Renders the clip in which a scene's shape performs `first`, then `second`.

    Args:
        first: An event, one of `EVENTS` or `EXTRA_EVENTS`.
        second: Another event.
        scene_seed: Integer from 0; the scene and the manner of each event follow from it and
            from `split`, and not from the order of the events.
        split: "train", "val" or "test"; no two splits share a texture frequency.
        num_frames: Frames of the clip, a multiple of 8 from 16. About a quarter is rest (8 of 32)
            and each event takes half of what is left.
        size: Height and width in pixels, an even number from 16 to 512.

    Output shape:
        uint8 `(num_frames, size, size, 3)`, RGB.

    Raises:
        ValueError: If an argument is none of the above.

    Example:

    >>> clip = render_clip("spin", "blink", scene_seed=3)
    >>> clip.shape
    (32, 64, 64, 3)
    >>> other = render_clip("blink", "spin", scene_seed=3)
    >>> bool((clip[8:20] == other[20:]).all())
    True
    """
    check_options(split, num_frames, size)
    for name, event in (("first", first), ("second", second)):
        if event not in ALL_EVENTS:
            raise ValueError(f"{name} must be one of {', '.join(ALL_EVENTS)}; got {event!r}.")
    if first == second:
        raise ValueError(f"first and second must be two different events; both are {first!r}.")
    check_integer("scene_seed", scene_seed, 0)
    key = [SPLITS.index(split), int(scene_seed)]
    scene = render.draw_scene(np.random.default_rng(key), split, size)
    rest = render.draw_frame(scene, render.Pose())
    still = rest_frames(num_frames)
    frames = [rest] * still
    for event in (first, second):
        rng = np.random.default_rng([*key, 1 + ALL_EVENTS.index(event)])
        for pose in render.draw_event(event, rng, (num_frames - still) // 2):
            frames.append(rest if pose == render.Pose() else render.draw_frame(scene, pose))
    return np.stack(frames)


def make_clips(split, num_clips, seed=0, num_frames=32, size=64, classes=None):
    """Renders a shuffled, balanced set of clips into memory.

    Each scene is shown in both orders of its two events, as far as `classes` has both, so the
    bound of one half holds on the set itself.

    Args:
        split: "train", "val" or "test".
        num_clips: Clips in all, from 1; two classes differ by one clip at most.
        seed: Integer from 0.
        num_frames: Frames of a clip, a multiple of 8 from 16.
        size: Height and width in pixels, an even number from 16 to 512.
        classes: Class names, by default `CLASS_NAMES`; the labels are indices into them.

    Output shape:
        uint8 `(num_clips, num_frames, size, size, 3)` and int32 `(num_clips,)`.

    Raises:
        ValueError: If an argument is none of the above.

    Example:

    >>> clips, labels = make_clips("val", num_clips=20, size=32)
    >>> clips.shape, sorted(labels.tolist()) == list(range(20))
    ((20, 32, 32, 32, 3), True)
    """
    check_options(split, num_frames, size)
    classes = check_classes(classes)
    plan = plan_clips(num_clips, seed, classes)
    order = np.random.default_rng([SPLITS.index(split), int(seed), 0]).permutation(len(plan))
    clips = np.empty((len(plan), num_frames, size, size, 3), np.uint8)
    labels = np.empty(len(plan), np.int32)
    for row, place in enumerate(order):
        name, _, scene_seed = plan[place]
        clips[row] = render_clip(*name.split("_then_"), scene_seed, split, num_frames, size)
        labels[row] = classes.index(name)
    return clips, labels


def write_motion_shapes(
    directory,
    split="train",
    num_clips=2000,
    seed=0,
    num_frames=32,
    size=64,
    fps=16,
    classes=None,
    progress=None,
):
    """Writes the clips of `make_clips` as `<directory>/<class>/<index>.mp4`.

    Every frame is coded by itself with a constant quantiser, so equal frames stay equal after
    decoding. Files of one index in the two orders of a pair show one scene. A file is whole or
    absent; called again with the same arguments, or with more clips, it writes what is missing.

    Args:
        directory: The folder; new, empty, or begun by this function.
        split: "train", "val" or "test".
        num_clips: Clips in all, from 1; two classes differ by one clip at most.
        seed: Integer from 0.
        num_frames: Frames of a clip, a multiple of 8 from 16.
        size: Height and width in pixels, an even number from 16 to 512.
        fps: Whole frames per second, from 1 to 240.
        classes: Names such as "circle_then_tilt", by default `CLASS_NAMES`;
            `EXTRA_CLASS_NAMES` are classes of four other events.
        progress: Called with (clips done, clips in all) after each clip.

    Returns:
        The number of files written; those that stood there already do not count.

    Raises:
        ValueError: If an argument is none of the above, or `directory` holds something else.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_motion_shapes(folder, num_clips=2, classes=["spin_then_blink", "blink_then_spin"])
    2
    """
    check_options(split, num_frames, size)
    check_integer("fps", fps, 1, 240)
    classes = sorted(check_classes(classes))
    plan = plan_clips(num_clips, seed, classes)
    folder = pathlib.Path(directory)
    claim_folder(
        folder,
        {
            "dataset": "motion_shapes",
            "version": 1,
            "split": split,
            "seed": int(seed),
            "num_frames": int(num_frames),
            "size": int(size),
            "fps": int(fps),
            "classes": classes,
            "num_clips": int(num_clips),
        },
    )
    written = 0
    for done, (name, index, scene_seed) in enumerate(plan, start=1):
        path = folder / name / f"{index:05d}.mp4"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            clip = render_clip(*name.split("_then_"), scene_seed, split, num_frames, size)
            write_whole(path, encode_clip(clip, fps))
            written += 1
        if progress is not None:
            progress(done, len(plan))
    return written
