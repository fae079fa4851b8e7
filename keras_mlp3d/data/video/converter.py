"""Turns a video of any length and size into clips of the one shape that a model takes."""

import dataclasses

import keras
import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d.data.video.pictures import (
    FILTERS,
    covering_size,
    random_corner,
    spread_corners,
)
from keras_mlp3d.data.video.reader import with_right_index
from keras_mlp3d.data.video.sampling import SAMPLINGS, clip_indices
from keras_mlp3d.data.video.sources import open_video

CROPS = ("center", "random", "none")
INTERPOLATIONS = tuple(FILTERS)
_MAX_CLIP_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """Views of one video.

    Args:
        frames: uint8 `(clips * crops, T, height, width, 3)`, the crops of the first clip first.
        frame_indices: int64 `(clips, T)`: which frames of the video they are, from 0.
        frame_times: float64 `(clips, T)`: seconds at which these are shown, counted from the
            video's first frame; None if nothing tells.

    Example:

    >>> converter = VideoConverter(num_frames=2, image_size=(32, 32))
    >>> views = converter.read(np.zeros((8, 32, 32, 3), "uint8"), clips=2, fps=4)
    >>> views.frame_indices.tolist(), views.frame_times.tolist()
    ([[1, 5], [3, 7]], [[0.25, 1.25], [0.75, 1.75]])
    """

    frames: np.ndarray = dataclasses.field(repr=False)
    frame_indices: np.ndarray
    frame_times: np.ndarray | None


@keras.saving.register_keras_serializable(package="keras_mlp3d")
@dataclasses.dataclass(frozen=True)
class VideoConverter:
    """Samples frames of a video, resizes and crops them; immutable, saved with a preset.

    A call takes the frames (only these are decoded), resizes them with their aspect ratio kept
    until they cover `image_size`, and cuts out `image_size`. Resizing is FFmpeg's, whose filters
    widen with the reduction, so it does not alias (`"nearest"` does). Files are resized in the
    colors that they are stored in, which is quick, arrays as RGB: the colors of sharp edges
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
            raise ValueError(f"image_size must be (height, width), got {size!r}.")
        size = tuple(checked_whole("image_size", side) for side in size)
        set_field(self, "image_size", size)
        for name, known in (
            ("sampling", SAMPLINGS),
            ("crop", CROPS),
            ("interpolation", INTERPOLATIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {known}, got {getattr(self, name)!r}."
                )
        if self.resize is not None:
            set_field(self, "resize", checked_whole("resize", self.resize))
            if self.crop == "none":
                raise ValueError(
                    f"resize must be None where `crop` is 'none', got {self.resize}; "
                    "frames are then resized to `image_size`"
                )
            if self.resize < min(size):
                raise ValueError(
                    f"resize must be at least the shorter side of `image_size` {size}, "
                    f"got {self.resize}."
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

    def __call__(self, video, rng=None, *, start=None, end=None, fps=None):
        """One clip.

        Args:
            video: What `read_video` takes: a file, a folder of pictures, bytes, a file object, or
                frames in memory.
            rng: A `numpy.random.Generator` for training: frames are sampled at random (see
                `sampling`), and so is the crop if `crop` is `"random"`.
            start: Second at which the stretch that counts begins (see `span_frames`).
            end: Second at which it ends.
            fps: Frames per second of frames in memory or of a folder, which do not say.

        Returns:
            uint8 `(num_frames, height, width, 3)`.
        """
        if self.crop == "random" and rng is None:
            raise ValueError("rng must be given if `crop` is 'random', got None.")
        random = self.crop == "random"

        def corners_of(free):
            return [random_corner(free, rng)] if random else spread_corners(free, 1)

        return self._convert(video, fps, (start, end), 1, rng, corners_of).frames[0]

    def views(self, video, clips=1, crops=1, *, start=None, end=None, fps=None):
        """All views of a video whose scores are averaged, and the numbers of their frames.

        As `read`, without the times.

        Args:
            video: As for `read`.
            clips: As for `read`.
            crops: As for `read`.
            start: As for `read`.
            end: As for `read`.
            fps: As for `read`.

        Returns:
            `(views, frame_indices)`: uint8 `(clips * crops, num_frames, height, width, 3)`, the
            crops of the first clip first, and int64 `(clips, num_frames)`.
        """
        views = self.read(video, clips, crops, start=start, end=end, fps=fps)
        return views.frames, views.frame_indices

    def read(self, video, clips=1, crops=1, *, start=None, end=None, fps=None):
        """All views of a video whose scores are averaged: evenly spaced clips and crops.

        One crop is the center; several are spread along the longer side, from its start to its
        end. `crop="random"` has no effect here. If nothing is free (`crop="none"`, or pictures
        of the shape of `image_size`) all crops are alike.

        Source: section 4.2, "three-crop strategy".

        Args:
            video: What `read_video` takes.
            clips: Clips per video.
            crops: Crops per clip.
            start: Second at which the stretch that counts begins (see `span_frames`).
            end: Second at which it ends.
            fps: Frames per second of frames in memory or of a folder, which do not say.

        Returns:
            `Views`.
        """
        clips, crops = checked_whole("clips", clips), checked_whole("crops", crops)
        return self._convert(
            video, fps, (start, end), clips, None, lambda free: spread_corners(free, crops)
        )

    def _convert(self, video, fps, span, clips, rng, corners_of):
        with open_video(video, fps) as reader:
            # A random generator must give the same if the index proves wrong and all is redone.
            state = None if rng is None else rng.bit_generator.state

            def convert():
                if rng is not None:
                    rng.bit_generator.state = state
                indices = self._indices(reader, reader.span(*span), clips, rng)
                wanted = np.unique(indices).tolist()
                pictures = reader.frames(wanted, self._size_of, self.interpolation)
                frames = self._fill(pictures, indices, corners_of)
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

    def _size_of(self, size):
        """The `(height, width)` that pictures of a size get before they are cropped."""
        if self.crop == "none":
            return self.image_size
        return covering_size(size, self.image_size, self.resize)

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
