"""Classifies very many videos on the machines of a Ray cluster."""

import contextlib
import dataclasses
import itertools
import logging
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_boolean, check_integer, check_number
from keras_mlp3d._utils.ray_cluster import (
    connected,
    import_ray,
    number_of_workers,
    raise_said,
    worker_environment,
)
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.inference.dataset_output import DatasetOutput
from keras_mlp3d.inference.dataset_worker import CLASSIFIERS, DatasetWorker, preset_digest
from keras_mlp3d.inference.work_list import (
    KnownVideos,
    WorkList,
    has_parts,
    unit_size,
    videos_of,
)


@dataclasses.dataclass(frozen=True)
class DatasetScores:
    """What `classify_dataset` has written.

    Args:
        output: The folder of Parquet parts.
        videos: Number of rows in the folder.
        failed: How many of them have an error.
        scored: Number of rows that this call added.

    Example:

    >>> DatasetScores("scores", videos=1000, failed=2, scored=1000).failed
    2
    """

    output: str
    videos: int
    failed: int
    scored: int


def classify_dataset(
    paths_or_manifest: Any,
    preset: StrPath,
    output: StrPath,
    *,
    clips: int = 1,
    crops: int = 3,
    top_k: int = 5,
    batch_size: int = 8,
    converter: VideoConverter | None = None,
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: float = 1,
    gpus_per_worker: float = 0,
    part_size: int = 256,
    retry_errors: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetScores:
    """Classify very many videos with Ray Data, and write Parquet parts that can be resumed.

    Each worker is a process with the network, on Keras's backend of this process. A row has the
    `path` as given, `labels` and `scores` as `classify` returns them (the best first), and `error`,
    null or why the video is unreadable; rows of a manifest with parts of videos also have `start`
    and `end`. `pandas.read_parquet(output)` reads all parts.

    The same call resumes: videos that have a row are not scored again. A part is complete or
    absent. If a worker is killed, Ray starts another one, and its videos are scored again. A video
    that kills three workers gets a row with an error. A video that is named twice has one row.

    Memory here does not grow with the number of videos: their paths are in files of `output`.
    Nothing is pickled except our own values; networks and videos are read by the workers
    from their files.

    Args:
        paths_or_manifest: Paths of videos, a list or an iterator; a folder: all videos in it and
            below; a pattern such as `"videos/**/*.mp4"`; or a `data.Manifest`, whose rows may be
            parts of videos. All machines must see the files under the same names.
        preset: Built-in name, "hf://" address, or a directory that all machines see.
        output: Folder for the parts, which all machines see; made if it is missing.
        clips: Number of clips per video, evenly sampled.
        crops: Number of square crops per clip, along its longer side.
        top_k: Largest number of classes to name.
        batch_size: Largest number of inputs per batch: views, or frames for `CycleMLP`.
        converter: `data.VideoConverter` that makes the clips. Defaults to the preset's.
        address: "local" for a cluster on this machine, of the time of this call; "auto", HOST:PORT
            or "ray://..." for a cluster that runs. Defaults to the connection that Ray has in this
            process, else the cluster of RAY_ADDRESS, else "local".
        workers: Number of workers. Defaults to as many as there are CPUs and GPUs for.
        cpus_per_worker: CPUs per worker. It decodes in so many threads, and an operation of the
            backend uses so many threads.
        gpus_per_worker: GPUs per worker.
        part_size: Largest number of videos per part. It is less for few videos, so that all
            workers have some.
        retry_errors: Whether videos whose row has an error are scored again.
        progress: None, or a function of the number of videos done and the number of all.

    Returns:
        `DatasetScores`

    Raises:
        ValueError: If an argument is wrong, there is no video, the preset has no classes, weights
            or converter, `output` has other files or scores with other settings, or the network's
            outputs are not finite.
        ImportError: If Ray is not installed: `pip install 'keras-mlp3d[ray]'`.
        OSError: If a part cannot be written.

    Example:

    >>> classify_dataset([], "mlp3d_nano_motion_shapes", "scores")
    Traceback (most recent call last):
    ...
    ValueError: paths_or_manifest has no video.
    """
    for name, value in (
        *(("clips", clips), ("crops", crops), ("top_k", top_k), ("batch_size", batch_size)),
        *(("part_size", part_size), ("workers", 1 if workers is None else workers)),
    ):
        check_integer(name, value)
    check_number("cpus_per_worker", cpus_per_worker, above=0)
    check_number("gpus_per_worker", gpus_per_worker, minimum=0)
    check_boolean("retry_errors", retry_errors)
    preset = os.path.abspath(preset) if os.path.isdir(preset) else os.fspath(preset)
    files, converter = _checked_preset(preset, converter)
    videos = videos_of(paths_or_manifest)
    first = next(videos, None)
    if first is None:
        raise ValueError("paths_or_manifest has no video.")
    import_ray()
    job = {
        "preset": preset,
        "digest": preset_digest(files, converter),
        "converter": converter.get_config(),
        "clips": int(clips),
        "crops": int(crops),
        "top_k": int(top_k),
        "batch_size": int(batch_size),
        "with_parts": has_parts(paths_or_manifest),
        "dtype": keras.config.dtype_policy().name,
    }
    with DatasetOutput(output, job) as place, KnownVideos() as known:
        before, failed = place.take_in(known, retry_errors)
        total = WorkList(place.work).write(itertools.chain([first], videos), known)
        job |= {
            "folder": str(place.folder),
            "run": place.run,
            "threads": max(1, math.floor(cpus_per_worker)),
        }
        done = 0
        if total:
            with connected(address) as ray:
                count = number_of_workers(ray, workers, cpus_per_worker, gpus_per_worker)
                job["unit_size"] = unit_size(total, count, part_size)
                for videos_done, wrong in _scored(
                    ray, job, total, count, cpus_per_worker, gpus_per_worker
                ):
                    done, failed = done + videos_done, failed + wrong
                    if progress is not None:
                        progress(done, total)
        if retry_errors:
            dropped = place.drop_replaced()
            before, failed = before - dropped, failed - dropped
        if done != total:
            raise RuntimeError(
                f"{total - done} of {total} videos have no row in {place.folder}: the same call "
                "scores them."
            )
    return DatasetScores(os.fspath(output), before + done, failed, done)


def _checked_preset(
    preset: str, converter: VideoConverter | None
) -> tuple[hub.Preset, VideoConverter]:
    """Return the preset's files and what makes the clips, before hours of work."""
    files = hub.read_preset(preset)
    if files.class_name not in CLASSIFIERS:
        raise ValueError(
            f"preset must be a network with classes, {', '.join(CLASSIFIERS)}; {preset!r} holds a "
            f"{files.class_name}."
        )
    if files.weights == "none":
        raise ValueError(f"preset must have weights; {preset!r} is an architecture without any.")
    if converter is None:
        if files.converter is None:
            raise ValueError(
                f"preset must have a converter that turns a video into clips; {preset!r} has none: "
                "pass converter=keras_mlp3d.data.VideoConverter(num_frames=..., "
                "image_size=(..., ...))."
            )
        return files, hub.make_converter(files.converter)
    if type(converter) is not VideoConverter:
        raise ValueError(
            "converter must be a data.VideoConverter, which workers can make again from its "
            f"settings, got {type(converter).__name__}."
        )
    return files, converter


def _scored(
    ray: Any, job: dict[str, Any], total: int, workers: int, cpus: float, gpus: float
) -> Iterator[tuple[int, int]]:
    """Yield how many videos of each unit are done, and how many of them are unreadable."""
    units = math.ceil(total / job["unit_size"])
    environment = worker_environment(keras.backend.backend(), job["threads"])
    with _quietly(ray):
        # One block per unit: Ray gives each to a free worker. If the worker dies, Ray Data starts
        # another, however often, and gives it the unit again.
        work = ray.data.from_items(
            [{"unit": unit} for unit in range(units)], override_num_blocks=units
        ).map_batches(
            DatasetWorker,
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(size=min(workers, units)),
            batch_size=1,
            batch_format="numpy",
            num_cpus=cpus,
            num_gpus=gpus or None,
            runtime_env={"env_vars": environment},
        )
        rows = iter(work.iter_rows())
        try:
            for row in rows:
                if row["kind"]:
                    raise_said(row["kind"], row["text"])
                yield row["videos"], row["failed"]
        finally:
            if hasattr(rows, "close"):
                rows.close()


@contextlib.contextmanager
def _quietly(ray: Any) -> Iterator[None]:
    """Keep Ray Data from printing progress of its own inside the `with`."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    shown, level = context.enable_progress_bars, logger.level
    logger.setLevel(logging.ERROR)
    context.enable_progress_bars = False
    try:
        yield
    finally:
        context.enable_progress_bars = shown
        logger.setLevel(level)
