"""A folder of parts: complete or absent, resumed, and nobody else's."""

import json
import re

import pyarrow.parquet
import pytest

from keras_mlp3d.inference.dataset_output import (
    DatasetOutput,
    count_rows,
    part_name,
    row_of,
    write_part,
)
from keras_mlp3d.inference.work_list import KnownVideos, Video

SETTINGS = {"preset": "mlp3d_nano", "clips": 1}


def rows(*names, error=""):
    labels, scores = ((), ()) if error else (("run", "jump"), (0.75, 0.25))
    return [row_of(Video(name), labels, scores, error) for name in names]


def written(folder, content, with_parts=False):
    """Writes a part per list of rows, in one run, and returns the run's name."""
    with DatasetOutput(folder, SETTINGS) as output:
        for unit, part in enumerate(content):
            write_part(output.folder, output.run, unit, part, with_parts)
        return output.run


def taken_in(folder, retry_errors=False):
    with DatasetOutput(folder, SETTINGS) as output, KnownVideos() as known:
        counts = output.take_in(known, retry_errors)
        names = [f"{letter}.mp4" for letter in "abcd"]
        return counts, [name for name in names if not known.add(Video(name))]


def names_in(folder):
    return [row["path"] for row in pyarrow.parquet.read_table(folder).to_pylist()]


def test_parts_are_read_by_other_programs_and_by_the_next_run(tmp_path):
    run = written(tmp_path / "new" / "scores", [rows("a.mp4"), rows("c.mp4", error="gone")])
    folder = tmp_path / "new" / "scores"
    # fmt: off
    table = pyarrow.parquet.read_table(folder)  # the whole folder: names with _ are left out
    assert table.to_pylist() == [
        {
            "path": "a.mp4", "folder": None, "labels": ["run", "jump"], "scores": [0.75, 0.25],
            "error": None,
        },
        {"path": "c.mp4", "folder": None, "labels": [], "scores": [], "error": "gone"},
    ]
    # fmt: on
    assert taken_in(folder) == ((2, 1), ["a.mp4", "c.mp4"])
    assert count_rows(folder / part_name(run, 1)) == (1, 1)
    left = {path.name for path in folder.iterdir()} - {part_name(run, 0), part_name(run, 1)}
    assert left == {"_settings.json", "_lock"}


def test_parts_of_videos_have_start_and_end(tmp_path):
    part = [row_of(Video("a.mp4", 1.0, None), ("run",), (1.0,), "")]
    written(tmp_path, [part], with_parts=True)
    [row] = pyarrow.parquet.read_table(tmp_path).to_pylist()
    assert (row["start"], row["end"]) == (1.0, None)
    with DatasetOutput(tmp_path, SETTINGS) as output, KnownVideos() as known:
        output.take_in(known, False)
        assert not known.add(Video("a.mp4", 1.0, None))
        assert known.add(Video("a.mp4"))


def test_errors_of_equal_names_in_other_folders_stay(tmp_path):
    """Only a row of the same video replaces its error."""
    bad, good = (Video("a.mp4", folder=folder) for folder in ("/one", "/two"))
    content = [row_of(bad, (), (), "gone")], [row_of(good, ("run",), (1.0,), "")]
    written(tmp_path, content)
    with DatasetOutput(tmp_path, SETTINGS) as output:
        assert output.drop_replaced() == 0
    found = pyarrow.parquet.read_table(tmp_path).to_pylist()
    assert [(row["path"], row["folder"]) for row in found] == [("a.mp4", "/one"), ("a.mp4", "/two")]


def test_a_unit_that_is_done_twice_has_its_rows_once(tmp_path):
    with DatasetOutput(tmp_path, SETTINGS) as output:
        for _ in range(2):
            write_part(output.folder, output.run, 0, rows("a.mp4", "b.mp4"), False)
    assert names_in(tmp_path) == ["a.mp4", "b.mp4"]


def test_a_worker_left_over_from_a_killed_run_adds_nothing(tmp_path):
    killed = DatasetOutput(tmp_path, SETTINGS)
    write_part(killed.folder, killed.run, 0, rows("a.mp4"), False)
    (killed.work / part_name(killed.run, 1)).write_bytes(b"half a part")
    killed._stack.close()  # the process is gone, and its lock with it
    with DatasetOutput(tmp_path, SETTINGS) as output:
        with pytest.raises(FileNotFoundError) as caught:
            write_part(killed.folder, killed.run, 1, rows("b.mp4"), False)
        assert caught.value.filename == str(tmp_path / part_name(killed.run, 1))
        write_part(output.folder, output.run, 0, rows("b.mp4"), False)
    assert sorted(names_in(tmp_path)) == ["a.mp4", "b.mp4"]


def test_videos_with_an_error_are_tried_again_if_asked(tmp_path):
    failed = rows("b.mp4", "c.mp4", error="gone")
    written(tmp_path, [rows("a.mp4") + failed[:1], failed[1:], rows("d.mp4")])
    assert taken_in(tmp_path) == ((4, 2), ["a.mp4", "b.mp4", "c.mp4", "d.mp4"])
    assert taken_in(tmp_path, retry_errors=True) == ((4, 2), ["a.mp4", "d.mp4"])
    assert sorted(names_in(tmp_path)) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_an_error_stays_until_the_video_has_another_row(tmp_path):
    written(tmp_path, [rows("a.mp4") + rows("b.mp4", "c.mp4", "d.mp4", error="gone")])
    with DatasetOutput(tmp_path, SETTINGS) as output:
        part = rows("b.mp4") + rows("c.mp4", error="still gone")
        write_part(output.folder, output.run, 0, part, False)
        assert output.drop_replaced() == 2
        assert output.drop_replaced() == 0
    found = pyarrow.parquet.read_table(tmp_path).to_pylist()
    errors = {row["path"]: row["error"] for row in found}
    assert errors == {"a.mp4": None, "b.mp4": None, "c.mp4": "still gone", "d.mp4": "gone"}
    assert len(found) == 4


def test_scores_of_other_settings_are_not_mixed(tmp_path):
    written(tmp_path, [rows("a.mp4")])
    with pytest.raises(ValueError, match=r"other settings: clips 1, now 4\. Name another output"):
        DatasetOutput(tmp_path, {**SETTINGS, "clips": 4})
    (tmp_path / "_settings.json").write_text("[1")
    with pytest.raises(ValueError, match=r"_settings\.json is damaged"):
        DatasetOutput(tmp_path, SETTINGS)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"has 'thesis\.txt'. Name another output"):
        DatasetOutput(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="output must be a folder, got the file"):
        DatasetOutput(tmp_path / "thesis.txt", SETTINGS)


def test_parts_without_their_settings_are_refused(tmp_path):
    run = written(tmp_path, [rows("a.mp4")])
    (tmp_path / "_settings.json").unlink()
    with pytest.raises(ValueError, match=re.escape(part_name(run, 0))):
        DatasetOutput(tmp_path, SETTINGS)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b""])
def test_a_damaged_part_is_named(tmp_path, damage):
    run = written(tmp_path, [rows("a.mp4")])
    path = tmp_path / part_name(run, 0)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path.name} is no complete part .* remove it"):
        taken_in(tmp_path)


def test_two_jobs_do_not_write_to_one_folder(tmp_path):
    with DatasetOutput(tmp_path, SETTINGS) as output:
        with pytest.raises(ValueError, match="another job writes to"):
            DatasetOutput(tmp_path, SETTINGS)
        write_part(output.folder, output.run, 0, rows("a.mp4"), False)  # nothing of it was lost
    assert json.loads((tmp_path / "_settings.json").read_text()) == SETTINGS
