"""Pictures: what they show, that texts keep to their places, and what is refused."""

import builtins
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from keras_mlp3d import plots

LONG = "Moving [something] and [something] so that they collide with each other and both fall over"


@dataclasses.dataclass
class Said:
    path: str = "videos/a.mp4"
    labels: tuple = ("jump", "run")
    scores: tuple = (0.75, 0.25)


@dataclasses.dataclass
class Block:
    kind: str
    group_size: int | None


def clip(frames=16, height=48, width=64):
    """Frame t is of the one gray 10 t."""
    return np.full((frames, height, width, 3), 10 * np.arange(frames)[:, None, None, None], "uint8")


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def boxes(axes):
    renderer = axes.figure.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in axes.texts]


def test_a_row_for_each_video(tmp_path):
    path = tmp_path / "out.png"
    figure = plots.plot_predictions([Said(), Said("b.mp4")], [clip(), clip(3)], path)
    strips, bars = figure.axes[::2], figure.axes[1::2]
    assert [texts_of(axes) for axes in strips] == [["videos/a.mp4"], ["b.mp4"]]
    assert texts_of(bars[0]) == ["75.0 %", "jump", "25.0 %", "run"]
    assert [bar.get_width() for bar in bars[1].patches] == [0.75, 0.25]
    height, width, _ = imread(path).shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * figure.dpi, atol=1)
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


def test_frames_are_evenly_spaced():
    figure = plots.plot_predictions([Said()], [clip(16)], max_frames=4)
    strip = figure.axes[0].images[0].get_array()
    assert [int(strip[0, 65 * place + 30, 0]) for place in range(4)] == [20, 60, 100, 140]


def test_a_short_clip_leaves_the_rest_of_the_strip_empty():
    figure = plots.plot_predictions([Said(), Said()], [clip(2), clip(8)], max_frames=8)
    short, whole = (axes.images[0].get_array() for axes in figure.axes[::2])
    assert abs(short.shape[1] - whole.shape[1]) <= 1
    assert (short[:, 130:] == 255).all()


@pytest.mark.parametrize("shape", [(48, 64), (200, 60), (20, 400), (600, 4)])
def test_nothing_overlaps(shape):
    said = Said("v" * 300 + ".mp4", (LONG, "W" * 200, "c"), (0.9999, 0.0001, 0.0))
    figure = plots.plot_predictions([said, said], [clip(8, *shape)] * 2)
    everything = []
    for strip, bars in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        [title] = boxes(strip)
        shown = strip.texts[0].get_text()
        assert shown.startswith("…v")
        assert shown.endswith("vvv.mp4")
        assert title.x1 <= bars.get_window_extent().x0
        assert strip.get_window_extent().x1 < bars.get_window_extent().x0
        for score, name in zip(boxes(bars)[::2], boxes(bars)[1::2], strict=True):
            assert name.x1 < score.x0
        everything += [title, *boxes(bars)]
    for place, box in enumerate(everything):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in everything[:place])


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("run/00000.mp4", "run/00000.mp4"),
        ("/data/" + "deep/" * 60 + "run/00000.mp4", "…/deep/deep/.../run/00000.mp4"),
        ("C:\\data\\" + "deep\\" * 60 + "run\\0.mp4", "…\\deep\\...\\run\\0.mp4"),
        ("/data/" + "w" * 300 + "/00000.mp4", "…/00000.mp4"),
        ("/data/" + "w" * 300 + "0.mp4", "…www...w0.mp4"),
        ("a/\x1b[2J\n\udcff.mp4", "a/ [2J .mp4"),
    ],
)
def test_a_long_path_loses_folders_from_its_left(path, title):
    figure = plots.plot_predictions([Said(path)], [clip()])
    [shown] = texts_of(figure.axes[0])
    start, _, end = title.partition("...")
    assert shown.startswith(start)
    assert shown.endswith(end)
    if not end:
        assert shown == title
    else:  # nothing more would have fitted
        [box] = boxes(figure.axes[0])
        assert 0.9 < box.width / figure.axes[0].get_window_extent().width <= 1


def test_names_are_no_formulas():
    said = Said("cost$x_$.mp4", ("$\\frac{1$", "two\nlines"), (0.6, 0.4))
    figure = plots.plot_predictions([said], [clip()])
    figure.canvas.draw()
    assert texts_of(figure.axes[0]) == ["cost$x_$.mp4"]
    assert texts_of(figure.axes[1])[1::2] == ["$\\frac{1$", "two lines"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "Between 1 and 100 videos"),
        (([Said()] * 101, [clip(1)] * 101), "got 101"),
        (([Said()], []), "got 0 clips and 1 predictions"),
        (([Said()], [clip().astype("float32")]), r"uint8 clips .*got float32 \(16, 48, 64, 3\)"),
        (([Said()], [clip()[0]]), r"got uint8 \(48, 64, 3\)"),
        (([Said()], [clip()], None, 0), "max_frames must be a positive integer, got 0"),
    ],
)
def test_predictions_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_predictions(*arguments)


# Schedules --------------------------------------------------------------------------------------


def test_blocks_in_a_row_coloured_by_group_size(tmp_path):
    path = tmp_path / "schedule.png"
    pairs = [("short_range", 4), ("long_range", 8), ("shift_window", 4), ("shift_token", 1)]
    figure = plots.plot_schedule([*pairs, ("full", None)], path, depths=(2, 3), title="$XS$")
    axes = figure.axes[0]
    stages = ["SR", "4", "LR", "8", "stage 1"], ["SW", "4", "ST", "1", "full", "stage 2"]
    assert texts_of(axes) == [*stages[0], *stages[1], "$XS$"]
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours[0] == colours[2]
    assert len(set(colours)) == 4
    assert imread(path).shape[2] == 4


def test_mixing_objects_will_do():
    figure = plots.plot_schedule([Block("short_range", 2), Block("full", None)])
    assert texts_of(figure.axes[0]) == ["SR", "2", "full"]


def test_a_long_schedule_with_a_long_title_fits():
    figure = plots.plot_schedule([("shift_token", 16)] * 34, depths=(3, 4, 24, 3), title=LONG)
    everything = boxes(figure.axes[0])
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in everything)
    for place, box in enumerate(everything):
        assert not any(box.overlaps(other) for other in everything[:place])
    short = plots.plot_schedule([("full", None)], title="W" * 60)
    assert boxes(short.axes[0])[-1].x1 <= short.bbox.x1


@pytest.mark.parametrize(
    ("schedule", "depths", "message"),
    [
        ([], None, "at least one"),
        ([("full", None)] * 101, None, "at most 100"),
        ([("full", None)] * 3, (1, 1), r"got 3 entries and depths \[1, 1\]"),
        ([("sideways", 4)], None, r"got \('sideways', 4\)"),
        ([("short_range", None)], None, r"got \('short_range', None\)"),
        ([("short_range", 0)], None, r"got \('short_range', 0\)"),
        ("short_range:4", None, "got 's'"),
    ],
)
def test_schedules_that_cannot_be_drawn(schedule, depths, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_schedule(schedule, depths=depths)


# Files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")]
)
def test_formats(tmp_path, suffix, start):
    path = tmp_path / f"out{suffix}"
    path.write_text("an earlier picture")
    plots.plot_schedule([("full", None)], path)
    assert path.read_bytes().startswith(start)


def test_a_picture_that_fails_leaves_the_earlier_one(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "out.png"
    path.write_text("an earlier picture")

    def failing(self, file, **kwargs):
        with open(file, "w") as half:
            half.write("half")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", failing)
    with pytest.raises(OSError, match="no space left"):
        plots.plot_schedule([("full", None)], path)
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]
    assert path.read_text() == "an earlier picture"


def test_where_no_picture_can_go(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=r"ends in \.png, \.pdf, \.svg, got 'out\.jpg'"):
        plots.check_picture_path("out.jpg")
    with pytest.raises(ValueError, match="is a directory"):
        plots.check_picture_path(tmp_path / "folder.png")
    with pytest.raises(FileNotFoundError, match="absent' does not exist"):
        plots.check_picture_path(tmp_path / "absent" / "out.png")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install keras-mlp3d\[plots\]"):
        plots.plot_schedule([("full", None)])


def test_importing_plots_imports_neither_matplotlib_nor_the_rest(root_dir):
    # Read as files: importing the package would bring its other rooms in with it.
    code = (
        "import importlib.util, sys\n"
        "for name in ('figure', 'predictions', 'schedules'):\n"
        "    full = 'keras_mlp3d.plots.' + name\n"
        "    spec = importlib.util.spec_from_file_location(full, sys.argv[1] + f'/{name}.py')\n"
        "    sys.modules[full] = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(sys.modules[full])\n"
        "print([m for m in sys.modules if m.startswith(('matplotlib', 'keras.'))])\n"
    )
    stubs = (
        "import sys, types\n"
        "for name in ('keras_mlp3d', 'keras_mlp3d.plots'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "    sys.modules[name].__path__ = []\n"
        "sys.modules['keras_mlp3d'].__path__ = [sys.argv[1] + '/..']\n"
    )
    folder = str(root_dir / "keras_mlp3d" / "plots")
    run = subprocess.run(
        [sys.executable, "-c", stubs + code, folder], capture_output=True, text=True, check=False
    )
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
