"""The CSV of Kinetics, and its videos under both names."""

import pytest

from keras_mlp3d.data import VideoRow, read_kinetics

#: The first two columns of a CSV of Kinetics-400, which has `is_cc` at the end.
HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
LINES = [
    '"massaging person\'s head",-3B32lodo2M,59,69,train,0',
    "yoga,0UvtoZnDSzA,4,14,train,0",
    "zumba,_aBcDeFgHiJ,0,10,train,1",
    "yoga,0KWQOKdDuKA,12,22,validate,0",
]
NAMES = ["-3B32lodo2M_000059_000069", "0UvtoZnDSzA_000004_000014", "_aBcDeFgHiJ_000000_000010"]


@pytest.fixture
def read(tmp_path):
    """Writes the lines and touches the videos, and reads."""

    def call(lines=LINES, videos=(), split="train", header=HEADER, **kwargs):
        (tmp_path / "kinetics.csv").write_text("\n".join([header, *lines]) + "\n")
        for name in videos:
            (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "videos" / name).touch()
        (tmp_path / "videos").mkdir(exist_ok=True)
        return read_kinetics(tmp_path / "kinetics.csv", tmp_path / "videos", split, **kwargs)

    return call


def paths(manifest):
    return [row.path.removeprefix(manifest.root + "/") for row in manifest.rows]


@pytest.mark.parametrize(
    "videos",
    [
        [f"{name}.mp4" for name in NAMES],
        [f"{name}.mp4" for name in ("-3B32lodo2M", "0UvtoZnDSzA", "_aBcDeFgHiJ")],
        [
            "massaging_person's_head/-3B32lodo2M.mkv",
            "train/yoga/0UvtoZnDSzA_000004_000014.webm",
            "zumba/_aBcDeFgHiJ.mp4",
        ],
    ],
)
def test_both_names_flat_or_in_folders(read, videos, tmp_path):
    manifest = read(videos=[*videos, "unlisted.mp4", "notes.txt"])
    assert manifest.class_names == ("massaging person's head", "yoga", "zumba")
    assert paths(manifest) == videos
    assert manifest.labels.tolist() == [0, 1, 2]
    assert all(row.start is row.end is None for row in manifest.rows)
    assert manifest.not_found == ()


def test_folders_that_are_links(read, tmp_path):
    elsewhere = tmp_path / "disk2" / "zumba"
    elsewhere.mkdir(parents=True)
    (elsewhere / f"{NAMES[2]}.mp4").touch()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "zumba").symlink_to(elsewhere)
    (elsewhere / "around").symlink_to(tmp_path / "videos")  # a circle
    (tmp_path / "videos" / "again").symlink_to(elsewhere)
    manifest = read(videos=[f"massaging/{NAMES[0]}.mp4", f"yoga/{NAMES[1]}.mp4"])
    assert manifest.not_found == ()
    assert manifest.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("header", [HEADER, HEADER.removesuffix(",is_cc")])
def test_missing_videos_are_listed(read, header):
    lines = LINES if header == HEADER else [line.rsplit(",", 1)[0] for line in LINES]
    manifest = read(lines, ["0UvtoZnDSzA.mp4", "-3B32lodo2M_000059_000070.mp4"], header=header)
    assert paths(manifest) == ["0UvtoZnDSzA.mp4"]
    assert manifest.not_found == (NAMES[0], NAMES[2])
    assert manifest.class_names == ("massaging person's head", "yoga", "zumba")


def test_the_stretch_of_whole_videos(read, tmp_path):
    videos = ["0UvtoZnDSzA.mp4", f"{NAMES[2]}.mp4", "_aBcDeFgHiJ.mp4"]
    lines = [*LINES, "zumba,0UvtoZnDSzA,14,24,train,0"]
    manifest = read(lines, videos, trimmed=False)
    whole = tmp_path / "videos" / "0UvtoZnDSzA.mp4"
    assert manifest.rows == (
        VideoRow(whole, 1, 4.0, 14.0),
        VideoRow(tmp_path / "videos" / f"{NAMES[2]}.mp4", 2),
        VideoRow(whole, 2, 14.0, 24.0),
    )


def test_splits_and_classes(read):
    for split in ("val", "validate"):
        manifest = read(videos=["0KWQOKdDuKA.mp4"], split=split, class_names=["zumba", "yoga"])
        assert (manifest.labels.tolist(), manifest.split) == ([1], split)
    with pytest.raises(ValueError, match=r"split 'test' is empty: .* has \['train', 'val'\]"):
        read(split="test")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["yoga,a/../../b,1,2,train,0"], r"line 2 has the youtube_id 'a/\.\./\.\./b'"),
        (["yoga,,1,2,train,0"], "line 2 has the youtube_id ''"),
        (["yoga,a,x,2,train,0"], "line 2 has the time_start 'x'; it must be an integer"),
        (["yoga,a,1,2.5,train,0"], "line 2 has the time_end '2.5'"),
        (["yoga,a,-1,2,train,0"], "line 2 has the time_start '-1'"),
        (["yoga,a,1,inf,train,0"], "line 2 has the time_end 'inf'"),
        (["yoga,a,nan,2,train,0"], "line 2 has the time_start 'nan'"),
        (["yoga,a,3,3,train,0"], "line 2 ends at 3 s and starts at 3 s"),
        ([LINES[1], "yoga,0UvtoZnDSzA,4.0,14,train,0"], "line 3 repeats line 2: 0UvtoZnDSzA_0"),
        ([",a,1,2,train,0"], "line 2 has no label"),
        (["yoga,a,1,2,train"], "line 2 must have 6 fields"),
        (["zumba,a,1,2,train,0"], "line 2 has the label 'zumba', which is none of the 1 classes"),
        (
            ["yoga,0UvtoZnDSzA,1,2,train,0", LINES[1]],
            r"line 3 may mean .*DSzA\.mp4, and so may .* 2",
        ),
        (["yoga,twice,1,2,train,0"], r"line 2 may mean either of two files: .*x/twice\.mp4 and"),
        (["yoga,gone,1,2,train,0"], "empty; none of the 1 videos that it lists was found"),
        ([], "the split 'train' is empty"),
    ],
)
def test_wrong_lines_are_named(read, lines, message):
    with pytest.raises(ValueError, match=message):
        read(lines, ["0UvtoZnDSzA.mp4", "x/twice.mp4", "y/twice.mp4"], class_names=["yoga"])


def test_wrong_columns_and_places(read, tmp_path):
    with pytest.raises(ValueError, match=r"lacks the columns \['label'\]"):
        read(["a,1,2,test"], header="youtube_id,time_start,time_end,split")
    with pytest.raises(FileNotFoundError, match="a CSV file of Kinetics"):
        read_kinetics(tmp_path / "no.csv", tmp_path)
    with pytest.raises(FileNotFoundError, match="videos must be a folder of videos"):
        read_kinetics(tmp_path / "kinetics.csv", tmp_path / "no")
