"""Scores: draws, batches of one shape, clips kept or decoded anew."""

import numpy as np
import pytest
from data.make_videos import moving_frames, write_video
from search.fake_supernet import FakeSupernet, bright_clips

from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
from keras_mlp3d.search import Scorer, SearchSpace

SPACE = SearchSpace(("shift_token",), (1, 2, 4))
ONE, TWO, FOUR = SPACE.mixings


def test_a_score_is_the_share_that_is_right():
    model = FakeSupernet(SPACE.mixings)
    scorer = Scorer(model, bright_clips([0, 1, 2, 3, 4]), batch_size=2)
    assert scorer((ONE, ONE)) == 1 / 5
    assert scorer((TWO, ONE)) == 2 / 5
    assert scorer((FOUR, TWO)) == 4 / 5
    assert scorer((FOUR, FOUR)) == 1.0
    assert scorer.in_memory
    assert scorer.expected == 5
    assert scorer.failed == ()


def test_all_batches_have_one_shape_and_filling_does_not_count():
    model = FakeSupernet(SPACE.mixings)
    clips, labels = bright_clips([0] * 7)
    scorer = Scorer(model, (clips, labels), batch_size=3)
    assert scorer((ONE, ONE)) == 1.0
    assert model.shapes == [((3, 4, 32, 32, 3), np.dtype("uint8"))] * 3
    # As many batches as needed and none larger: 9 places for 9 clips.
    model = FakeSupernet(SPACE.mixings)
    Scorer(model, bright_clips([0] * 9), batch_size=8)((ONE, ONE))
    assert [shape[0] for shape, _ in model.shapes] == [5, 5]


def test_undecided_blocks_are_drawn_anew_for_every_batch():
    model = FakeSupernet(SPACE.mixings)
    scorer = Scorer(model, bright_clips([0] * 40), batch_size=1)
    scorer((TWO, None, None), seed=3)
    history = model.backbone.history
    assert len(history) == 40
    assert {choices[0] for choices in history} == {1}
    assert {choices[1] for choices in history} == {choices[2] for choices in history} == {0, 1, 2}
    rng = np.random.default_rng(3)
    assert history == [[1, int(rng.integers(3)), int(rng.integers(3))] for _ in range(40)]


def test_candidates_of_a_block_meet_the_same_draws():
    model = FakeSupernet(SPACE.mixings)
    scorer = Scorer(model, bright_clips([0] * 12), batch_size=2)
    scorer((ONE, None, None), seed=1)
    scorer((FOUR, None, None), seed=1)
    scorer((FOUR, None, None), seed=2)
    rest = [choices[1:] for choices in model.backbone.history]
    assert rest[:6] == rest[6:12] != rest[12:]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five videos of rising brightness, one of which is none."""
    folder = tmp_path_factory.mktemp("videos")
    rows = []
    for number in range(5):
        path = folder / f"{number}.mp4"
        write_video(path, np.full_like(moving_frames(6, 40, 40), 50 * number))
        rows.append(VideoRow(str(path), number % 2))
    (folder / "2.mp4").write_bytes(b"no video")
    return Manifest(rows, ("dark", "light"), "val", not_found=("lost",))


def converter():
    return VideoConverter(num_frames=4, image_size=(32, 32))


@pytest.mark.parametrize(("max_bytes", "kept"), [(2**30, True), (5 * 4 * 32 * 32 * 3 - 1, False)])
def test_clips_of_a_manifest_kept_or_not_give_one_score(videos, max_bytes, kept):
    """Class 1 is right for the videos 1 and 3 where they are not too bright."""
    model = FakeSupernet([*SPACE.mixings], ("dark", "light"), converter())
    seen = []
    scorer = Scorer(
        model, videos, 2, max_bytes=max_bytes, progress=lambda *counts: seen.append(counts)
    )
    assert scorer.in_memory is kept
    assert seen == ([(done, 5) for done in range(1, 6)] if kept else [])
    assert scorer.expected == 6
    for _ in range(2):
        # Video 0 is as dark as any choice takes and then called light, which is wrong; 4 is right.
        assert scorer((ONE, ONE)) == (1 if model.shapes else 0) / 6
        assert [path.rsplit("/", 1)[-1] for path, _ in scorer.failed] == ["lost", "2.mp4"]
    assert {shape for shape, _ in model.shapes} == {(2, 4, 32, 32, 3)}


def test_nothing_to_score_on(videos):
    rows = [videos.rows[2]]
    model = FakeSupernet(SPACE.mixings, None, converter())
    with pytest.raises(ValueError, match=r"All 1 videos are unreadable, such as .*2\.mp4"):
        Scorer(model, Manifest(rows, ("dark", "light"), "val"))


def test_bad_arguments(videos):
    clips, labels = bright_clips([0, 1])
    model = FakeSupernet(SPACE.mixings, ("light", "dark"), converter())
    for arguments, message in (
        (((clips, labels), 0), "batch_size must be a positive integer, got 0"),
        (((clips / 2, labels),), "clips must be uint8"),
        (((clips[:0], labels[:0]),), "at least one clip"),
        (((clips, labels[:1]),), "labels must be 2 integers"),
        (((clips, labels / 2),), "labels must be 2 integers"),
        ((videos,), "must have the classes of fake in its order"),
    ):
        with pytest.raises(ValueError, match=message):
            Scorer(model, *arguments)
    with pytest.raises(ValueError, match="fake has no converter"):
        Scorer(FakeSupernet(SPACE.mixings), videos)


def test_outputs_that_are_no_numbers(monkeypatch):
    model = FakeSupernet(SPACE.mixings)
    model.predict_on_batch = lambda clips: np.full((len(clips), 2), np.nan)
    with pytest.raises(ValueError, match="fake returns outputs that are not finite"):
        Scorer(model, bright_clips([0]))((ONE, ONE))


def test_which_clips_are_right():
    model = FakeSupernet(SPACE.mixings)
    scorer = Scorer(model, bright_clips([0, 1, 2, 3, 4]), batch_size=2)
    right = scorer.right((FOUR, TWO))
    assert (right.dtype, right.shape, right.mean()) == (bool, (5,), 4 / 5)
