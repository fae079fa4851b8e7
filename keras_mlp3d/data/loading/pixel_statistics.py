"""Mean and standard deviation of a data set's pixels, for networks trained from scratch."""

import dataclasses
import logging
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.ordered_map import OrderedMap
from keras_mlp3d.data.datasets.manifest import Manifest, VideoRow, check_manifest
from keras_mlp3d.data.video.converter import VideoConverter, thread_options
from keras_mlp3d.data.video.decode import VideoError

_logger = logging.getLogger("keras_mlp3d")


@dataclasses.dataclass(frozen=True)
class PixelStatistics:
    """What `pixel_statistics` measured.

    Args:
        pixel_mean: Mean of red, green and blue, of values 0..1, rounded to four digits.
        pixel_std: Standard deviation of red, green and blue, of values 0..1, likewise.
        videos: Number of videos that were measured.
        unreadable: {name of the video: reason} of those that could not be.

    Example:

    >>> PixelStatistics((0.5, 0.4, 0.3), (0.2, 0.2, 0.1), videos=10, unreadable={}).pixel_std
    (0.2, 0.2, 0.1)
    """

    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    videos: int
    unreadable: dict[str, str]


def pixel_statistics(
    manifest: Manifest,
    converter: VideoConverter | None = None,
    max_videos: int = 1000,
    workers: int = 2,
) -> PixelStatistics:
    """Measure the pixels of a data set, as a network's `pixel_mean` and `pixel_std` want them.

    A network that is trained from scratch learns from the differences between pixels. If most
    pixels are the same (a dark background), ImageNet's statistics make every token nearly the same
    too, and the training stays at chance.

    Args:
        manifest: `Manifest` of the training videos.
        converter: `VideoConverter` that makes the network's clips; None for the default one.
        max_videos: Largest number of videos that are read, spread evenly over the manifest.
        workers: Number of decoding threads.

    Returns:
        `PixelStatistics`. Unreadable videos are logged and listed in it.

    Raises:
        ValueError: If an argument is wrong, no video can be read, or a color is constant.

    Example:

    >>> from keras_mlp3d.data import Frames, Manifest, VideoConverter, VideoRow, pixel_statistics
    >>> frames = np.zeros((4, 32, 32, 3), "uint8")
    >>> frames[:2] = 255
    >>> videos = Manifest([VideoRow(Frames(frames, fps=4), 0)], ["run"], "train")
    >>> found = pixel_statistics(videos, VideoConverter(4, (32, 32)))
    >>> found.pixel_mean, found.pixel_std
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    check_manifest(manifest)
    max_videos = check_integer("max_videos", max_videos)
    converter = VideoConverter() if converter is None else converter
    if converter.crop == "random":  # it would need random numbers, and a clip should not vary
        converter = dataclasses.replace(converter, crop="center")
    count = min(len(manifest.rows), max_videos)
    rows = [manifest.rows[i * len(manifest.rows) // count] for i in range(count)]

    def histogram(row: VideoRow) -> np.ndarray | Exception:
        try:
            options: dict[str, Any] = {
                "start": row.start,
                "end": row.end,
                **thread_options(converter),
            }
            clip = converter(row.path, **options)
        except (VideoError, OSError) as error:
            return error
        return np.stack(
            [np.bincount(clip[..., color].ravel(), minlength=256) for color in range(3)]
        )

    # Several rows may be of one file.
    counts, unreadable, measured = np.zeros((3, 256), "int64"), {}, len(rows)
    with OrderedMap(histogram, rows, check_integer("workers", workers)) as histograms:
        for row, found in zip(rows, histograms, strict=True):
            if isinstance(found, Exception):
                name = manifest.name_of(row)
                unreadable[name] = str(found)
                measured -= 1
                _logger.warning("not measured: %s: %s", name, found)
            else:
                counts += found
    if not measured:
        name, reason = next(iter(unreadable.items()))
        raise ValueError(f"None of {len(rows)} videos can be read; the first is {name!r}: {reason}")
    values, pixels = np.arange(256) / 255, counts[0].sum()
    mean = counts @ values / pixels
    std = np.sqrt(np.maximum(counts @ values**2 / pixels - mean**2, 0)).round(4)
    if not std.all():
        color = ("red", "green", "blue")[int(np.argmin(std))]
        raise ValueError(
            f"All pixels of the {measured} videos have the same {color}: they "
            "cannot be normalized by its standard deviation, which is 0."
        )
    red, green, blue = mean.round(4).tolist()
    return PixelStatistics((red, green, blue), tuple(std.tolist()), measured, unreadable)
