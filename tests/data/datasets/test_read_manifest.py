"""The reader that looks at what it was given."""

import pytest

from keras_mlp3d.data import read_csv, read_folder, read_manifest


def test_folder_or_csv(tmp_path):
    for name in ("run", "jump"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "a.mp4").touch()
    folder = read_manifest(tmp_path)
    assert folder == read_folder(tmp_path / "train")
    path = tmp_path / "list.CSV"
    folder.write_csv(path)
    listed = read_manifest(str(path), "val", ["run", "jump"])
    assert listed == read_csv(path, "val", ["run", "jump"])
    assert listed.labels.tolist() == [1, 0]


def test_wrong_sources(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(FileNotFoundError, match=r"source must .*nowhere does not exist"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"\.csv, \.tsv, \.txt or \.shards\.json, got .*a\.mp4"):
        read_manifest(tmp_path / "a.mp4")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".TXT"])
def test_endings_of_lists(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_text("a.mp4 0\n")
    assert read_manifest(path) == read_csv(path)


@pytest.mark.parametrize(
    "option", [{"columns": {"path": "file"}}, {"separator": "tab"}, {"header": False}]
)
def test_options_of_lists_are_refused_for_folders(tmp_path, option):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.mp4").touch()
    with pytest.raises(ValueError, match=f"{next(iter(option))} is for a CSV, and .* is a folder"):
        read_manifest(tmp_path, **option)
