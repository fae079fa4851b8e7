"""What every open video offers: its number of frames, their times, and pictures by number."""

from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar

import numpy as np

from keras_mlp3d.data.video.container import VideoError, check_size
from keras_mlp3d.data.video.pictures import Scaler, orientation, turned
from keras_mlp3d.data.video.sampling import span_frames

Result = TypeVar("Result")

_ROUNDING = 2e-3  # of times in seconds: many containers store milliseconds


class IndexChanged(Exception):
    """The index of the video was wrong and has been corrected: choose the frames again."""


def with_right_index(work: Callable[[], Result]) -> Result:
    """Return `work()`, called a second time if the first shows that the video's index was wrong.

    Args:
        work: Function without arguments that chooses frames of an open video and reads them.
    """
    try:
        return work()
    except IndexChanged:
        return work()


class Reader:
    """An open video. Use it as a context manager, so that it is always closed.

    Args:
        path: File of the video, or a name if there is no file.

    Attributes:
        path: As above.
        codec: FFmpeg's name of the codec; `""` for frames in memory.
        fps: Mean frames per second, or None.
        damage: Text that says which damage ended the reading of packets or frames, or None.
        doubt: Text that says why the file's index cannot be trusted, or None. Such a file is
            decoded from its beginning.
        promised: Number of frames that the file's packets promise, without hidden ones, or None if
            unknown.
    """

    codec: str = ""
    fps: float | None = None
    damage: str | None = None
    doubt: str | None = None
    promised: int | None = None

    def __init__(self, path: str):
        self.path = path
        self._size: tuple[int, int] | None = None  # of the first picture, before it is turned
        self._rotation, self._axes, self._flips = 0, False, (1, 1)
        self._scaler = Scaler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""

    @property
    def num_frames(self) -> int:
        """Number of frames that decode."""
        raise NotImplementedError

    @property
    def edges(self) -> np.ndarray | None:
        """Seconds at which frames begin and the last one ends, float64 (frames + 1,), or None."""
        return None if not self.fps else np.arange(self.num_frames + 1) / self.fps

    @property
    def has_constant_rate(self) -> bool:
        """Whether all frames are shown equally long."""
        return True

    @property
    def times(self) -> np.ndarray | None:
        """Seconds at which frames begin, float64 (frames,), from 0 on, or None if unknown."""
        edges = self.edges
        return None if edges is None else edges[:-1]

    @property
    def layout(self) -> tuple[int, int, int]:
        """`(height, width, rotation)` of the pictures, from the first that decodes."""
        if self._size is None:
            self._set_layout(self._first_frame())
        width, height = self._size
        return (width, height, self._rotation) if self._axes else (height, width, self._rotation)

    @property
    def exact_rate(self) -> float | None:
        """Frames per second if they say when each frame is shown; else at most `edges` do.

        A container's mean rate says it for most videos, to less than the rounding of `edges`. It
        does not if a frame is held, or the rate is wrong.
        """
        edges = self.edges
        if not self.fps or edges is None:
            return self.fps
        last, ends = self.num_frames - 1, self.num_frames / self.fps
        fits = (
            self.has_constant_rate
            and abs(edges[last] - last / self.fps) < _ROUNDING
            and abs(edges[-1] - ends) <= 1 / self.fps
        )
        return self.fps if fits else None

    def span(self, start: float | None = None, end: float | None = None) -> range:
        """Return `sampling.span_frames` of this video; errors name the video."""
        try:
            if start is None and end is None:
                return span_frames(self.num_frames)
            fps = self.exact_rate
            edges = None if fps else self.edges
            return span_frames(self.num_frames, fps, start, end, edges=edges)
        except VideoError:
            raise
        except ValueError as error:
            reason = str(error)
            if self.damage and "must be within" in reason:
                reason = f"{reason}; {self.too_few(self.num_frames).reason}"
            raise VideoError(self.path, reason) from None

    def clock(self, span: range) -> np.ndarray | None:
        """Return the `edges` of some frames if the rate of the video varies, else None.

        Args:
            span: `range` of frames.
        """
        if self.has_constant_rate:
            return None
        return self.edges[span.start : span.stop + 1]

    def frames(
        self,
        indices: Sequence[int] | None = None,
        fit: Callable[[tuple[int, int]], tuple[int, int]] | None = None,
        interpolation: str = "bilinear",
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield `(index, picture)` of frames, in order; pictures are uint8 (H, W, 3).

        Args:
            indices: Frame numbers below `num_frames`, in ascending order, or None for all frames
                that decode.
            fit: None, or a function that takes the `(height, width)` of the upright video and
                returns that of the pictures.
            interpolation: How pictures are resized if `fit` asks for another size.

        Raises:
            IndexChanged: If the index was wrong. `num_frames` is right from then on.
        """
        for index, frame in self._frames(indices):
            if self._size is None:
                self._set_layout(frame)
            yield index, self._picture(frame, fit, interpolation)

    def count(self) -> int:
        """Decode all frames, up to the first damage if any, and return their number."""
        return sum(1 for _ in self._frames(None))

    def _first_frame(self):
        """Return the first decoded frame; raise a `VideoError` if there is none."""
        raise NotImplementedError

    def _frames(self, indices):
        """Yield `(index, decoded frame)`."""
        raise NotImplementedError

    def _set_layout(self, frame):
        check_size(self.path, frame.width, frame.height)
        self._size = frame.width, frame.height
        self._rotation, self._axes, self._flips = orientation(frame)

    def _picture(self, frame, fit, interpolation):
        check_size(self.path, frame.width, frame.height)
        width, height = self._size
        if fit is not None:
            try:
                size = fit((width, height) if self._axes else (height, width))
            except ValueError as error:  # such a shape would become too large
                raise VideoError(self.path, str(error).removesuffix(".")) from error
            width, height = size if self._axes else size[::-1]
        try:
            picture = self._scaler.to_rgb(frame, width, height, interpolation)
        except Exception as error:
            raise VideoError(self.path, f"a frame cannot become RGB ({error})") from error
        return turned(picture, self._axes, self._flips)

    def too_few(self, count: int) -> VideoError:
        """Return the `VideoError` for a frame beyond the `count` that decode."""
        of = f" of its {self.promised}" if self.promised else " of its"
        reason = f"{f'only the first {count}' if count else 'none'}{of} frames can be decoded"
        if self.damage:
            reason += f"; {self.damage}"
        return VideoError(self.path, reason, count)
