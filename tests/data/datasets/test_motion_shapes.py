"""Motion shapes: the events, the exact exchange of tubelets, and the files."""

import itertools
import json

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from keras_mlp3d._utils import atomic_write
from keras_mlp3d.data import motion_shapes as shapes
from keras_mlp3d.data.datasets.motion_shapes import __main__ as command_line
from keras_mlp3d.data.datasets.motion_shapes import files, plan, render

ALL_EVENTS = shapes.EVENTS + shapes.EXTRA_EVENTS
PAIRS = [(a, b) for i, a in enumerate(ALL_EVENTS) for b in ALL_EVENTS[:i]]


def tubelets(clip):
    """The groups of four frames as a sorted list of their bytes."""
    return sorted(clip[t : t + 4].tobytes() for t in range(0, len(clip), 4))


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def event_frames(event, seed, num_frames=32, size=64):
    """The frames of one event: the last ones of a clip that ends with it."""
    other = "spin" if event != "spin" else "pulse"
    clip = shapes.render_clip(other, event, seed, num_frames=num_frames, size=size)
    return clip[-(num_frames - plan.rest_frames(num_frames)) // 2 :]


def groups(tokens, kind, size):
    """The multiset of ordered groups that one block of time mixing sees."""
    count = len(tokens)
    if kind == "shift_token":
        return sorted(tuple(tokens[t - i] for i in range(size)) for t in range(count))
    if kind == "long_range":
        return sorted(tuple(tokens[i :: count // size]) for i in range(count // size))
    if kind == "shift_window":
        tokens = tokens[-(size // 2) :] + tokens[: -(size // 2)] if size > 1 else tokens
    return sorted(tuple(tokens[i : i + size]) for i in range(0, count, size))


def test_the_classes_are_the_ordered_pairs_of_events():
    assert len(shapes.CLASS_NAMES) == 20
    assert list(shapes.CLASS_NAMES) == sorted(set(shapes.CLASS_NAMES))
    assert "blink_then_pulse" in shapes.CLASS_NAMES
    assert "pulse_then_blink" in shapes.CLASS_NAMES
    assert len(shapes.EXTRA_CLASS_NAMES) == 12
    assert not set(shapes.CLASS_NAMES) & set(shapes.EXTRA_CLASS_NAMES)


@pytest.mark.parametrize("num_frames", [16, 32, 40, 64])
def test_both_orders_hold_the_same_tubelets(num_frames):
    for seed, (a, b) in enumerate(PAIRS):
        one = shapes.render_clip(a, b, seed, num_frames=num_frames, size=32)
        two = shapes.render_clip(b, a, seed, num_frames=num_frames, size=32)
        still = plan.rest_frames(num_frames)
        half = (num_frames + still) // 2
        assert still % 4 == half % 4 == 0
        np.testing.assert_array_equal(one[:still], two[:still])
        np.testing.assert_array_equal(one[still:half], two[half:])
        np.testing.assert_array_equal(one[half:], two[still:half])
        assert not np.array_equal(one, two)
        assert tubelets(one) == tubelets(two)


def test_both_orders_hold_the_same_tubelets_after_decoding(tmp_path):
    pairs = PAIRS[::3]
    names = [f"{a}_then_{b}" for a, b in [*pairs, *((b, a) for a, b in pairs)]]
    shapes.write_motion_shapes(tmp_path / "d", "test", len(names), classes=names)
    for a, b in pairs:
        one = decode(tmp_path / "d" / f"{a}_then_{b}" / "00000.mp4")
        two = decode(tmp_path / "d" / f"{b}_then_{a}" / "00000.mp4")
        assert one.shape == (32, 64, 64, 3)
        assert tubelets(one) == tubelets(two)
        np.testing.assert_array_equal(one[8:20], two[20:])
        assert not np.array_equal(one[8:20], two[8:20])


@pytest.mark.parametrize("kind", ["short_range", "long_range", "shift_window", "shift_token"])
def test_every_kind_of_time_mixing_sees_the_order_and_none_without_groups(kind):
    for a, b in PAIRS[::5]:
        clips = [shapes.render_clip(*events, 1, size=32) for events in ((a, b), (b, a))]
        one, two = ([c[t : t + 4].tobytes() for t in range(0, 32, 4)] for c in clips)
        assert groups(one, kind, 1) == groups(two, kind, 1)
        for size in (2, 4, 8):
            assert groups(one, kind, size) != groups(two, kind, size)


def test_every_frame_of_a_file_is_a_key_frame_and_close_to_what_was_drawn(tmp_path):
    clip = shapes.render_clip("swing_x", "spin", 4)
    path = tmp_path / "clip.mp4"
    path.write_bytes(files.encode_clip(clip, fps=16))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 16)
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = list(container.decode(video=0))
    assert len(frames) == 32
    assert all(frame.pict_type == PictureType.I and frame.key_frame for frame in frames)
    decoded = np.stack([f.to_ndarray(format="rgb24") for f in frames])
    assert np.abs(decoded.astype(float) - clip).mean() < 6.0


@pytest.mark.parametrize("event", ALL_EVENTS)
def test_an_event_begins_and_ends_at_rest_and_moves_between(event):
    for seed in range(6):
        # Twice the frames show the ends finely: there, speed tends to zero as well.
        frames = event_frames(event, seed, num_frames=64).astype(float)
        rest = event_frames("spin", seed, num_frames=64)[0]
        np.testing.assert_array_equal(frames[0], rest)
        np.testing.assert_array_equal(frames[-1], rest)
        steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
        assert steps.max() > 0.5
        assert max(steps[0], steps[-1]) < 0.5 * steps.max()
        changed = np.abs(frames - rest).max(axis=(0, 3)) > 40
        assert changed.mean() > 0.01


@pytest.mark.parametrize("event", ALL_EVENTS)
def test_an_event_changes_what_its_name_says_and_nothing_else(event):
    fields = {
        "swing_x": {"dx"},
        "swing_y": {"dy"},
        "pulse": {"scale"},
        "spin": {"turns"},
        "blink": {"opacity"},
        "circle": {"dx", "dy"},
        "squash": {"stretch"},
        "tilt": {"shear"},
        "tint": {"tint"},
    }[event]
    rest = render.Pose()
    for seed in range(20):
        poses = render.draw_event(event, np.random.default_rng(seed), 16)
        assert poses[0] == poses[-1] == rest
        found = {f for f in rest._fields for p in poses if getattr(p, f) != getattr(rest, f)}
        assert found == fields
        assert max(abs(p.dx) + abs(p.dy) for p in poses) < 0.36
        assert all(0.5 < p.scale < 2 and -1e-9 <= p.opacity <= 1 for p in poses)
    if event == "blink":
        assert min(p.opacity for p in poses) < 0.2
    if event == "pulse":
        assert min(p.scale for p in poses) < 0.8
        assert max(p.scale for p in poses) > 1.25
    if event.startswith("swing"):
        assert max(p.dx + p.dy for p in poses) > 0.12
        assert min(p.dx + p.dy for p in poses) < -0.12


@pytest.mark.parametrize(("event", "axis"), [("swing_x", 1), ("swing_y", 0)])
def test_a_swing_moves_the_picture_along_its_axis(event, axis):
    for seed in range(5):
        scene = render.draw_scene(np.random.default_rng(seed), "train", 64)
        poses = render.draw_event(event, np.random.default_rng(seed), 16)
        places = []
        for pose in poses:
            moved = np.abs(render.draw_frame(scene, pose).astype(float) - scene.background).sum(-1)
            grid = np.indices(moved.shape)
            places.append([(g * moved).sum() / moved.sum() for g in grid])
        spread = np.ptp(np.array(places), axis=0)
        assert spread[axis] > 12
        assert spread[axis] > 3 * spread[1 - axis]


def test_spin_shows_on_every_shape_and_texture():
    rng = np.random.default_rng(0)
    seen = set()
    for seed in range(120):
        scene = render.draw_scene(np.random.default_rng(seed), "train", 64)
        seen.add((scene.body.shape, scene.body.texture.family))
        rest = render.draw_frame(scene, render.Pose()).astype(float)
        inside = np.abs(rest - scene.background).max(-1) > 10
        for turns in (0.2, 0.25, 0.5, rng.uniform(0.1, 0.9)):
            turned = render.draw_frame(scene, render.Pose(turns=turns))
            assert np.abs(turned - rest).max(-1)[inside].mean() > 8
    assert len(seen) == len(render.SHAPES) * len(render.TEXTURES)


def test_a_blind_answer_is_right_on_one_half_of_a_set_at_most():
    clips, labels = shapes.make_clips("val", 50, seed=3, size=16)
    scenes = {}
    for clip, label in zip(clips, labels, strict=True):
        scenes.setdefault(tuple(tubelets(clip)), []).append(label)
    assert len(scenes) == 25
    for members in scenes.values():
        first, second = (shapes.CLASS_NAMES[label] for label in members)
        assert first == "_then_".join(reversed(second.split("_then_")))


def test_sets_are_balanced_shuffled_and_the_same_each_time():
    clips, labels = shapes.make_clips("train", 50, seed=5, size=16)
    assert clips.dtype == np.uint8
    assert clips.shape == (50, 32, 16, 16, 3)
    assert labels.dtype == np.int32
    counts = np.bincount(labels, minlength=20)
    assert set(counts) == {2, 3}
    assert not np.array_equal(labels, np.sort(labels))
    again, same = shapes.make_clips("train", 50, seed=5, size=16)
    np.testing.assert_array_equal(clips, again)
    np.testing.assert_array_equal(labels, same)
    other, _ = shapes.make_clips("train", 50, seed=6, size=16)
    assert not {c.tobytes() for c in clips} & {c.tobytes() for c in other}
    assert len({c.tobytes() for c in clips}) == 50


def test_labels_index_the_classes_asked_for():
    names = ["tint_then_tilt", "tilt_then_tint", "circle_then_tint"]
    _, labels = shapes.make_clips("test", 7, size=16, classes=names)
    assert sorted(np.bincount(labels)) == [2, 2, 3]


def test_splits_differ_in_scene_and_share_no_texture_frequency():
    clips = [shapes.render_clip("spin", "blink", 0, split, size=32) for split in shapes.SPLITS]
    assert len({clip[0].tobytes() for clip in clips}) == 3
    bands = sorted(band for split in render.TEXTURE_BANDS.values() for band in split)
    assert all(low[1] <= high[0] for low, high in itertools.pairwise(bands))
    for split in shapes.SPLITS:
        for seed in range(30):
            body = render.draw_scene(np.random.default_rng(seed), split, 16).body
            cycles = np.hypot(body.texture.waves[:, 0], body.texture.waves[:, 1])
            for value in cycles:
                assert any(a - 1e-4 <= value <= b + 1e-4 for a, b in render.TEXTURE_BANDS[split])


def test_writing_makes_a_plain_folder_of_classes_and_resumes(tmp_path):
    folder = tmp_path / "sets" / "train"
    options = {"num_frames": 16, "size": 16}
    seen = []
    count = shapes.write_motion_shapes(
        folder, num_clips=20, progress=lambda done, total: seen.append((done, total)), **options
    )
    assert count == 20
    assert seen == [(i, 20) for i in range(1, 21)]
    entries = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert entries == list(shapes.CLASS_NAMES)
    assert all([f.name for f in (folder / e).iterdir()] == ["00000.mp4"] for e in entries)
    assert json.loads((folder / "motion_shapes.json").read_text())["num_clips"] == 20

    lost = folder / entries[4] / "00000.mp4"
    before = lost.read_bytes()
    lost.unlink()
    kept = folder / entries[5] / "00000.mp4"
    kept.write_bytes(b"kept")
    assert shapes.write_motion_shapes(folder, num_clips=20, **options) == 1
    assert lost.read_bytes() == before
    assert kept.read_bytes() == b"kept"
    assert shapes.write_motion_shapes(folder, num_clips=30, **options) == 10
    with pytest.raises(ValueError, match="holds the data set with 30 clips, asked for are 20"):
        shapes.write_motion_shapes(folder, num_clips=20, **options)
    with pytest.raises(ValueError, match=r"its seed is 0, asked for is 1"):
        shapes.write_motion_shapes(folder, num_clips=30, seed=1, **options)


def test_files_hold_the_clips_of_the_arrays(tmp_path):
    classes = ["blink_then_spin", "spin_then_blink"]
    shapes.write_motion_shapes(tmp_path, "val", 4, seed=9, classes=classes)
    clips, labels = shapes.make_clips("val", 4, seed=9, classes=classes)
    for label, name in enumerate(classes):
        for index in range(2):
            decoded = decode(tmp_path / name / f"{index:05d}.mp4").astype(float)
            errors = [np.abs(decoded - clip).mean() for clip in clips[labels == label]]
            assert min(errors) < 6.0 < max(errors)


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty and holds no motion_shapes.json"):
        shapes.write_motion_shapes(tmp_path, num_clips=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ValueError, match="is a file"):
        shapes.write_motion_shapes(tmp_path / "mine.txt", num_clips=1)
    (tmp_path / "motion_shapes.json").write_text("[1")
    with pytest.raises(ValueError, match="is no description of this data set"):
        shapes.write_motion_shapes(tmp_path, num_clips=1)


def test_a_failed_file_leaves_nothing_half_written(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(atomic_write.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write.write_whole(tmp_path / "a.mp4", b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "dev"}, "split must be one of 'train', 'val', 'test', got 'dev'"),
        ({"num_clips": 0}, "num_clips must be a positive integer, got 0"),
        ({"num_clips": 2.5}, "num_clips must be a positive integer, got 2.5"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"num_frames": 20}, "num_frames must be a multiple of 8.*got 20"),
        ({"num_frames": 8}, "num_frames must be an integer of at least 16, got 8"),
        ({"size": 33}, "size must be even.*got 33"),
        ({"size": 1024}, "size must be an integer from 16 to 512, got 1024"),
        ({"classes": ["spin_then_spin"]}, "classes must hold names.*got 'spin_then_spin'"),
        ({"classes": ["../spin"]}, "classes must hold names.*got '../spin'"),
        ({"classes": "spin_then_blink"}, "classes must be a list.*the string"),
        ({"classes": []}, r"classes must hold at least one name, each once, got \[\]"),
        ({"fps": 0}, "fps must be an integer from 1 to 240, got 0"),
    ],
)
def test_bad_arguments_are_named(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        shapes.write_motion_shapes(tmp_path / "d", **{"num_clips": 1, **options})
    assert not (tmp_path / "d").exists()
    if "fps" not in options:
        with pytest.raises(ValueError, match=words):
            shapes.make_clips(**{"split": "val", "num_clips": 1, **options})


def test_bad_events_are_named():
    with pytest.raises(ValueError, match=r"second must be one of 'blink'.*got 'fly'"):
        shapes.render_clip("spin", "fly", 0)
    with pytest.raises(ValueError, match="two different events; both are 'spin'"):
        shapes.render_clip("spin", "spin", 0)
    with pytest.raises(ValueError, match="scene_seed must be an integer of at least 0, got -2"):
        shapes.render_clip("spin", "blink", -2)


def test_the_command_line_writes_and_reports(tmp_path, capsys):
    arguments = [str(tmp_path / "d"), "--num-clips", "12", "--num-frames", "16", "--size", "16"]
    assert command_line.main([*arguments, "--split", "val", "--extra"]) == 0
    captured = capsys.readouterr()
    assert "12 files written" in captured.out
    assert captured.err == ""  # it is no terminal
    folders = sorted(path.name for path in (tmp_path / "d").iterdir() if path.is_dir())
    assert folders == list(shapes.EXTRA_CLASS_NAMES)
    assert command_line.main([*arguments, "--seed", "-1"]) == 2
    assert capsys.readouterr().err == "error: seed must be an integer of at least 0, got -1.\n"


class TestTogether:
    def test_one_event_is_drawn_as_render_clip_draws_it(self):
        """Alone, an event has the poses that it has as a part of a longer clip."""
        scene = render.draw_scene(np.random.default_rng([0, 5]), "train", 64)
        rng = np.random.default_rng([0, 5, 1 + ALL_EVENTS.index("spin")])
        wanted = [render.draw_frame(scene, pose) for pose in render.draw_event("spin", rng, 24)]
        clip = shapes.render_together(["spin"], scene_seed=5)
        assert (clip[8:] == np.stack(wanted)).all()
        assert (clip[:8] == render.draw_frame(scene, render.Pose())).all()

    def test_nothing_happens_without_events(self):
        clip = shapes.render_together([], scene_seed=5, num_frames=16, size=32)
        assert clip.shape == (16, 32, 32, 3)
        assert (clip == clip[:1]).all()

    def test_the_order_has_no_effect_and_each_event_has_one(self):
        events = ["blink", "spin", "swing_x"]
        clip = shapes.render_together(events, scene_seed=2)
        assert (clip == shapes.render_together(events[::-1], scene_seed=2)).all()
        for event in events:
            fewer = [other for other in events if other != event]
            assert (clip != shapes.render_together(fewer, scene_seed=2)).any()

    def test_poses_of_two_events(self):
        one = render.Pose(dx=0.1, scale=2.0, opacity=0.5, tint=0.2)
        other = render.Pose(dx=0.2, turns=0.25, scale=0.5, opacity=0.5, stretch=1.5)
        found = render.both(one, other)
        assert found == render.both(other, one)
        assert found == pytest.approx((0.1 + 0.2, 0.0, 1.0, 0.25, 0.25, 1.5, 0.0, 0.2))
        assert render.both(one, render.Pose()) == one

    @pytest.mark.parametrize(
        ("events", "options", "message"),
        [
            ("spin", {}, "events must be a list of different events, got 'spin'"),
            (["spin", "spin"], {}, "events must be a list of different events"),
            (["fly"], {}, "events must be one of 'blink'"),
            (["spin"], {"split": "dev"}, "split must be one of"),
            (["spin"], {"scene_seed": -1}, "scene_seed must be an integer of at least 0"),
        ],
    )
    def test_bad_arguments_are_named(self, events, options, message):
        with pytest.raises(ValueError, match=message):
            shapes.render_together(events, **{"scene_seed": 1, **options})
