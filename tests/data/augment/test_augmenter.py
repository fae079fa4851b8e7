"""The whole chain: same numbers, same clips; what it refuses; its config."""

import concurrent.futures
import dataclasses
import json
import zlib

import keras
import numpy as np
import pytest

from keras_mlp3d.data.augment import (
    Augmenter,
    BatchAugmentation,
    CellErasing,
    CutMix,
    FrameErasing,
    HorizontalFlip,
    MixUp,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    SpeedChange,
    batch_generator,
    clip_generator,
)

FULL = Augmenter(
    crop=RandomResizedCrop((24, 28), scale=(0.4, 1.0)),
    flip=HorizontalFlip(0.5, [[0, 1]]),
    rand_augment=RandAugment(),
    erasing=RandomErasing(0.5),
    batch_augmentation=BatchAugmentation(3),
    mix_up=MixUp(0.8),
    cut_mix=CutMix(1.0),
    label_smoothing=0.1,
    num_classes=4,
)
#: What FULL without its crop gives for seed 3, epoch 1.
LABELS, CLIPS, MIXED = [0, 0, 2, 3, 1, 0], 2685219451, 3429902198
SHARES = [[0.7246094, 0.025, 0.2253906, 0.025], [0.925, 0.025, 0.025, 0.025]]


def clip_of(number, frames=4):
    return np.random.default_rng([1, number]).integers(0, 256, (frames, 32, 40, 3), "uint8")


def test_same_numbers_same_clip_in_any_thread_and_order():
    def augmented(index):
        clip, label = FULL(clip_of(index), index % 4, clip_generator(7, 2, index))
        return clip.tobytes(), label

    one_by_one = [augmented(index) for index in range(24)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(augmented, reversed(range(24))))[::-1]
    assert threaded == one_by_one


def test_the_same_on_every_backend():
    """The checksums hold whichever backend runs this test."""
    augmenter = dataclasses.replace(FULL, crop=None)
    pairs = [augmenter(clip_of(i), i % 4, clip_generator(3, 1, i)) for i in range(6)]
    clips = np.stack([clip for clip, _ in pairs])
    labels = [label for _, label in pairs]
    mixed, shares = augmenter.batch(clips, labels, batch_generator(3, 1, 0))
    assert labels == LABELS
    assert zlib.crc32(clips.tobytes()) == CLIPS
    assert zlib.crc32(mixed.tobytes()) == MIXED
    np.testing.assert_allclose(shares[:2], SHARES, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="loads TensorFlow")
def test_tf_data_gets_the_same():
    import tensorflow as tf

    def augmented(index):
        clip, label = FULL(clip_of(index), int(index) % 4, clip_generator(7, 0, int(index)))
        return clip, np.int32(label)

    dataset = tf.data.Dataset.range(8).map(
        lambda index: tf.numpy_function(augmented, (index,), (tf.uint8, tf.int32)),
        num_parallel_calls=2,
    )
    for index, (clip, label) in enumerate(dataset):
        expected, expected_label = augmented(index)
        np.testing.assert_array_equal(clip, expected)
        assert int(label) == expected_label


def test_one_draw_for_all_frames_and_another_for_each_clip():
    still = np.repeat(clip_of(0)[:1], 5, axis=0)
    results = [FULL(still, 2, clip_generator(0, 0, index))[0] for index in range(30)]
    assert all((result == result[0]).all() for result in results)
    assert all(result.shape == (5, 24, 28, 3) for result in results)
    assert len({result.tobytes() for result in results}) == 30
    epochs = {FULL(still, 2, clip_generator(0, epoch, 0))[0].tobytes() for epoch in range(10)}
    assert len(epochs) == 10


def test_steps_draw_in_their_order():
    rng, again = clip_generator(0, 0, 5), clip_generator(0, 0, 5)
    clip, label = FULL(clip_of(0), 1, rng)
    expected, expected_label = FULL.flip(FULL.crop(clip_of(0), again), 1, again)
    expected = FULL.erasing(FULL.rand_augment(expected, again), again)
    np.testing.assert_array_equal(clip, expected)
    assert label == expected_label
    assert rng.random() == again.random()


def test_the_speed_is_changed_first_and_frames_are_erased_last():
    erase, thin = FrameErasing(1.0, share=(0.5, 0.5)), CellErasing(1.0, share=(0.5, 0.5))
    change = SpeedChange(1.0, speed=(2.0, 2.0))
    augmenter = dataclasses.replace(FULL, frame_erasing=erase, cell_erasing=thin, speed=change)
    rng, again = clip_generator(0, 0, 5), clip_generator(0, 0, 5)
    clip, _ = augmenter(clip_of(0), 1, rng)
    expected = FULL(change(clip_of(0), again), 1, again)[0]
    expected = thin(erase(expected, again), again)
    np.testing.assert_array_equal(clip, expected)
    assert len({bool(frame.any()) for frame in clip}) == 2
    assert rng.random() == again.random()


@pytest.mark.parametrize(
    "augmenter",
    [
        FULL,
        Augmenter(),
        Augmenter(flip=HorizontalFlip(0.2, "left_right"), erasing=RandomErasing(fill="mean")),
        Augmenter(flip=HorizontalFlip(label_map=[["a", "b"]])),
        Augmenter(
            frame_erasing=FrameErasing(0.2, (0.1, 0.4), "mean", True),
            speed=SpeedChange(0.2, (0.5, 1)),
        ),
        Augmenter(cell_erasing=CellErasing(0.2, (0.1, 0.4), 16)),
    ],
)
def test_config_round_trip(augmenter):
    config = json.loads(json.dumps(augmenter.get_config()))
    restored = Augmenter.from_config(config)
    assert restored == augmenter
    assert hash(restored) == hash(augmenter)
    assert restored.get_config() == augmenter.get_config()


def test_a_step_by_its_first_argument():
    augmenter = Augmenter.from_config(
        {
            "crop": [24, 28],
            "flip": 0.25,
            "rand_augment": 2,
            "erasing": 0,
            "frame_erasing": 0.3,
            "cell_erasing": 0.2,
            "speed": 0.1,
            "batch_augmentation": 4,
            "mix_up": 0.2,
            "cut_mix": {},
        }
    )
    assert augmenter == Augmenter(
        crop=RandomResizedCrop((24, 28)),
        flip=HorizontalFlip(0.25),
        rand_augment=RandAugment(2),
        erasing=RandomErasing(0.0),
        frame_erasing=FrameErasing(0.3),
        cell_erasing=CellErasing(0.2),
        speed=SpeedChange(0.1),
        batch_augmentation=BatchAugmentation(4),
        mix_up=MixUp(0.2),
        cut_mix=CutMix(),
    )


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Augmenter)])
def test_it_cannot_be_changed(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(FULL, name, None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mixup": 0.8}, r"Augmenter has no \['mixup'\]; its arguments are \['crop', 'flip'"),
        ({"flip": {"p": 0.5}}, r"flip: HorizontalFlip has no \['p'\]"),
        ({"flip": 1.5}, "flip: probability must be a number of at least 0 and of at most 1"),
        ({"mix_up": {"alpha": 0}}, "mix_up: alpha must be a number above 0"),
        ({"rand_augment": "strong"}, "rand_augment: num_ops.*got 'strong'"),
        ([], "config of Augmenter must be a dict"),
    ],
)
def test_wrong_configs(config, message):
    with pytest.raises(ValueError, match=message):
        Augmenter.from_config(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flip": 0.5}, r"flip must be a HorizontalFlip or None, got 0\.5"),
        ({"mix_up": CutMix()}, "mix_up must be a MixUp or None, got CutMix"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a number of at least 0 and below 1"),
        ({"num_classes": 0}, "num_classes must be a positive integer"),
        ({"flip": HorizontalFlip(0.5, [[3, 9]]), "num_classes": 9}, r"classes \[9\].*is 9"),
        ({"batch_augmentation": BatchAugmentation(2)}, "2 equal copies of each clip"),
        (
            {"batch_augmentation": BatchAugmentation(3), "mix_up": MixUp()},
            r"equal copies of each clip: give one of \('crop', 'flip'",
        ),
    ],
)
def test_contradictions(arguments, message):
    with pytest.raises(ValueError, match=message):
        Augmenter(**arguments)


def test_wrong_calls():
    with pytest.raises(ValueError, match="clip must be a NumPy array of uint8"):
        Augmenter()(clip_of(0) / 255, 0, clip_generator(0, 0, 0))
    with pytest.raises(ValueError, match="rng must"):
        Augmenter()(clip_of(0), 0, 7)
    with pytest.raises(ValueError, match="rng must"):
        FULL.augment_copies(clip_of(0), 0, None)
    with pytest.raises(ValueError, match="labels must be from 0 to 3, got 4"):
        FULL.batch(clip_of(0)[None], [4], batch_generator(0, 0, 0))
    with pytest.raises(ValueError, match="clips must be a NumPy array of uint8"):
        FULL.batch(clip_of(0), [1], batch_generator(0, 0, 0))


# --- generators -----------------------------------------------------------------------------------


def test_generators_differ_by_every_number():
    makers = [
        lambda *numbers: clip_generator(*numbers),
        lambda *numbers: batch_generator(*numbers),
        lambda *numbers: batch_generator(*numbers, shard=1),
    ]
    numbers = [(s, e, i) for s in range(4) for e in range(4) for i in range(4)]
    drawn = [maker(*number).random() for maker in makers for number in numbers]
    order = [np.random.default_rng([s, e, 0]).random() for s in range(4) for e in range(4)]
    assert len(set(drawn + order)) == 3 * 64 + 16
    assert drawn == [maker(*number).random() for maker in makers for number in numbers]


@pytest.mark.parametrize("maker", [clip_generator, batch_generator])
def test_wrong_numbers(maker):
    for arguments, name in (((-1, 0, 0), "seed"), ((0, 0.5, 0), "epoch"), ((0, 0, None), "index")):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 0"):
            maker(*arguments)
    with pytest.raises(ValueError, match="shard must"):
        batch_generator(0, 0, 0, -1)
