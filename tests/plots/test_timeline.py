"""Scores over time: the picture, and the video with captions."""

import av
import numpy as np
import pytest

from keras_mlp3d.plots import check_overlay_path, plot_timeline, write_overlay

NAMES = ["fall", "jump $1", "run", "turn"]
#: "run" first, then "fall"; "turn" never.
WINDOWS = [
    (0.0, 2.0, [0.1, 0.1, 0.8, 0.0]),
    (0.5, 2.5, [0.2, 0.1, 0.7, 0.0]),
    (1.0, 3.0, [0.9, 0.05, 0.05, 0.0]),
]


def test_classes_come_in_the_order_of_their_best_windows(tmp_path):
    figure = plot_timeline(WINDOWS, NAMES, tmp_path / "out.png", top_k=3, title="a$b.mp4")
    [axes] = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["run", "jump $1", "fall"]
    [mesh] = axes.collections
    drawn = mesh.get_array().reshape(3, 3)
    np.testing.assert_allclose(drawn[0], [0.8, 0.7, 0.05])
    # A window reaches half-way to the next.
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0.0, 1.25, 1.75, 3.0])
    assert (tmp_path / "out.png").stat().st_size > 0


def captioned(tmp_path, picture, windows=WINDOWS, seconds=3, **options):
    path = tmp_path / "out.mp4"
    frames = ((place / 8, picture) for place in range(8 * seconds))
    write_overlay(frames, windows, NAMES, path, fps=8, **options)
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def test_each_frame_shows_the_window_whose_middle_is_nearest(tmp_path):
    picture = np.full((121, 161, 3), 90, "uint8")  # odd sides
    shown = captioned(tmp_path, picture)
    assert len(shown) == 24
    assert shown[0].shape == (120, 160, 3)
    # Middles are 1.0, 1.5 and 2.0 s, so that captions change at 1.25 and 1.75 s.
    changes = [
        place / 8
        for place in range(1, 24)
        if np.abs(shown[place].astype(int) - shown[place - 1]).max() > 60
    ]
    assert changes == [1.25, 1.75]
    # Only the lower left corner is drawn on.
    assert np.abs(shown[0][:60].astype(int) - 90).max() < 12
    assert shown[0][80:].max() > 200
    assert np.abs(shown[0][:, 130:].astype(int) - 90).max() < 12


def test_a_number_of_classes(tmp_path):
    picture = np.full((120, 160, 3), 90, "uint8")
    heights = []
    for top_k in (1, 4):
        changed = np.abs(captioned(tmp_path, picture, top_k=top_k)[0].astype(int) - 90) > 30
        heights.append(changed.any(axis=(1, 2)).sum())
    assert heights[1] > 2.5 * heights[0]


def test_nothing_is_left_of_what_fails(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_overlay([], WINDOWS, NAMES, tmp_path / "out.mp4", fps=8)

    def broken():
        yield 0.0, np.zeros((32, 32, 3), "uint8")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_overlay(broken(), WINDOWS, NAMES, tmp_path / "out.mp4", fps=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("draw", [
    plot_timeline, lambda *windows: write_overlay([], *windows, "out.mp4", 8)
])  # fmt: skip
def test_wrong_windows(draw):
    with pytest.raises(ValueError, match="at least one window"):
        draw([], NAMES)
    with pytest.raises(ValueError, match="must have 3 scores each"):
        draw(WINDOWS, NAMES[:3])


def test_wrong_paths(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match=r"ends in \.mp4, \.mkv, \.mov, got"):
        check_overlay_path("out.avi")
    with pytest.raises(ValueError, match="it is a directory"):
        check_overlay_path(tmp_path / "folder.mp4")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        check_overlay_path(tmp_path / "absent" / "out.mp4")


def test_frames_are_shown_when_they_are_in_the_video(tmp_path):
    times = [0.0, 0.04, 0.16, 0.36, 2.0, 2.04]
    frames = [(second, np.zeros((32, 32, 3), "uint8")) for second in times]
    path = tmp_path / "out.mp4"
    write_overlay(frames, [(0.0, 2.0, [0.9, 0.1])], ["jump", "run"], path, fps=25)
    with av.open(str(path)) as file:
        shown = [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]
    np.testing.assert_allclose(shown, times, rtol=0, atol=1e-3)


def test_pictures_without_pixels(tmp_path):
    frames = [(0.0, np.zeros((1, 9, 3), "uint8"))]
    with pytest.raises(ValueError, match="at least 2 x 2 pixels"):
        write_overlay(frames, [(0.0, 1.0, [1.0])], ["jump"], tmp_path / "out.mp4", fps=25)
