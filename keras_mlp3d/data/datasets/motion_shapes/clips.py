"""Renders the clips of motion_shapes into memory or into files."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_choice, check_integer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.datasets.motion_shapes import render
from keras_mlp3d.data.datasets.motion_shapes.files import claim_folder, encode_clip
from keras_mlp3d.data.datasets.motion_shapes.plan import (
    ALL_EVENTS,
    SPLITS,
    check_classes,
    check_options,
    plan_clips,
    rest_frames,
)


def render_clip(
    first: str,
    second: str,
    scene_seed: int,
    split: str = "train",
    num_frames: int = 32,
    size: int = 64,
) -> np.ndarray:
    """Render the clip in which a scene's shape performs `first`, then `second`.

    Args:
        first: Event, one of `EVENTS` or `EXTRA_EVENTS`.
        second: Another event.
        scene_seed: Integer of at least 0. It determines, together with `split`, the scene and the
            details of each event, independently of their order.
        split: "train", "val" or "test". No two splits share a texture frequency.
        num_frames: Number of frames, a multiple of 8, at least 16. About a quarter is rest (8 of
            32), and each event takes half of the other frames.
        size: Height and width in pixels, an even number from 16 to 512.

    Output shape:
        uint8 `(num_frames, size, size, 3)`, RGB.

    Raises:
        ValueError: If an argument is not as above.

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
        check_choice(name, event, ALL_EVENTS)
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


def render_together(
    events: Sequence[str],
    scene_seed: int,
    split: str = "train",
    num_frames: int = 32,
    size: int = 64,
) -> np.ndarray:
    """Render a clip in which a scene's shape performs several events at the same time, or none.

    Args:
        events: Different events of `EVENTS` or `EXTRA_EVENTS`. Their order has no effect.
        scene_seed: Integer of at least 0. It determines, together with `split`, the scene and the
            details of each event, independently of the other events.
        split: "train", "val" or "test". No two splits share a texture frequency.
        num_frames: Number of frames, a multiple of 8, at least 16. About a quarter is rest, at the
            beginning (8 of 32), and the events take the other frames.
        size: Height and width in pixels, an even number from 16 to 512.

    Output shape:
        uint8 `(num_frames, size, size, 3)`, RGB.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> still = render_together([], scene_seed=3)
    >>> moving = render_together(["spin", "blink"], scene_seed=3)
    >>> bool((moving[:8] == still[:8]).all()), bool((moving[12:28] == still[12:28]).all())
    (True, False)
    """
    check_options(split, num_frames, size)
    if isinstance(events, str) or len(set(events)) < len(events):
        raise ValueError(f"events must be a list of different events, got {events!r}.")
    for event in events:
        check_choice("events", event, ALL_EVENTS)
    check_integer("scene_seed", scene_seed, 0)
    key = [SPLITS.index(split), int(scene_seed)]
    scene = render.draw_scene(np.random.default_rng(key), split, size)
    still = rest_frames(num_frames)
    poses = [render.Pose()] * (num_frames - still)
    for event in sorted(events, key=ALL_EVENTS.index):
        rng = np.random.default_rng([*key, 1 + ALL_EVENTS.index(event)])
        more = render.draw_event(event, rng, len(poses))
        poses = [render.both(one, other) for one, other in zip(poses, more, strict=True)]
    rest = render.draw_frame(scene, render.Pose())
    return np.stack([rest] * still + [render.draw_frame(scene, pose) for pose in poses])


def make_clips(
    split: str,
    num_clips: int,
    seed: int = 0,
    num_frames: int = 32,
    size: int = 64,
    classes: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Render a shuffled, balanced set of clips into memory.

    Each scene is rendered in both orders of its two events, if `classes` has both, so that the
    bound of one half holds exactly for these clips.

    Args:
        split: "train", "val" or "test".
        num_clips: Number of clips. The numbers per class differ by at most one.
        seed: Integer of at least 0.
        num_frames: Number of frames per clip, a multiple of 8, at least 16.
        size: Height and width in pixels, an even number from 16 to 512.
        classes: Class names, into which labels are indices. Defaults to `CLASS_NAMES`.

    Output shape:
        uint8 `(num_clips, num_frames, size, size, 3)` and int32 `(num_clips,)`.

    Raises:
        ValueError: If an argument is not as above.

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
        first, second = name.split("_then_")
        clips[row] = render_clip(first, second, scene_seed, split, num_frames, size)
        labels[row] = classes.index(name)
    return clips, labels


def write_motion_shapes(
    directory: StrPath,
    split: str = "train",
    num_clips: int = 2000,
    seed: int = 0,
    num_frames: int = 32,
    size: int = 64,
    fps: int = 16,
    classes: Sequence[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Write the clips of `make_clips` as `<directory>/<class>/<index>.mp4`.

    Each frame is coded by itself with a constant quantizer, so that equal frames are still equal
    after decoding. Files of the same index in the two orders of a pair show the same scene. A file
    is complete or absent. If the call is repeated with the same arguments, or with more clips, it
    writes the missing files.

    Args:
        directory: The folder: new, empty, or written by an earlier call.
        split: "train", "val" or "test".
        num_clips: Number of clips. The numbers per class differ by at most one.
        seed: Integer of at least 0.
        num_frames: Number of frames per clip, a multiple of 8, at least 16.
        size: Height and width in pixels, an even number from 16 to 512.
        fps: Frames per second, an integer from 1 to 240.
        classes: Names such as "circle_then_tilt". Defaults to `CLASS_NAMES`; `EXTRA_CLASS_NAMES`
            are classes of four other events.
        progress: None, or a function that is called after each clip with the number of clips done
            and the number of all clips.

    Returns:
        Number of files written, without those that existed.

    Raises:
        ValueError: If an argument is not as above, or `directory` holds something else.

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
            first, second = name.split("_then_")
            clip = render_clip(first, second, scene_seed, split, num_frames, size)
            write_whole(path, encode_clip(clip, fps))
            written += 1
        if progress is not None:
            progress(done, len(plan))
    return written
