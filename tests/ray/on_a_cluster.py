"""A Ray cluster on this machine: two workers, one of them killed; a job that is killed; compare.

Not part of the suite, as it needs Ray: `make test-ray` makes the environment and runs this.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet
import pytest
from data.make_videos import moving_frames, write_video
from search.tiny import RECIPE, write_preset, write_videos

from keras_mlp3d import MLP3D
from keras_mlp3d._utils.ray_cluster import connected, room_for_workers
from keras_mlp3d.inference import DatasetScores, classify, classify_dataset

# Ray's own warnings are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

COUNT, BROKEN = 24, 11


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs, in which this process and all workers are connected."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with connected("local") as ray:
        assert room_for_workers(ray, 1, 0) == 2, "it needs a machine of two processors"
        yield ray


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return write_preset(tmp_path_factory.mktemp("preset") / "tiny")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of videos of different light and size, with a broken one in the middle."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(COUNT):
        frames = moving_frames(16 + number, 40 + 4 * (number % 3), 64) // 2
        write_video(folder / f"{number:02d}.mp4", frames + np.uint8(5 * number))
    (folder / f"{BROKEN}.mp4").write_bytes(b"no video")
    return folder


def assert_same(rows, expected):
    """Every video once, with equal labels and errors, and scores that are equal up to rounding.

    A float32 sum depends in its last digit on where in memory an array is: 1.3e-8 were seen.
    """
    assert rows.keys() == expected.keys()
    for path, row in rows.items():
        other = expected[path]
        assert (row["labels"], row["error"]) == (other["labels"], other["error"])
        assert row["scores"] == pytest.approx(other["scores"], abs=1e-6)


@pytest.fixture(scope="module")
def expected(preset, videos):
    """{path: row} as `classify` in this process gives it."""
    paths = sorted(map(str, videos.iterdir()))
    found = classify(MLP3D.from_preset(preset), paths, on_error="report")
    return {
        one.path: {
            "labels": list(one.labels),
            "scores": list(one.scores),
            "error": one.error or None,
        }
        for one in found
    }


def rows_in(folder):
    """{path: row}; fails if a path has two."""
    rows = pyarrow.parquet.read_table(folder).to_pylist()
    by_path = {row.pop("path"): row for row in rows}
    assert len(by_path) == len(rows)
    return by_path


def workers():
    """Process ids of the scoring workers below this process."""
    parents, named = {}, []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text()
            name = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if entry.name.isdecimal():
            parents[int(entry.name)] = int(status.rsplit(")", 1)[1].split()[1])
            if name.startswith(b"ray::") and b"DatasetWorker" in name:
                named.append(int(entry.name))
    return [pid for pid in named if os.getpid() in ancestors(pid, parents)]


def ancestors(pid, parents):
    found = set()
    while pid in parents and pid not in found:
        found.add(pid)
        pid = parents[pid]
    return found


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "keras_mlp3d", *map(str, arguments)]


def test_a_worker_is_killed_and_every_video_has_one_row(
    cluster, preset, videos, expected, tmp_path
):
    killed, states = [], []

    def kill_one(*state):
        states.append(state)
        if not killed:
            both = workers()
            assert len(both) == 2
            os.kill(both[0], signal.SIGKILL)
            killed.append(both[0])

    found = classify_dataset(
        videos,
        preset,
        tmp_path / "scores",
        workers=2,
        part_size=3,
        progress=kill_one,
    )
    assert killed
    assert found == DatasetScores(str(tmp_path / "scores"), COUNT, 1, COUNT)
    assert states[-1] == (COUNT, COUNT)
    assert_same(rows_in(tmp_path / "scores"), expected)


def test_a_killed_job_resumes(cluster, preset, videos, expected, tmp_path):
    """The job has a cluster of its own, which ends with it."""
    output = tmp_path / "scores"
    line = command("predict", videos, "--preset", preset, "--ray", "local", "--output", output)
    line += ["--part-size", "1", "--ray-workers", "2"]
    job = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(list(output.glob("part-*"))) < 3:
            assert job.poll() is None, "it ended before it was killed"
            time.sleep(0.02)
    finally:
        job.kill()
        job.wait()
    before = {path: path.stat().st_mtime_ns for path in output.glob("part-*")}
    done = rows_in(output)
    assert 3 <= len(done) < COUNT
    found = classify_dataset(videos, preset, output, part_size=1)
    assert found.videos == COUNT
    assert COUNT - len(done) - 2 <= found.scored <= COUNT - len(done)  # two were being written
    assert_same(rows_in(output), expected)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert not (output / "_work").exists()


def test_an_error_of_a_worker_is_one_line(cluster, preset, videos, tmp_path):
    """The videos are not at fault: the network's outputs are not numbers."""
    model = MLP3D.from_preset(preset)
    for weight in model.weights:
        weight.assign(weight * float("nan"))
    model.save_to_preset(tmp_path / "nan")
    with pytest.raises(ValueError, match="outputs that are not finite numbers"):
        classify_dataset(videos, tmp_path / "nan", tmp_path / "scores")
    assert not list((tmp_path / "scores").glob("part-*"))


def test_a_comparison_is_the_same_with_ray(preset, tmp_path):
    videos = write_videos(tmp_path / "videos")
    recipe = tmp_path / "tiny.json"
    recipe.write_text(json.dumps({"receipt": "unmeasured", "name": "tiny", **RECIPE}))
    line = command("compare", "--data", videos, "--preset", preset, "--recipe", recipe)
    line += ["--from-scratch", "--without-2d", "--sizes", "1,2", "--families", "SR"]
    for name, options in (("without", []), ("with", ["--ray", "local"])):
        subprocess.run([*line, "--run", str(tmp_path / name), *options], check=True)
    results = [(tmp_path / name / "comparison.json").read_text() for name in ("without", "with")]
    assert results[0] == results[1]
    runs = sorted(path.name for path in (tmp_path / "without").glob("*-seed*"))
    assert len(runs) == 2
    for run in runs:
        one, other = (np.load(tmp_path / name / run / "best.npz") for name in ("without", "with"))
        assert one.files == other.files
        assert all(np.array_equal(one[key], other[key]) for key in one.files)
        for name in ("run.json", "evaluation.json"):
            texts = [(tmp_path / side / run / name).read_text() for side in ("without", "with")]
            assert texts[0] == texts[1]
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "with").rglob("*.npz")}
    subprocess.run([*line, "--run", str(tmp_path / "with")], check=True)
    assert times == {path: path.stat().st_mtime_ns for path in times}  # it is only read


def test_the_folds_of_a_cross_validation(tmp_path):
    """Two of four folds, each in a worker; then the same command reads their results."""
    speakers, root = [f"S{number:02}" for number in range(12)], pathlib.Path(__file__).parents[2]
    for split, names in (("train", speakers[:9]), ("val", speakers[9:])):
        for number, name in enumerate(names):
            for light, kind in ((0, "dark"), (90, "bright")):
                folder = tmp_path / "data" / split / kind
                folder.mkdir(parents=True, exist_ok=True)
                frames = moving_frames(16, 40, 64) // 2 + np.uint8(light + number)
                write_video(folder / f"{name}_0.mp4", frames)
    command = [sys.executable, root / "benchmarks" / "lip_speakers.py", "--data", tmp_path / "data"]
    command += ["--run", tmp_path / "run", "--folds", "0", "3", "--networks", "S = 1"]
    command += ["--ray", "local", "--set", "epochs=1", "warmup_epochs=0.5", "batch_size=6"]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "fold 0: without S00, S04, S08" in done.stdout
        assert "| S = 1 | 10.2 |" in done.stdout
    made = [tmp_path / "run" / f"fold{number}" / "S1" / "answers.json" for number in (0, 3)]
    assert all(path.exists() for path in made)
