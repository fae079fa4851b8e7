"""Turns a video of any length and size into clips of the one shape that a model takes."""

import dataclasses
import logging
import os

import keras
import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.pictures import (
    FILTERS,
    Scaler,
    covering_size,
    random_corner,
    spread_corners,
)
from keras_mlp3d.data.video.sampling import SAMPLINGS, clip_indices, span_frames
from keras_mlp3d.data.video.sources import open_video

_logger = logging.getLogger("keras_mlp3d")

CROPS = ("center", "random", "none")
INTERPOLATIONS = tuple(FILTERS)
_MAX_CLIP_BYTES = 4 * 2**30


@keras.saving.register_keras_serializable(package="keras_mlp3d")
@dataclasses.dataclass(frozen=True)
class VideoConverter:
    """Samples frames of a video, resizes and crops them; immutable, saved with a preset.

    A call takes the frames (only these are decoded), resizes them with their aspect ratio kept
    until they cover `image_size`, and cuts out `image_size`. Resizing is FFmpeg's, whose filters
    widen with the reduction, so it does not alias (`"nearest"` does). Files are resized in the
    colours that they are stored in, which is quick, arrays as RGB: the colours of sharp edges
    differ a little. A video that has the size already comes through untouched.

    Source: section 3.4 (64 uniformly sampled frames, 128 x 128 crops, three crops in testing).

    Args:
        num_frames: Frames in a clip, T.
        image_size: `(height, width)` of a clip, in pixels.
        sampling: `"uniform"`: spread over the whole video; `"dense"`: `frame_stride` apart.
        frame_stride: Video frames from one clip frame to the next, for `"dense"`.
        crop: `"center"`; `"random"`, which needs `rng` in every call; or `"none"`: frames are
            resized straight to `image_size` and their aspect ratio is not kept, for material that
            is already cut to what matters, such as 160 x 80 mouths.
        resize: Pixels of the short side that frames are resized to before the crop; by default,
            and where it would not cover `image_size`, the least that covers it.
        interpolation: `"bilinear"`, `"bicubic"`, `"area"`, `"lanczos"` or `"nearest"`.

    Input shape: a video file, a folder of numbered JPEG pictures, or uint8
        `(frames, height, width, 3)`.

    Output shape: uint8 `(num_frames, height, width, 3)`.

    Raises:
        ValueError: An argument is not as above. Calls raise `VideoError` (a `ValueError`) or
            `FileNotFoundError` for a file that cannot be read.

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
        set_field(self, "num_frames", checked_whole("num_frames", self.num_frames))
        set_field(self, "frame_stride", checked_whole("frame_stride", self.frame_stride))
        size = self.image_size
        if not isinstance(size, (tuple, list)) or len(size) != 2:
            raise ValueError(f"`image_size` must be (height, width), received {size!r}")
        size = tuple(checked_whole("image_size", side) for side in size)
        set_field(self, "image_size", size)
        for name, known in (
            ("sampling", SAMPLINGS),
            ("crop", CROPS),
            ("interpolation", INTERPOLATIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}, received {getattr(self, name)!r}"
                )
        if self.resize is not None:
            set_field(self, "resize", checked_whole("resize", self.resize))
            if self.crop == "none":
                raise ValueError(
                    f"`resize` must be None where `crop` is 'none', received {self.resize}; "
                    "frames are then resized to `image_size`"
                )
            if self.resize < min(size):
                raise ValueError(
                    f"`resize` must be at least the shorter side of `image_size` {size}, "
                    f"received {self.resize}"
                )
        if self.num_frames * size[0] * size[1] * 3 > _MAX_CLIP_BYTES:
            raise ValueError(
                f"`num_frames` {self.num_frames} and `image_size` {size} make clips of more than "
                f"{_MAX_CLIP_BYTES} bytes"
            )

    def get_config(self):
        """The arguments as JSON-ready values; `from_config` takes them back."""
        return {**dataclasses.asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_config(cls, config):
        """A converter from what `get_config` gave; a key it does not know is an error."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ValueError(f"a video converter has no {unknown}; its arguments are {known}")
        return cls(**config)

    def __call__(self, video, rng=None, *, start=None, end=None):
        """One clip.

        Args:
            video: File or folder name, or uint8 array `(frames, height, width, 3)`.
            rng: A `numpy.random.Generator` for training: frames are drawn at random (see
                `sampling`), and so is the crop where `crop` is `"random"`.
            start: Second of a file at which the stretch that counts begins (see `span_frames`).
            end: Second at which it ends.

        Returns:
            uint8 `(num_frames, height, width, 3)`.
        """
        if self.crop == "random" and rng is None:
            raise ValueError("`rng` must be given where `crop` is 'random', received None")
        random = self.crop == "random"
        views, _ = self._convert(
            video,
            (start, end),
            1,
            rng,
            lambda free: [random_corner(free, rng)] if random else spread_corners(free, 1),
        )
        return views[0]

    def views(self, video, clips=1, crops=1, *, start=None, end=None):
        """All views of a video whose scores are averaged: evenly spaced clips and crops.

        One crop is the centre; several are spread along the longer side, from its start to its
        end. `crop="random"` has no effect here. Where nothing is free (`crop="none"`, or pictures
        of the shape of `image_size`) all crops are alike.

        Source: section 3.4, "three-crop strategy".

        Args:
            video: File or folder name, or uint8 array `(frames, height, width, 3)`.
            clips: Clips a video.
            crops: Crops a clip.
            start: Second of a file at which the stretch that counts begins (see `span_frames`).
            end: Second at which it ends.

        Returns:
            `(views, frame_indices)`: uint8 `(clips * crops, num_frames, height, width, 3)`, the
            crops of the first clip first, and int64 `(clips, num_frames)`, counted from the
            video's first frame.
        """
        clips, crops = checked_whole("clips", clips), checked_whole("crops", crops)
        return self._convert(
            video, (start, end), clips, None, lambda free: spread_corners(free, crops)
        )

    def _convert(self, video, span, clips, rng, corners_of):
        if not isinstance(video, (str, os.PathLike)):
            video = _checked_array(video)
            indices = self._indices(span_frames(len(video), None, *span), clips, rng)
            return self._fill(self._resized(video, indices), indices, corners_of), indices
        with open_video(video) as reader:
            span = reader.span(*span)
            indices = self._indices(span, clips, rng)
            try:
                return self._fill(self._read(reader, indices), indices, corners_of), indices
            except VideoError as error:
                if (error.num_decodable or 0) <= span.start:
                    raise
                _logger.warning("%s; the clip is taken from these", error)
                decodable = range(span.start, min(span.stop, error.num_decodable))
                indices = self._indices(decodable, clips, rng)
            return self._fill(self._read(reader, indices), indices, corners_of), indices

    def _indices(self, span, clips, rng):
        return span.start + clip_indices(
            self.sampling, len(span), self.num_frames, self.frame_stride, clips, rng
        )

    def _size_of(self, size):
        """The `(height, width)` that pictures of a size get before they are cropped."""
        if self.crop == "none":
            return self.image_size
        return covering_size(size, self.image_size, self.resize)

    def _read(self, reader, indices):
        wanted = np.unique(indices).tolist()
        return reader.frames(wanted, self._size_of, self.interpolation)

    def _resized(self, video, indices):
        size, scaler = self._size_of(video.shape[1:3]), Scaler()
        for index in np.unique(indices):
            picture = video[index]
            if picture.shape[:2] != size:
                picture = scaler.resize(np.ascontiguousarray(picture), *size, self.interpolation)
            yield index, picture

    def _fill(self, pictures, indices, corners_of):
        """Views `(clips * crops, T, height, width, 3)` from pictures that come one by one."""
        (height, width), views = self.image_size, None
        places = {}
        for place, index in np.ndenumerate(indices):
            places.setdefault(int(index), []).append(place)
        for index, picture in pictures:
            if views is None:
                corners = corners_of((picture.shape[0] - height, picture.shape[1] - width))
                views = np.empty(
                    (len(indices), len(corners), self.num_frames, height, width, 3), "uint8"
                )
            for crop, (top, left) in enumerate(corners):
                window = picture[top : top + height, left : left + width]
                for clip, frame in places[int(index)]:
                    views[clip, crop, frame] = window
        return views.reshape(-1, self.num_frames, height, width, 3)


def _checked_array(video):
    shape, dtype = getattr(video, "shape", None), getattr(video, "dtype", None)
    if not isinstance(video, np.ndarray) or dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
        received = f"shape {shape} of {dtype}" if shape is not None else repr(video)[:80]
        raise ValueError(
            "`video` must be a file name or a NumPy array of uint8 (frames, height, width, 3), "
            f"received {received}"
        )
    if 0 in shape:
        raise ValueError(f"`video` must hold at least one frame and pixel, received shape {shape}")
    return video
