"""A PyTorch DataLoader over a VideoLoader: every pass another epoch, or an error that says how."""

import time

import keras
import numpy as np
import pytest
from data.loading.gray_clips import (
    CONVERTER,
    RANDOM,
    are_same,
    assert_same_batches,
    numbered_clip,
    numbered_rows,
)

from keras_mlp3d.data.loading.video_loader import VideoLoader

if keras.backend.backend() != "torch":
    # JAX warns of forks, and a process that TensorFlow runs in may not be forked at all.
    pytest.skip("the processes of PyTorch start soonest", allow_module_level=True)

import torch.utils.data

DataLoader = torch.utils.data.DataLoader
#: How worker processes may be started, and whether they stay from epoch to epoch.
WORKERS = {
    "none": {},
    "fork": {"num_workers": 2, "multiprocessing_context": "fork"},
    "fork, staying": {
        "num_workers": 2,
        "multiprocessing_context": "fork",
        "persistent_workers": True,
    },
    "one": {"num_workers": 1, "multiprocessing_context": "fork", "prefetch_factor": 5},
    # One process, which stays: each imports PyTorch anew.
    "spawn": {"num_workers": 1, "multiprocessing_context": "spawn", "persistent_workers": True},
}


def loader_of(manifest, batch_size=2):
    return VideoLoader(manifest, RANDOM, batch_size, training=True, seed=3)


def one_pass(batches):
    """The batches of a DataLoader, which are tensors, as NumPy arrays."""
    found = []
    for clips, labels in batches:
        assert (clips.dtype, labels.dtype) == (torch.uint8, torch.int32)
        found.append((clips.numpy(), labels.numpy()))
    return found


def first_batch(batches):
    """The first batch. The processes end here.

    Otherwise they end when Python collects the iterator, which an error holds in a circle, and that
    may be while others start: each then waits five seconds.
    """
    iterator = iter(batches)
    try:
        return next(iterator)
    finally:
        if hasattr(iterator, "_shutdown_workers"):
            iterator._shutdown_workers()


def plain_epochs(manifest, count):
    """What plain iteration gives."""
    loader = loader_of(manifest)
    return [list(loader) for _ in range(count)]


@pytest.mark.parametrize("how", WORKERS)
def test_each_pass_is_the_epoch_of_plain_iteration(manifest, how):
    expected = plain_epochs(manifest, 3)
    assert not are_same(expected[0], expected[1])
    loader = loader_of(manifest)
    batches = DataLoader(loader, batch_size=None, sampler=loader.sampler, **WORKERS[how])
    assert len(batches) == 3
    for epoch in range(2):
        assert_same_batches(one_pass(batches), expected[epoch])
    assert loader.epoch == 2
    assert_same_batches(list(loader), expected[2])  # and on without it


@pytest.mark.parametrize("how", ["none", "fork", "fork, staying"])
def test_a_pass_that_is_broken_off_was_an_epoch(manifest, how):
    expected = plain_epochs(manifest, 4)
    loader = loader_of(manifest)
    batches = DataLoader(loader, batch_size=None, sampler=loader.sampler, **WORKERS[how])
    first = iter(batches)
    assert_same_batches(one_pass([next(first)]), expected[0][:1])
    # The first pass is not at its end, and its processes may be at work.
    assert_same_batches(one_pass(batches), expected[1])
    loader.epoch = 3  # resumed
    assert_same_batches(one_pass(batches), expected[3])


@pytest.mark.parametrize("how", ["none", "fork", "fork, staying", "one"])
def test_numbers_that_tell_no_epoch_are_refused(manifest, how):
    loader = loader_of(manifest)
    words = r"would repeat the order and.*batch_size=None, sampler=loader\.sampler"
    for data in (loader, torch.utils.data.Subset(loader, [0, 1]), Numbered(loader)):
        for shuffle in (False, True):
            batches = DataLoader(data, batch_size=None, shuffle=shuffle, **WORKERS[how])
            with pytest.raises(RuntimeError, match=words):
                first_batch(batches)


class Numbered(torch.utils.data.Dataset):
    """A user's own data set around a loader, batch by batch."""

    def __init__(self, loader):
        self.loader = loader

    def __len__(self):
        return len(self.loader)

    def __getitem__(self, index):
        return self.loader[index]


class Around(torch.utils.data.IterableDataset):
    """A user's own data set around a loader."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return iter(self.loader)


def test_iteration_in_workers_is_refused(manifest):
    around = Around(loader_of(manifest))
    with pytest.raises(RuntimeError, match=r"was iterated over.*sampler=loader\.sampler"):
        first_batch(DataLoader(around, batch_size=None, **WORKERS["fork"]))
    plain = DataLoader(around, batch_size=None)
    assert_same_batches(
        [*one_pass(plain), *one_pass(plain)], [b for e in plain_epochs(manifest, 2) for b in e]
    )


@pytest.mark.parametrize("how", ["none", "fork"])
def test_batches_of_batches_are_refused(manifest, how):
    loader = loader_of(manifest)
    for options in ({}, {"batch_size": 4}, {"sampler": loader.sampler}):
        with pytest.raises(TypeError, match="returns whole batches: use DataLoader"):
            first_batch(DataLoader(loader, **options, **WORKERS[how]))


@pytest.mark.parametrize("how", ["none", "fork", "fork, staying", "one"])
def test_validation_is_the_same_in_every_pass(manifest, how):
    loader = VideoLoader(manifest, CONVERTER, 3)
    batches = DataLoader(loader, batch_size=None, **WORKERS[how])
    for _ in range(2):
        assert_same_batches(one_pass(batches), list(loader))


def test_a_worker_decodes_its_own_batches_alone(tmp_path):
    def converter(path, rng, start=None, end=None):
        with open(tmp_path / path, "a") as file:
            file.write("x")
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(12), converter, 1)
    batches = DataLoader(loader, batch_size=None, **WORKERS["fork"])
    assert [int(clips.flatten()[0]) for clips, _ in batches] == list(range(12))
    assert [len((tmp_path / str(k)).read_text()) for k in range(12)] == [1] * 12


def test_an_unreadable_video_is_named(damaged):
    checks = VideoLoader(damaged, CONVERTER, 2)
    batches = DataLoader(checks, batch_size=None, **WORKERS["fork, staying"])
    for _ in range(2):
        with pytest.raises(Exception, match=r"broken\.mp4"):
            one_pass(batches)
    loader = VideoLoader(damaged, CONVERTER, 7, training=True)
    batches = DataLoader(loader, batch_size=None, sampler=loader.sampler, **WORKERS["fork"])
    for _ in range(2):
        ((clips, _),) = one_pass(batches)
        assert len(clips) == 7


def test_fit_takes_a_data_loader(manifest):
    loader = loader_of(manifest)
    batches = DataLoader(loader, batch_size=None, sampler=loader.sampler, **WORKERS["fork"])
    model = keras.Sequential([keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(batches, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert loader.epoch >= 2  # Keras begins passes besides, to look at the first batch


def test_a_fork_does_not_wait_for_clips_that_the_program_decodes():
    """Its threads hold locks of the cache, and a forked process does not have them."""

    def slow(path, rng, start=None, end=None):
        time.sleep(0.1)
        return numbered_clip(path, rng)

    options = {"training": True, "random_clips": False, "cache": True, "workers": 2}
    loader = VideoLoader(numbered_rows(12), slow, 2, **options)
    expected = [np.array(loader[k][0]) for k in range(6)]
    loader = VideoLoader(numbered_rows(12), slow, 2, **options)
    loader[0]  # and the next are being decoded
    batches = DataLoader(
        loader, batch_size=None, sampler=loader.sampler, timeout=20, **WORKERS["fork"]
    )
    for batch, clips in zip(one_pass(batches), expected, strict=True):
        np.testing.assert_array_equal(batch[0], clips)
