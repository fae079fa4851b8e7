"""What every open video offers: its number of frames, their times, and pictures by number."""

import numpy as np

from keras_mlp3d.data.video.container import VideoError, check_size
from keras_mlp3d.data.video.pictures import Scaler, orientation
from keras_mlp3d.data.video.sampling import span_frames


class IndexChanged(Exception):
    """Reading showed that the index was wrong. It is right now: choose frames again."""


def with_right_index(work):
    """Calls `work()`, once more if the first call shows that the video's index was wrong.

    Args:
        work: Function without arguments that chooses frames of an open video and reads them.
    """
    try:
        return work()
    except IndexChanged:
        return work()


class Reader:
    """An open video. Use it as a context manager, so that it is closed in all cases.

    Args:
        path: Its file, or its name if it is no file.

    Attributes:
        path: As above.
        codec: FFmpeg's name of the codec; `""` for frames in memory.
        fps: Mean frames per second, or None.
        damage: Where reading packets or frames broke off, in words, or None.
        doubt: Why the file's index cannot be trusted, in words, or None. Such a file is decoded
            from its beginning.
        promised: Frames that the file's packets promise, hidden ones excluded; None if nothing
            tells.
    """

    codec, fps, damage, doubt, promised = "", None, None, None, None

    def __init__(self, path):
        self.path = path
        self._size = None  # of the first picture, before it is turned
        self._rotation, self._axes, self._flips = 0, False, (1, 1)
        self._scaler = Scaler()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Closes the file."""

    @property
    def num_frames(self):
        """How many frames decode."""
        raise NotImplementedError

    @property
    def edges(self):
        """Seconds at which frames begin and the last one ends, float64 (frames + 1,), or None."""
        return None if not self.fps else np.arange(self.num_frames + 1) / self.fps

    @property
    def has_constant_rate(self):
        """Whether all frames are shown equally long."""
        return True

    @property
    def times(self):
        """Seconds at which frames begin, float64 (frames,), the first 0; None if nothing tells."""
        edges = self.edges
        return None if edges is None else edges[:-1]

    @property
    def layout(self):
        """`(height, width, rotation)` of the pictures given out, from the first that decodes."""
        if self._size is None:
            self._set_layout(self._first_frame())
        width, height = self._size
        return (width, height, self._rotation) if self._axes else (height, width, self._rotation)

    def span(self, start=None, end=None):
        """The frames that a stretch shows, as `sampling.span_frames`; its errors name the video."""
        try:
            if (start is None and end is None) or self.has_constant_rate:
                return span_frames(self.num_frames, self.fps, start, end)
            return span_frames(self.num_frames, None, start, end, edges=self.edges)
        except ValueError as error:
            reason = str(error)
            if self.damage and "must lie within" in reason:
                reason = f"{reason}; {self.too_few(self.num_frames).reason}"
            raise VideoError(self.path, reason) from None

    def clock(self, span):
        """The `edges` of some frames if their rate varies, else None: frame numbers then tell.

        Args:
            span: `range` of frames.
        """
        if self.has_constant_rate:
            return None
        return self.edges[span.start : span.stop + 1]

    def frames(self, indices=None, fit=None, interpolation="bilinear"):
        """Yields `(index, picture)`, each wanted index once, rising; pictures uint8 (H, W, 3).

        Args:
            indices: Rising frame numbers below `num_frames`; None for all that decode.
            fit: None, or a function from `(height, width)` of the video, upright, to that of the
                pictures.
            interpolation: How they are resized if `fit` asks for another size.

        Raises:
            IndexChanged: The index was wrong; `num_frames` is right now.
        """
        for index, frame in self._frames(indices):
            if self._size is None:
                self._set_layout(frame)
            yield index, self._picture(frame, fit, interpolation)

    def count(self):
        """Decodes all frames, up to the first damage if any; returns how many there are."""
        return sum(1 for _ in self._frames(None))

    def _first_frame(self):
        """The first decoded frame; a `VideoError` if there is none."""
        raise NotImplementedError

    def _frames(self, indices):
        """Yields `(index, decoded frame)`."""
        raise NotImplementedError

    def _set_layout(self, frame):
        check_size(self.path, frame.width, frame.height)
        self._size = frame.width, frame.height
        self._rotation, self._axes, self._flips = orientation(frame)

    def _picture(self, frame, fit, interpolation):
        check_size(self.path, frame.width, frame.height)
        width, height = self._size
        if fit is not None:
            size = fit((width, height) if self._axes else (height, width))
            width, height = size if self._axes else size[::-1]
        try:
            picture = self._scaler.to_rgb(frame, width, height, interpolation)
        except Exception as error:
            raise VideoError(self.path, f"a frame cannot become RGB ({error})") from error
        if self._axes:
            picture = picture.transpose(1, 0, 2)
        if self._axes or self._flips != (1, 1):
            picture = np.ascontiguousarray(picture[:: self._flips[0], :: self._flips[1]])
        return picture

    def too_few(self, count):
        """The `VideoError` for a frame that is past the `count` that decode."""
        of = f" of its {self.promised}" if self.promised else " of its"
        reason = f"{f'only the first {count}' if count else 'none'}{of} frames can be decoded"
        if self.damage:
            reason += f"; {self.damage}"
        return VideoError(self.path, reason, count)
