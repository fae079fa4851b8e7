"""Measures a network on a data set: accuracies over all views of every video.

Source: section 3.4.
"""

import contextlib

import numpy as np

from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d.data import Manifest
from keras_mlp3d.inference.decode_ahead import decode_ahead
from keras_mlp3d.inference.evaluation import Evaluation, VideoResult
from keras_mlp3d.inference.score_views import check_model, score_batch
from keras_mlp3d.models import CycleMLP


def evaluate(
    model, manifest, clips=1, crops=1, batch_size=8, converter=None, workers=None, progress=None
):
    """Measures how well a model classifies the videos of a manifest.

    The softmax scores of a video are averaged over its views, clips times crops, and the class
    with the highest average counts. No video is replaced or left out: an unreadable one, be it a
    file, a record of a shard or a video in memory, is listed by its name with the reason and counts
    as wrong. Accuracies of the decoded videos alone are given as well, and named so. Of a damaged
    video the frames before the damage are seen, as in `classify`.

    Threads decode while the model works. Memory has a bound however many videos and views there
    are: about 1 GiB of pixels, or a single clip with its crops where that is more. Views of several
    videos share batches, which all have one shape, so that a backend that compiles does so once.
    The result depends on neither `batch_size` nor `workers`, but for rounding.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which sees each frame of a
            clip by itself.
        manifest: `data.Manifest`. Its classes must be the model's, in any order: they are matched
            by name. Where the model has no names, they must be as many and in its order.
        clips: Clips evenly sampled from each video.
        crops: Square crops along the longer side of each clip.
        batch_size: Largest number of views, for `CycleMLP` of frames, that the model sees at once.
        converter: None for `model.converter`, or the `data.VideoConverter` that makes the clips.
        workers: Threads that decode; None for one for each processor, eight at most.
        progress: None, or a function that is called with the number of videos done and the number
            of all after each video.

    Returns:
        `Evaluation`

    Raises:
        ValueError: If an argument is wrong, there is no converter, its clips do not fit the model,
            the model's outputs are not finite, or its classes are not those of the manifest.

    Source:
        Section 3.4: three crops along the longer side, scores averaged over all views; one clip
        for Something-Something, four for Kinetics.

    Example:

    >>> import tempfile
    >>> from keras_mlp3d.data import read_manifest
    >>> from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
    >>> from keras_mlp3d.models import MLP3D
    >>> names = ["blink_then_spin", "spin_then_blink"]
    >>> task = {"num_classes": 2, "class_names": names}
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False, **task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_motion_shapes(folder, num_clips=2, classes=names)
    ...     evaluation = evaluate(model, read_manifest(folder, "test"), batch_size=2)
    >>> evaluation.expected, evaluation.decoded, evaluation.failed, evaluation.top5
    (2, 2, (), 1.0)
    """
    check_model(model)
    for name, value in (("clips", clips), ("crops", crops), ("batch_size", batch_size)):
        _check_positive(name, value)
    if workers is not None:
        _check_positive("workers", workers)
    if not isinstance(manifest, Manifest):
        raise ValueError(
            f"manifest must be a data.Manifest, got {type(manifest).__name__}; "
            "data.read_manifest(source) reads one from a folder or a CSV."
        )
    labels, class_names = _classes(model, manifest)
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    frames = converter.num_frames if isinstance(model, CycleMLP) else 1
    views = clips * crops * frames
    batches = _Batches(model, converter, batch_size, len(manifest) * views)
    decoded = decode_ahead(manifest.rows, converter, clips, crops, workers or default_workers(8))
    with contextlib.closing(decoded):  # an error must not leave threads behind that decode on
        results = _score_videos(
            decoded,
            batches,
            views,
            (lambda done: progress(done, len(manifest))) if progress else lambda done: None,
        )
    failed = [(name, "the data set lists it, and no file was found") for name in manifest.not_found]
    predictions = []
    for row, label, result in zip(manifest.rows, labels, results, strict=True):
        if isinstance(result, str):
            failed.append((row.name, result))
        else:
            predictions.append(_result(row, label, result))
    return Evaluation(
        class_names=class_names,
        class_counts=np.bincount(labels, minlength=len(class_names)),
        predictions=predictions,
        failed=failed,
        digest=manifest.digest,
        split=manifest.split,
        clips=clips,
        crops=crops,
    )


def _score_videos(decoded, batches, views, progress):
    """Returns for every video its mean scores (classes,), or the reason that it could not be read.

    Args:
        decoded: What `decode_ahead` yields.
        batches: `_Batches` of the model.
        views: How many inputs of the model a video has.
        progress: Function that is called with the number of videos done.
    """
    results, open_sums = {}, {}

    def take(scored):
        for number, weight, scores in scored:
            if number in results:  # a later part of it could not be read
                continue
            total, seen = open_sums.get(number, (0.0, 0))
            total, seen = total + weight * scores, seen + weight
            if seen < views:
                open_sums[number] = total, seen
                continue
            open_sums.pop(number, None)
            results[number] = total / views
            progress(len(results))

    for number, found, weight in decoded:
        if not isinstance(found, str):
            take(batches.add(found, number, weight))
        elif number not in results:
            open_sums.pop(number, None)
            results[number] = found
            progress(len(results))
    take(batches.rest())
    return [results[number] for number in sorted(results)]


class _Batches:
    """Gathers what the model sees into batches of one shape, and scores each when it is full."""

    def __init__(self, model, converter, batch_size, most):
        self._by_frame = isinstance(model, CycleMLP)
        shape = (*converter.image_size, 3)
        shape = shape if self._by_frame else (converter.num_frames, *shape)
        # As many batches as needed, and none larger than that takes: little to fill up.
        size = -(-most // -(-most // batch_size))
        self._model, self._owners = model, []
        self._batch = np.zeros((size, *shape), "uint8")
        model.check_input(self._batch)

    def add(self, views, number, weight):
        """Yields (video, weight, scores) of what got scored while the views (V, ...) came in."""
        if self._by_frame:
            views = views.reshape(-1, *views.shape[2:])
        while len(views):
            filled = len(self._owners)
            taken = views[: len(self._batch) - filled]
            self._batch[filled : filled + len(taken)] = taken
            self._owners += [(number, weight)] * len(taken)
            views = views[len(taken) :]
            if len(self._owners) == len(self._batch):
                yield from self.rest()

    def rest(self):
        """Yields (video, weight, scores) of all that has come in, the batch being filled up."""
        if self._owners:
            self._batch[len(self._owners) :] = self._batch[0]
            scores = score_batch(self._model, self._batch)
            owners, self._owners = self._owners, []
            for (number, weight), row in zip(owners, scores, strict=False):
                yield number, weight, row


def _result(row, label, scores):
    order = np.argsort(-scores, kind="stable")
    best, rank = int(order[0]), int(np.flatnonzero(order == label)[0]) + 1
    source = None if isinstance(row.path, str) else row.path
    score = float(scores[best])
    return VideoResult(row.name, row.start, row.end, label, best, score, rank, source)


def _classes(model, manifest):
    """Returns the labels of the manifest's rows in the model's order, and the names in it."""
    names, known = tuple(manifest.class_names), model.class_names
    if known is None:
        if len(names) != model.num_classes:
            raise ValueError(
                f"The manifest has {len(names)} classes and {model.name}, which has no names for "
                f"them, {model.num_classes}."
            )
        known = names
    if set(known) != set(names):
        raise ValueError(
            f"The manifest's classes must be those of {model.name}; not known to the model: "
            f"{_some(set(names) - set(known))}; not in the manifest: "
            f"{_some(set(known) - set(names))}. "
            "data.read_manifest(source, class_names=model.class_names) takes the model's."
        )
    place = {name: number for number, name in enumerate(known)}
    return [place[names[row.label]] for row in manifest.rows], tuple(known)


def _some(names):
    """A few of the names in words."""
    shown = ", ".join(repr(name) for name in sorted(names)[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _check_positive(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
