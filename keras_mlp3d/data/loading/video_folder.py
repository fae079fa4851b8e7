"""Batches of clips and labels from a folder with one sub-folder a class; needs no TensorFlow."""

import pathlib

import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.loading.epoch_order import epoch_order
from keras_mlp3d.data.loading.read_ahead import ReadAhead
from keras_mlp3d.data.video.sources import VIDEO_SUFFIXES


class VideoFolder(ReadAhead):
    """A folder of videos, one sub-folder a class, as batches for `fit`, `evaluate` and `predict`.

    Works alike on every backend. The same `seed` gives the same batches: their order depends on
    the seed and the epoch, random frames and crops on the seed, the epoch and the clip, and
    neither on the number of workers. An epoch ends when Keras says so and every batch has been
    handed out; iterating by hand, call `on_epoch_end()`. `epoch` may be set, to resume.

    `fit` draws its own order of batches besides, from Python's global generator: pass it
    `shuffle=False` (and `shuffle=True` here), or set Keras's seed, to repeat a run exactly.

    Args:
        directory: The folder. Its sub-folders are the classes, the video files right in them the
            clips (known by suffix); other files and hidden ones are ignored.
        converter: A `VideoConverter`, or another callable from `(path, rng)` to a clip.
        batch_size: Clips a batch; the last batch may hold fewer.
        shuffle: Whether the clips come in a new order every epoch; else sorted by class and name.
        seed: A whole number from 0.
        class_names: The classes in the order of their labels; by default the sub-folders sorted by
            name. Must name exactly the sub-folders.
        random: Whether frames, and crops where the converter's `crop` is `"random"`, are drawn at
            random; by default whether the converter's crop is.
        workers: Threads that decode. They are this object's own, and Keras is told of one worker:
            Keras 3.15, with more, serves the first epoch leftovers of the batches that it read to
            build the model.
        max_queue_size: Batches decoded ahead of the one handed out.
        cache: Keep the decoded clips in memory, from their first use on. Not for random clips.
        max_cache_bytes: The most that `cache` may take.

    Output shape: `(clips, labels)`: uint8 `(B, T, H, W, 3)` and int32 `(B,)`.

    Attributes: `class_names`, `paths` and `labels` (one a clip), `epoch`.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It has no class folders, one of them holds no video, or an argument is not as
            above. Batches raise `VideoError`, naming the file, for a video that cannot be read.

    Example:

    >>> import pathlib, tempfile
    >>> import av, numpy as np
    >>> from keras_mlp3d.data.video.converter import VideoConverter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("jump", "run"):
    ...         pathlib.Path(folder, name).mkdir()
    ...         with av.open(str(pathlib.Path(folder, name, "a.mp4")), "w") as file:
    ...             stream = file.add_stream("mpeg4", width=64, height=48, pix_fmt="yuv420p")
    ...             picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), "uint8"))
    ...             file.mux(stream.encode(picture) + stream.encode(None))
    ...     data = VideoFolder(folder, VideoConverter(num_frames=4, image_size=(32, 32)))
    ...     clips, labels = data[0]
    >>> data.class_names, clips.shape, labels.tolist()
    (['jump', 'run'], (2, 4, 32, 32, 3), [0, 1])
    """

    def __init__(
        self,
        directory,
        converter,
        batch_size=8,
        shuffle=False,
        seed=0,
        class_names=None,
        random=None,
        workers=2,
        max_queue_size=2,
        cache=False,
        max_cache_bytes=2 * 2**30,
    ):
        batch_size = checked_whole("batch_size", batch_size)
        seed = checked_whole("seed", seed, 0)
        super().__init__(workers, max_queue_size)
        self.directory, self.converter = pathlib.Path(directory), converter
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.class_names = _class_names(self.directory, class_names)
        self.paths, self.labels = _clips(self.directory, self.class_names)
        random_crop = getattr(converter, "crop", None) == "random"
        if random is False and random_crop:
            raise ValueError("`random` must not be False where the converter's `crop` is 'random'")
        self.random = random_crop if random is None else bool(random)
        self._cache = self._checked_cache(max_cache_bytes) if cache else None

    def __len__(self):
        return -(-len(self.paths) // self.batch_size)

    def _clips_of(self, epoch, index):
        clips = len(self.paths)
        order = epoch_order(self.seed, epoch, clips) if self.shuffle else np.arange(clips)
        return order[index * self.batch_size : (index + 1) * self.batch_size]

    def _jobs(self, epoch, index):
        return [(self._clip, epoch, int(i)) for i in self._clips_of(epoch, index)]

    def _join(self, epoch, index, results):
        return np.stack(results), self.labels[self._clips_of(epoch, index)]

    def _clip(self, epoch, clip):
        if self._cache is not None and clip in self._cache:
            return self._cache[clip]
        rng = np.random.default_rng([self.seed, epoch, clip + 1]) if self.random else None
        frames = self.converter(self.paths[clip], rng)
        if self._cache is not None:
            self._cache[clip] = frames
        return frames

    def _checked_cache(self, max_cache_bytes):
        if self.random:
            raise ValueError("`cache` must be False where clips are drawn at random")
        height, width = self.converter.image_size
        needed = len(self.paths) * self.converter.num_frames * height * width * 3
        if needed > max_cache_bytes:
            raise ValueError(
                f"`cache` would keep {len(self.paths)} clips in {needed} bytes, over "
                f"`max_cache_bytes` ({max_cache_bytes})"
            )
        return {}


def _class_names(directory, class_names):
    if not directory.is_dir():
        raise FileNotFoundError(
            f"`directory` must be a folder of class folders, received {directory}"
        )
    found = sorted(p.name for p in directory.iterdir() if p.is_dir() and p.name[0] != ".")
    if not found:
        raise ValueError(f"`directory` must hold one sub-folder a class: {directory} holds none")
    if class_names is None:
        return found
    names = list(class_names)
    if sorted(names) != found:
        raise ValueError(
            f"`class_names` must name each sub-folder of {directory} once; "
            f"without a folder: {sorted(set(names) - set(found))}, "
            f"not named: {sorted(set(found) - set(names))}, received {len(names)} names"
        )
    return names


def _clips(directory, class_names):
    paths, labels = [], []
    for label, name in enumerate(class_names):
        videos = sorted(
            str(path)
            for path in (directory / name).iterdir()
            if path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != "." and path.is_file()
        )
        if not videos:
            raise ValueError(f"the class folder {directory / name} holds no video")
        paths += videos
        labels += [label] * len(videos)
    return paths, np.array(labels, "int32")
