"""FFmpeg's scaler through PyAV: to 8-bit RGB, and to another size."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter

# swscale's own numbers: PyAV 17 has no names for all of them.
FILTERS = {"bilinear": 0x2, "bicubic": 0x4, "area": 0x20, "lanczos": 0x200, "nearest": 0x10}
# Full chroma in and out, exact rounding, and the same result whatever the processor.
_EXACT = 0x2000 | 0x4000 | 0x40000 | 0x80000
# Left to itself, PyAV starts a thread per processor for every picture, which takes longer than
# small pictures do.
_THREADS = 1


class Scaler:
    """Keeps the scaler's tables from one picture to the next; for one thread at a time."""

    def __init__(self):
        self._reformatter, self._resizer = VideoReformatter(), VideoReformatter()

    def to_rgb(self, frame, width, height, interpolation=None):
        """A decoded frame as uint8 `(height, width, 3)`, by its own colour matrix and range.

        To another size it is brought before it becomes RGB, as FFmpeg's `scale` does: that takes a
        fraction of the time. `interpolation` is then needed.
        """
        if (width, height) != (frame.width, frame.height):
            frame = self._resizer.reformat(
                frame,
                width=width,
                height=height,
                format=frame.format.name if frame.format.name.startswith("yuv") else "rgb24",
                interpolation=FILTERS[interpolation] | _EXACT,
                threads=_THREADS,
            )
        return self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", threads=_THREADS
        ).to_ndarray()

    def resize(self, picture, height, width, interpolation):
        """A contiguous uint8 picture `(rows, columns, 3)` as uint8 `(height, width, 3)`."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(picture, "rgb24"),
            width=width,
            height=height,
            format="rgb24",
            interpolation=FILTERS[interpolation] | _EXACT,
            threads=_THREADS,
        ).to_ndarray()

    def for_jpeg(self, picture, height, width):
        """A uint8 picture `(rows, columns, 3)` as a frame of JPEG's colours and the size given."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24"),
            width=width,
            height=height,
            format="yuvj420p",
            interpolation=FILTERS["bilinear"] | _EXACT,
            threads=_THREADS,
        )
