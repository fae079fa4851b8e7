"""`predict`: which videos, which clips, what is printed and drawn."""

import json

import numpy as np
import pytest
from cli.conftest import NAMES, logits_of
from matplotlib.image import imread

from keras_mlp3d.data import VideoConverter

pytestmark = pytest.mark.usefixtures("quick")


def scores_of(views):
    powers = np.exp(logits_of(views).astype("float64"))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)


def expected(path, converter, **views):
    clips, indices = converter.views(path, **views)
    scores = scores_of(clips)
    best = np.argsort(-scores)
    return [NAMES[place] for place in best], scores[best], indices


def test_videos_of_a_folder_as_json(run, presets, videos):
    code, out, err = run("predict", videos, "--preset", presets / "clips", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    paths = [str(videos / "b.mkv"), str(videos / "sub" / "a.mkv")]
    assert [entry["path"] for entry in said] == paths
    for entry in said:
        labels, scores, indices = expected(entry["path"], VideoConverter(8, (32, 32)), crops=3)
        assert entry["labels"] == labels
        np.testing.assert_allclose(entry["scores"], scores, rtol=1e-5)
        assert entry["frame_indices"] == indices.tolist()


def test_text(run, presets, videos):
    path = videos / "b.mkv"
    code, out, err = run("predict", path, "--preset", presets / "clips", "--top-k", 2)
    labels, scores, _ = expected(str(path), VideoConverter(8, (32, 32)), crops=3)
    lines = [f"  {100 * scores[k]:5.1f} %  {labels[k]}" for k in range(2)]
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(path), *lines]


def test_clips_and_their_form(run, presets, videos):
    path = str(videos / "b.mkv")
    form = ["--clips", 2, "--crops", 1, "--frames", 16, "--size", "36x40"]
    for preset in ("clips", "no_converter"):
        code, out, _ = run("predict", path, "--preset", presets / preset, *form, "--json")
        _, scores, indices = expected(path, VideoConverter(16, (36, 40)), clips=2, crops=1)
        [entry] = json.loads(out)
        assert code == 0
        np.testing.assert_allclose(entry["scores"], scores, rtol=1e-5)
        assert entry["frame_indices"] == indices.tolist()


def test_a_network_on_single_images(run, presets, videos):
    path = str(videos / "b.mkv")
    code, out, _ = run("predict", path, "--preset", presets / "frames", "--json")
    views, indices = VideoConverter(16, (32, 32)).views(path, crops=3)
    scores = scores_of(views.reshape(-1, 32, 32, 3))
    [entry] = json.loads(out)
    assert code == 0
    np.testing.assert_allclose(entry["scores"], np.sort(scores)[::-1], rtol=1e-5)
    assert entry["frame_indices"] == indices.tolist()


def test_a_picture(run, presets, videos, tmp_path):
    picture = tmp_path / "out.png"
    code, out, _ = run("predict", videos, "--preset", presets / "clips", "--plot", picture)
    assert code == 0
    assert out.count(".mkv") == 2
    assert imread(picture).shape[1] == 1920
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


def test_unreadable_videos_do_not_stop_the_others(run, presets, videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    arguments = [tmp_path / "bad.mp4", videos / "b.mkv", "--preset", presets / "clips"]
    code, out, err = run("predict", *arguments, "--plot", tmp_path / "out.png")
    assert code == 2
    assert out.splitlines()[0] == str(videos / "b.mkv")
    assert err.startswith("keras-mlp3d: error: cannot read the video")
    assert err.count("\n") == 1
    assert "bad.mp4" in err
    assert (tmp_path / "out.png").is_file()
    code, out, _ = run("predict", *arguments, "--json")
    assert (code, len(json.loads(out))) == (2, 1)


def test_progress_where_a_person_watches(run, presets, videos, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = run("predict", videos, "--preset", presets / "clips", "--json")
    assert code == 0
    lines = [line for line in err.split("\r\x1b[K") if line]
    assert [line.partition(" ")[0] for line in lines] == ["1/2", "2/2"]
    for line, name in zip(lines, ("b.mkv", "sub/a.mkv"), strict=True):
        path = str(videos / name)
        assert line[4:] == (path if len(path) <= 50 else f"…{path[-49:]}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.mp4"], "no such video file or folder: absent.mp4"),
        (["{presets}"], "holds no videos"),
        (["{videos}", "--preset", "mlp3d_nan"], "Unknown preset 'mlp3d_nan'"),
        (["{videos}", "--preset", "mlp3d_nano"], "is an architecture without weights"),
        (["{videos}", "--preset", "{presets}/backbone"], "holds a MLP3DBackbone; expected MLP3D"),
        (["{videos}", "--preset", "{presets}/no_converter"], "pass --frames and --size"),
        (["{videos}", "--preset", "{presets}/clips", "--frames", "12"], "12 frames does not fit"),
        (["{videos}", "--plot", "out.jpg"], "ends in .png, .pdf, .svg"),
        (["{videos}", "--plot", "absent/out.png"], "does not exist"),
    ],
)
def test_bad_input_is_one_line(run, presets, videos, arguments, message):
    arguments = [text.format(presets=presets, videos=videos) for text in arguments]
    code, out, err = run("predict", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_too_many_videos_for_a_picture(run, videos):
    code, _, err = run("predict", *[videos / "b.mkv"] * 101, "--plot", "out.png")
    assert code == 2
    assert "--plot draws at most 100 videos, got 101" in err
