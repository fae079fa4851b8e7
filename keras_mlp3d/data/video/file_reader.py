"""Reads a video file: frame i is always the i-th when the file is decoded from its first packet on.

A small file is decoded whole when frames are first chosen from it, and its frames are kept. Of a
larger file, the headers of all packets are read: if they say for sure which packet holds which
frame, packets that no wanted frame needs are skipped, and each decoded frame is compared with the
headers. In all other cases, and at the first difference, the file is decoded from its beginning.
"""

import array
import collections
import logging
from typing import Any

import numpy as np

from keras_mlp3d._utils.recent import Recent
from keras_mlp3d.data.video.container import VideoError, why
from keras_mlp3d.data.video.index import (
    NO_TIME,
    Unclear,
    difference,
    frame_edges,
    has_constant_rate,
    index_of_times,
)
from keras_mlp3d.data.video.packets import Packets, Watch
from keras_mlp3d.data.video.reader import IndexChanged, Reader
from keras_mlp3d.data.video.runs import Distrusted, decode_frames

_logger = logging.getLogger("keras_mlp3d")

#: Largest number of pixels, of all frames together, of a small file: half a second of decoding.
SMALL_PIXELS = 2**25
_KEPT_FRAME_BYTES = 64 * 2**20  # of a small file's decoded frames
_MAX_CORRUPT = 8  # frames that are held back in case an error follows
# Strict decoders of these codecs notice damage, so that files without any may be skipped through.
_CHECKED_CODECS = frozenset({"h264", "hevc", "mpeg4"})

#: By version of a small file that is whole: the packets at which decoding may begin, as bytes; None
#: for files whose containers do not give the order of frames.
_known_files = Recent(65536)
_warned = Recent(4096)


class FileReader(Reader):
    """A video file, or the content of one in memory.

    Args:
        path: The file, or the name of the content in `data`.
        data: Content of a file as bytes, or None.
        threads: Largest number of decoders at a time, as for `runs.decode_frames`.
        watch: None, or a `Watch`, which all decoders call.
    """

    def __init__(
        self,
        path: str,
        data: bytes | None = None,
        threads: int | None = 1,
        watch: Watch | None = None,
    ):
        super().__init__(path)
        self._threads = threads
        self._index = self._cache = None
        self._numbers: Any = None
        self._edges: np.ndarray | None = None
        self._settled = self._is_interlaced = False
        self._packets = Packets(path, data, watch)
        self.codec, self.fps = self._packets.codec, self._packets.fps
        self.damage = self._packets.damage
        self.promised = int(self._packets.is_shown.sum())

    def close(self) -> None:
        """Close the file and forget its packets and frames."""
        self._cache = None
        self._packets.close()

    @property
    def _is_small(self):
        return self._packets.num_pixels <= SMALL_PIXELS

    # Decoding -----------------------------------------------------------------------------------

    def _decoded_afresh(self, is_strict=False):
        """Yield all frames from a new decoder: an old one fills damage from earlier pictures.

        Frames right before an error that the decoder marks as corrupt belong to the damage.
        """
        if self._packets.context.is_open or self._packets.is_strict != is_strict:
            self._packets.open(is_strict)
        waiting = []
        for frame in self._packets.decoded():
            waiting.append(frame)
            if not frame.is_corrupt or len(waiting) > _MAX_CORRUPT:
                yield from waiting
                waiting.clear()
        yield from waiting

    def _first_frame(self):
        if self._cache:
            return self._cache[0]
        damage = self.damage
        for is_strict in (self._packets.is_strict, False):
            try:
                frame = next(self._decoded_afresh(is_strict), None)
            except Exception as error:
                self._note_damage(error)
                frame = None
            if frame is not None:
                self.damage = damage
                return frame
        raise self.too_few(0)

    def _note_damage(self, error):
        if isinstance(error, VideoError):
            raise error
        self.damage = f"a frame cannot be decoded ({why(error)})"

    def _in_order(self):
        """Yield all frames that decode, in order, and then learn what they say of the file."""
        numbers, self._is_interlaced = array.array("q"), False
        try:
            for frame in self._decoded_afresh():
                self._take_in(frame, numbers)
                yield frame
        except Exception as error:
            self._note_damage(error)
        if not numbers:
            raise self.too_few(0)
        self._learn(np.array(numbers, "int64"))

    def _decode_small(self, is_strict):
        """Decode a small file and keep its frames; return whether it succeeded.

        As all frames are kept, each gets new memory that is zero. Otherwise a decoder that leaves
        damaged parts unset would show the old content of the memory, which varies.
        """
        numbers, kept, kept_bytes, self._is_interlaced = array.array("q"), [], 0, False
        try:
            for frame in self._decoded_afresh(is_strict):
                self._take_in(frame, numbers)
                kept_bytes += sum(plane.buffer_size for plane in frame.planes)
                if kept_bytes > _KEPT_FRAME_BYTES:
                    return False
                kept.append(frame)
        except VideoError:
            raise
        except Exception as error:
            if is_strict:
                return False
            self._note_damage(error)
        if not numbers:
            raise self.too_few(0)
        self._learn(np.array(numbers, "int64"), is_whole=is_strict)
        self._cache = kept
        return True

    def _take_in(self, frame, numbers):
        if self._size is None:
            self._set_layout(frame)
        numbers.append(-1 if frame.pts is None else frame.pts)
        self._is_interlaced = self._is_interlaced or frame.interlaced_frame

    def _frames(self, indices):
        if self._is_small or indices is not None:
            self._settle()
        if indices is None:
            yield from enumerate(self._cache or self._in_order())
            return
        if self._cache is not None:
            yield from ((index, self._cache[index]) for index in indices)
        elif self._index is not None:
            yield from self._from_runs(indices)
        else:
            yield from self._picked(indices)

    def _picked(self, indices):
        """Yield some frames of the file, decoded in order."""
        wanted = iter(indices)
        target, number = next(wanted, None), -1
        if target is None:
            return
        try:
            for number, frame in enumerate(self._decoded_afresh()):
                if number == target:
                    yield number, frame
                    target = next(wanted, None)
                    if target is None:
                        return
        except Exception as error:
            self._note_damage(error)
        raise self.too_few(number + 1)

    def _from_runs(self, indices):
        """Yield some frames by the index; at the first that differs from it, it is dropped."""
        try:
            yield from decode_frames(self._packets, self._index, indices, self._threads)
        except Distrusted as reason:
            self._distrust(str(reason))

    # Number, times and packets of the frames --------------------------------------------------

    @property
    def num_frames(self) -> int:
        """Number of frames that decode."""
        self._settle()
        return len(self._numbers)

    @property
    def edges(self) -> np.ndarray | None:
        """Seconds at which frames begin and the last one ends, float64 (frames + 1,), or None."""
        self._settle()
        if self._edges is None:
            numbers = self._numbers
            ticks = np.where(numbers < 0, NO_TIME, self._packets.times[numbers])
            # The second frame of a packet has no time of its own.
            ticks[1:][(numbers[1:] == numbers[:-1]) & (numbers[1:] >= 0)] = NO_TIME
            packets = self._packets
            self._edges = frame_edges(
                ticks, packets.tick, self.fps, packets.last, packets.clock_jumps
            )
        return self._edges

    @property
    def has_constant_rate(self) -> bool:
        """Whether all frames are shown equally long."""
        edges = self.edges
        return edges is None or has_constant_rate(edges, self._packets.tick)

    def _settle(self):
        """Find the number of frames and the packet of each."""
        if self._settled:
            return
        entries = self._known_entries()
        try:
            if not self._is_small:
                self._index = self._index_of_headers()
            elif entries is not None:
                entries = np.frombuffer(entries, "int64").tolist()
                self._index = index_of_times(self._packets.times, entries, self._packets.is_shown)
        except Unclear as reason:
            self.doubt = str(reason)
        if self._index is not None:
            self._numbers, self._settled = self._index.packets, True
        else:
            self._decode_all()

    def _decode_all(self):
        if self._is_small:
            if self.codec in _CHECKED_CODECS and self._decode_small(is_strict=True):
                return
            if self._decode_small(is_strict=False):
                return
        collections.deque(self._in_order(), maxlen=0)

    def _index_of_headers(self):
        if self.damage or self._packets.is_corrupt:
            raise Unclear("its packets are damaged")
        return self._packets.headers().index(self._packets.is_shown)

    def _distrust(self, reason):
        """Drop the index, decode the file in order, and have frames chosen again."""
        self.doubt, self._index, self._settled = reason, None, False
        self._keep_entries(None)
        self._decode_all()
        raise IndexChanged

    def _learn(self, numbers, is_whole=False):
        """Store the packets of all frames, decoded in order.

        Args:
            numbers: int64 (frames,): number of the packet of each frame.
            is_whole: Whether a strict decoder found no damage.
        """
        if self._settled and np.array_equal(numbers, self._numbers):
            return
        self._numbers, self._edges, self._index, self._settled = numbers, None, None, True
        self.promised = self._promised()
        if self.promised is not None and len(numbers) < self.promised:
            first = "the first " if self.damage else ""
            which = f"{first}{len(numbers)} of its {self.promised} frames can be decoded"
            self._warn(f"only {which}" + (f"; {self.damage}" if self.damage else ""))
        elif self.damage:
            self._warn(f"only {len(numbers)} frames can be decoded; {self.damage}")
        if self.damage:
            return
        reason = difference(self._packets.times, NO_TIME, self._packets.is_shown, numbers)
        self.doubt = self.doubt or reason
        if self.doubt:
            self._warn(f"its index cannot be trusted ({self.doubt}); it is decoded in order")
        elif is_whole and self._packets.data is None:
            self._remember()

    def _remember(self):
        """Keep the entries of this small file, for the next time that it is opened."""
        try:
            index = self._index_of_headers()
        except Unclear:
            return
        if np.array_equal(index.packets, self._numbers):
            self._keep_entries(np.array(index.entries, "int64").tobytes())

    def _known_entries(self):
        version = self._packets.version()
        return None if version is None else _known_files.get(version)

    def _keep_entries(self, entries):
        version = self._packets.version()
        if version is not None:  # of bytes, and of a file that is gone, nothing is kept
            _known_files.set(version, entries)

    def _promised(self):
        """Return the number of frames that the packets promise, or None if unknown."""
        shown = int(self._packets.is_shown.sum())
        if shown <= len(self._numbers):
            return shown if shown == len(self._numbers) else None
        try:
            return self._packets.headers().num_promised(~self._packets.is_shown)
        except Unclear as reason:
            return shown if reason.counts and not self._is_interlaced else None

    def _warn(self, what):
        """Log a warning about this file, once per process."""
        if _warned.set((self.path, what), True):
            _logger.warning("%s: %s", self.path, what)
