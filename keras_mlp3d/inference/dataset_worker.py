"""A worker of a large job: it has one network, scores a few videos at a time and writes a part.

A worker may be killed at any moment. Ray then starts another one, which does the same unit of work
again from its beginning. From the second attempt on, videos are read and scored one after the
other, and a file names the video that was begun last: this is how a video that kills its workers is
found.
"""

import collections
import hashlib
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_mlp3d import hub, models
from keras_mlp3d._utils.atomic_write import append
from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d._utils.ray_cluster import said_error
from keras_mlp3d.data.video.converter import VideoConverter, Views
from keras_mlp3d.inference.classify import classify_views
from keras_mlp3d.inference.dataset_output import (
    count_rows,
    part_name,
    row_of,
    work_folder,
    write_part,
)
from keras_mlp3d.inference.read_sources import views_or_reason
from keras_mlp3d.inference.work_list import Video, WorkList

CLASSIFIERS = ("MLP3D", "TwoPathMLP3D", "FrameCycleMLP", "CycleMLP")
#: Attempts, one video at a time, in which a video must have killed its worker to be given up.
_DEATHS = 2
_AHEAD_BYTES = 2**29  # of views in memory that are decoded ahead
_ATTEMPT = "attempt"


def preset_digest(files: hub.Preset, converter: VideoConverter) -> str:
    """Return a text that differs for other weights, settings or clips under the same name.

    Args:
        files: The preset; its weights need not be here if the metadata state their SHA-256.
        converter: What makes the clips.
    """
    weights = {}
    for name in map(files.weights_name, (hub.WEIGHTS, hub.TASK_WEIGHTS)):
        path = files.folder / name
        stated = files.metadata.get("sha256", {}).get(name)
        weights[name] = stated or (hub.file_sha256(path) if path.is_file() else None)
    known = [files.class_name, files.config, files.task, converter.get_config(), weights]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


class DatasetWorker:
    """Scores units of work, as an actor of Ray Data. It raises no error: rows tell of it.

    Args:
        job: Plain values: `folder`, `run`, `preset`, `digest`, `converter`, `clips`, `crops`,
            `top_k`, `batch_size`, `threads`, `unit_size`, `with_parts` and `dtype`.
    """

    def __init__(self, job: dict[str, Any]):
        self._job = job
        self._folder = pathlib.Path(job["folder"])
        self._list = WorkList(work_folder(self._folder, job["run"]))
        self._broken: tuple[str, str] | None = None
        try:
            self._load()
        except Exception as error:
            self._broken = said_error(error)

    def _load(self) -> None:
        job = self._job
        if not self._folder.is_dir():
            raise FileNotFoundError(
                f"the folder {job['folder']} is not on the machine of a worker: name an output "
                "that all machines of the cluster share."
            )
        keras.config.set_dtype_policy(job["dtype"])
        self._converter = VideoConverter.from_config(job["converter"])
        files = hub.read_preset(job["preset"])
        if preset_digest(files, self._converter) != job["digest"]:
            raise ValueError(
                f"the preset {job['preset']!r} is another one on the machine of a worker than it "
                "is here: copy it to a folder that all machines share."
            )
        self._model = getattr(models, files.class_name).from_preset(files)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score units, and return a row per unit.

        Args:
            batch: `{"unit": numbers}`

        Returns:
            `{"videos": ..., "failed": ..., "kind": ..., "text": ...}`: number of videos, how many
            of them are unreadable, and kind and text of an error that ends the job, or "".
        """
        rows: dict[str, list[Any]] = {"videos": [], "failed": [], "kind": [], "text": []}
        for unit in map(int, batch["unit"]):
            broken, counts = self._broken, (0, 0)
            if broken is None:
                try:
                    counts = self._score(unit)
                except Exception as error:
                    broken = said_error(error)
            for name, value in zip(rows, (*counts, *(broken or ("", ""))), strict=True):
                rows[name].append(value)
        return rows

    def _score(self, unit: int) -> tuple[int, int]:
        job = self._job
        path = self._folder / part_name(job["run"], unit)
        if path.exists():  # the worker before was killed after it had written the part
            return count_rows(path)
        attempts = _Attempts(work_folder(self._folder, job["run"]) / f"attempts-{unit}")
        videos = self._list.read(unit * job["unit_size"], job["unit_size"])
        rows = []
        for video, views in self._read(videos, attempts):
            found = classify_views(
                self._model,
                video.path,
                views,
                job["clips"],
                job["crops"],
                job["top_k"],
                job["batch_size"],
            )
            rows.append(row_of(video, found.labels, found.scores, found.error))
        write_part(self._folder, job["run"], unit, rows, job["with_parts"])
        attempts.forget()
        return len(rows), sum(row["error"] is not None for row in rows)

    def _read(
        self, videos: list[Video], attempts: "_Attempts"
    ) -> Iterator[tuple[Video, Views | str]]:
        """Yield (video, its views, or why it has none), decoded ahead in the first attempt."""
        if attempts.count == 1:
            with OrderedMap(
                self._views, videos, self._job["threads"], self._ahead(), "keras_mlp3d-decode"
            ) as read:
                yield from zip(videos, read, strict=True)
            return
        for number, video in enumerate(videos):
            deaths = attempts.deaths[number]
            if deaths >= _DEATHS:
                yield video, f"the worker that read it died, {deaths} times in a row"
            else:
                attempts.begin(number)
                yield video, self._views(video)

    def _views(self, video: Video) -> Views | str:
        job = self._job
        return views_or_reason(
            video.place,
            self._converter,
            job["clips"],
            job["crops"],
            start=video.start,
            end=video.end,
            threads=1,
        )

    def _ahead(self) -> int:
        """Return how many videos are in memory: what is scored, and what is decoded meanwhile."""
        made = self._converter
        views = self._job["clips"] * self._job["crops"] * made.num_frames
        return min(
            self._job["threads"] + 1,
            1 + max(1, _AHEAD_BYTES // (views * math.prod(made.image_size) * 3)),
        )


class _Attempts:
    """How often a unit of work was begun, and at which videos its workers died.

    Args:
        path: File that is here as long as the unit is not done.
    """

    def __init__(self, path: pathlib.Path):
        self._path = path
        before: list[list[int]] = []
        for line in path.read_text().split() if path.exists() else ():
            if line == _ATTEMPT:
                before.append([])
            else:
                before[-1].append(int(line))
        self.count = len(before) + 1
        self.deaths = collections.Counter(numbers[-1] for numbers in before if numbers)
        append(path, f"{_ATTEMPT}\n".encode())

    def begin(self, number: int) -> None:
        """Note that a video is begun."""
        append(self._path, f"{number}\n".encode())

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
