"""Turns a video of any length and size into clips of the shape that a model takes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mlp3d._utils.backend import serializable
from keras_mlp3d._utils.checks import check_choice, check_integer, check_integers
from keras_mlp3d.data.video.pictures import (
    FILTERS,
    covering_size,
    cut_views,
    random_corner,
    spread_corners,
)
from keras_mlp3d.data.video.reader import Reader, with_right_index
from keras_mlp3d.data.video.sampling import SAMPLINGS, clip_indices
from keras_mlp3d.data.video.sources import open_video

CROPS = ("center", "random", "none")
INTERPOLATIONS = tuple(FILTERS)
_MAX_CLIP_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """Views of one video: clips and crops of them.

    Args:
        frames: uint8 `(clips * crops, T, height, width, 3)`, the crops of the first clip first.
        frame_indices: int64 `(clips, T)`: numbers of the frames in the video, from 0.
        frame_times: float64 `(clips, T)`: seconds at which the frames are shown, from the first
            frame of the video on. None if the frame rate is unknown.

    Example:

    >>> converter = VideoConverter(num_frames=2, image_size=(32, 32))
    >>> views = converter.read(np.zeros((8, 32, 32, 3), "uint8"), clips=2, fps=4)
    >>> views.frame_indices.tolist(), views.frame_times.tolist()
    ([[1, 5], [3, 7]], [[0.25, 1.25], [0.75, 1.75]])
    """

    frames: np.ndarray = dataclasses.field(repr=False)
    frame_indices: np.ndarray
    frame_times: np.ndarray | None


@serializable
@dataclasses.dataclass(frozen=True)
class VideoConverter:
    """Samples frames of a video, resizes and crops them. Immutable, and saved with a preset.

    A call decodes the sampled frames only, resizes them until they cover `image_size`, with their
    aspect ratio kept, and crops them to `image_size`. FFmpeg resizes. Its filters widen as the
    picture shrinks, so that nothing aliases (except with `"nearest"`). Files are resized in the
    colors in which they are stored, which is quick, and arrays in RGB, so that the colors of sharp
    edges differ a little. A video of the right size is not changed.

    Source: section 3.4 (64 uniformly sampled frames, 128 x 128 crops), section 4.2 (three crops in
    testing).

    Args:
        num_frames: Number of frames per clip, T.
        image_size: `(height, width)` of a clip, in pixels.
        sampling: `"uniform"`: frames spread over the whole video. `"dense"`: frames that are
            `frame_stride` apart.
        frame_stride: Distance of two clip frames in video frames, for `"dense"`.
        crop: `"center"`; `"random"`, which needs `rng` in every call; or `"none"`: frames are
            resized straight to `image_size` and their aspect ratio is not kept, for videos that
            are already cropped, such as mouths of 160 x 80 pixels.
        resize: Target short side in pixels, before the crop. At least the shorter side of
            `image_size`. Defaults to the smallest that covers `image_size`; a value that does not
            cover it is raised to that.
        interpolation: `"bilinear"`, `"bicubic"`, `"area"`, `"lanczos"` or `"nearest"`.

    Input shape: a video file, a folder of numbered JPEG pictures, or uint8
        `(frames, height, width, 3)`.

    Output shape: uint8 `(num_frames, height, width, 3)`.

    Raises:
        ValueError: If an argument is not as above. For an unreadable file, calls raise
            `VideoError` (a `ValueError`) or `FileNotFoundError`.

    Example:

    >>> import numpy as np
    >>> converter = VideoConverter(num_frames=4, image_size=(32, 32))
    >>> converter(np.zeros((10, 60, 80, 3), "uint8")).shape
    (4, 32, 32, 3)
    >>> views, frame_indices = converter.views(np.zeros((10, 60, 80, 3), "uint8"), clips=2, crops=3)
    >>> views.shape, frame_indices.tolist()
    ((6, 4, 32, 32, 3), [[0, 3, 5, 8], [1, 4, 6, 9]])
    """

    num_frames: int = 64
    image_size: tuple[int, int] = (128, 128)
    sampling: str = "uniform"
    frame_stride: int = 1
    crop: str = "center"
    resize: int | None = None
    interpolation: str = "bilinear"

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "num_frames", check_integer("num_frames", self.num_frames))
        set_field(self, "frame_stride", check_integer("frame_stride", self.frame_stride))
        size = check_integers("image_size", self.image_size, 2)
        set_field(self, "image_size", size)
        for name, known in (
            ("sampling", SAMPLINGS),
            ("crop", CROPS),
            ("interpolation", INTERPOLATIONS),
        ):
            check_choice(name, getattr(self, name), known)
        if self.resize is not None:
            set_field(self, "resize", check_integer("resize", self.resize))
            if self.crop == "none":
                raise ValueError(
                    f"resize must be None if crop is 'none', got {self.resize}; "
                    "frames are then resized to image_size."
                )
            if self.resize < min(size):
                raise ValueError(
                    f"resize must be at least the shorter side of image_size {size}, "
                    f"got {self.resize}."
                )
        if self.num_frames * size[0] * size[1] * 3 > _MAX_CLIP_BYTES:
            raise ValueError(
                f"num_frames {self.num_frames} and image_size {size} make clips of more than "
                f"{_MAX_CLIP_BYTES} bytes."
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as values that JSON knows."""
        return {**dataclasses.asdict(self), "image_size": list(self.image_size)}

    def replace(self, **changes: Any) -> "VideoConverter":
        """Return a converter with other values of some arguments.

        `resize` is for one `image_size`: with another one it is None, unless it is given.

        Example:

        >>> VideoConverter(16, (224, 224), resize=256).replace(image_size=(64, 64)).resize is None
        True
        """
        made = dataclasses.replace(self, **{"resize": None, **changes})
        if "resize" in changes or made.image_size != self.image_size:
            return made
        return dataclasses.replace(made, resize=self.resize)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "VideoConverter":
        """Return a converter from the result of `get_config`. Unknown keys are an error."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ValueError(f"VideoConverter has no {unknown}; its arguments are {known}.")
        return cls(**config)

    def __call__(
        self,
        video: Any,
        rng: np.random.Generator | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
        fps: float | None = None,
        threads: int | None = None,
    ) -> np.ndarray:
        """Return one clip of a video.

        Args:
            video: Any source that `read_video` takes: a file, a folder of pictures, bytes, a file
                object, or frames in memory.
            rng: `numpy.random.Generator` for training. Frames are then sampled at random (see
                `sampling`), and so is the crop if `crop` is `"random"`.
            start: Second at which the part to be used begins. Defaults to the video's beginning.
            end: Second at which that part ends. Defaults to the video's end.
            fps: Frames per second of a source that has none: frames in memory or a folder.
            threads: As for `read`.

        Returns:
            uint8 `(num_frames, height, width, 3)`.
        """
        if self.crop == "random" and rng is None:
            raise ValueError("rng must be given if crop is 'random', got None.")
        random = self.crop == "random"

        def corners_of(free):
            return [random_corner(free, rng)] if random else spread_corners(free, 1)

        opened = open_video(video, fps, threads)
        return self._convert(opened, (start, end), 1, rng, corners_of, [0]).frames[0]

    def views(
        self,
        video: Any,
        clips: int = 1,
        crops: int = 1,
        *,
        start: float | None = None,
        end: float | None = None,
        fps: float | None = None,
        select: Sequence[int] | None = None,
        threads: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the views of a video and the numbers of their frames: `read` without the times.

        Args:
            video: As for `read`.
            clips: As for `read`.
            crops: As for `read`.
            start: As for `read`.
            end: As for `read`.
            fps: As for `read`.
            select: As for `read`.
            threads: As for `read`.

        Returns:
            `(views, frame_indices)`: uint8 `(clips * crops, num_frames, height, width, 3)`, the
            crops of the first clip first, and int64 `(clips, num_frames)`.
        """
        options: dict[str, Any] = {"start": start, "end": end, "fps": fps, "threads": threads}
        views = self.read(video, clips, crops, select=select, **options)
        return views.frames, views.frame_indices

    def read(
        self,
        video: Any,
        clips: int = 1,
        crops: int = 1,
        *,
        start: float | None = None,
        end: float | None = None,
        fps: float | None = None,
        select: Sequence[int] | None = None,
        threads: int | None = None,
    ) -> Views:
        """Return the views of a video for testing: evenly spaced clips and crops.

        A single crop is the center crop. Several are spread along the longer side, from its start
        to its end. `crop="random"` has no effect here. All crops are the same if there is nothing
        to crop: with `crop="none"`, or if the pictures have the shape of `image_size`.

        Source: section 4.2, "three-crop strategy".

        Args:
            video: Any source that `read_video` takes.
            clips: Number of clips.
            crops: Number of crops per clip.
            start: Second at which the part to be used begins. Defaults to the video's beginning.
            end: Second at which that part ends. Defaults to the video's end.
            fps: Frames per second of a source that has none: frames in memory or a folder.
            select: Numbers of the clips to return, from 0 to `clips - 1`, so that the views of a
                long video fit in memory in several calls. Each clip is the same as without
                `select`. Defaults to all.
            threads: Largest number of threads that decode parts of a long file at the same time, 1
                where several videos are read at a time, as loaders do. Defaults to as many as
                there are processors, at most eight, for all such calls of the process together.
                The result is the same.

        Returns:
            `Views`.
        """
        clips, crops = check_integer("clips", clips), check_integer("crops", crops)
        chosen = list(range(clips) if select is None else select)
        for number in chosen:
            check_integer("select", number, 0, clips - 1)
        opened = open_video(video, fps, threads)
        return self._convert(
            opened, (start, end), clips, None, lambda free: spread_corners(free, crops), chosen
        )

    def _convert(self, opened, span, clips, rng, corners_of, chosen):
        with opened as reader:
            # If the index proves wrong, all is done again, with the same random numbers.
            state = None if rng is None else rng.bit_generator.state

            def convert():
                if rng is not None:
                    rng.bit_generator.state = state
                indices = self._indices(reader, reader.span(*span), clips, rng)
                # The clips that are not chosen are decoded too: each clip is then the same,
                # however damaged the video is and whichever others are chosen.
                wanted = np.unique(indices).tolist()
                pictures = reader.frames(wanted, self.fit, self.interpolation)
                indices = indices[chosen]
                frames = cut_views(pictures, indices, corners_of, self.image_size)
                times = reader.times
                return Views(frames, indices, None if times is None else times[indices])

            return with_right_index(convert)

    def _indices(self, reader, span, clips, rng):
        return span.start + clip_indices(
            self.sampling,
            len(span),
            self.num_frames,
            self.frame_stride,
            clips,
            rng,
            reader.clock(span) if self.sampling == "uniform" else None,
        )

    def frame_indices(
        self,
        reader: Reader,
        start: float | None = None,
        end: float | None = None,
        clips: int = 1,
    ) -> np.ndarray:
        """Return the frames of the clips that stand for a part of an open video.

        Args:
            reader: `Reader` of the video.
            start: Second at which the part begins, or None.
            end: Second at which it ends, or None.
            clips: Number of clips.

        Returns:
            int64 `(clips, num_frames)`
        """
        return self._indices(reader, reader.span(start, end), clips, None)

    def fit(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the `(height, width)` to which pictures of a size are resized before the crop.

        Args:
            size: `(height, width)` of the upright video.
        """
        if self.crop == "none":
            return self.image_size
        return covering_size(size, self.image_size, self.resize)


def thread_options(converter: Any, threads: int = 1) -> dict[str, int]:
    """Return the keyword `threads` for the calls of a converter that reads one of several videos.

    Another class of converter need not know the keyword: for it, there is none.

    Args:
        converter: `VideoConverter`, or an object that is called like it.
        threads: Number of threads for this video.
    """
    return {"threads": threads} if type(converter) is VideoConverter else {}
