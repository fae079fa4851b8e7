"""One open video file: its packets, and the pictures asked for in order of presentation."""

import itertools
import os

import numpy as np
from av.error import FFmpegError

from keras_mlp3d.data.video.container import (
    VideoError,
    check_size,
    checked_path,
    open_stream,
    why,
)
from keras_mlp3d.data.video.index import PacketInfo, packet_runs
from keras_mlp3d.data.video.pictures import Scaler, orientation
from keras_mlp3d.data.video.sampling import span_frames

_KEPT_BYTES = 64 * 2**20  # compressed packets held in memory, so that a small file is read once
# A packet is one shown picture, a key packet a clean start, and the container's times are its own.
_SKIPPABLE_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
_SKIPPABLE_CONTAINERS = frozenset({"mov", "matroska"})
# Pictures that no other leans on are marked as such, and the decoder drops them exactly.
_DROPPABLE_CODECS = frozenset({"h264"})


class VideoReader:
    """An open video; use it as a context manager, so that the file is closed in all cases.

    `num_frames` counts the packets of the stream (headers lie), `codec` and `fps` describe it,
    and `damage` says in words where the reading of packets or pictures broke off, if it did.

    Args:
        path: The file.
        data: Its content, where that is in memory: `path` is then a name alone.
    """

    def __init__(self, path, data=None):
        self.path = self._checked_path(path) if data is None else os.fspath(path)
        self._data = data
        self.damage = None
        self._container = None
        self._size = None  # of the first decoded picture, before it is turned
        self._scaler = Scaler()
        self._open()
        try:
            self._read_index()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        self._kept = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _checked_path(self, path):
        return checked_path(path)

    def _open(self):
        self.close()
        self._container, self._stream = open_stream(self.path, self._data)

    def _read_index(self):
        stream = self._stream
        rate = stream.average_rate
        self.fps = float(rate) if rate and rate > 0 else None
        self.codec = stream.codec_context.codec.canonical_name
        self._packets, kept, kept_bytes = [], [], 0
        try:
            for packet in self._container.demux(stream):
                if not packet.size:
                    continue
                self._packets.append(
                    PacketInfo(packet.pts, packet.is_keyframe, not packet.is_discard)
                )
                kept_bytes += packet.size
                if kept is not None and kept_bytes <= _KEPT_BYTES:
                    kept.append(packet)
                else:
                    kept = None
        except FFmpegError as error:
            self.damage = f"its packets cannot be read to the end ({why(error)})"
        self._kept = kept
        self.num_frames = sum(packet.is_shown for packet in self._packets)
        if not self.num_frames:
            promised = f", though its header promises {stream.frames}" if stream.frames else ""
            raise VideoError(self.path, f"its video stream holds no frames{promised}")

    def span(self, start=None, end=None):
        """`sampling.span_frames` of this video; its errors name the file."""
        try:
            return span_frames(self.num_frames, self.fps, start, end)
        except ValueError as error:
            raise VideoError(self.path, str(error)) from None

    # Decoding -----------------------------------------------------------------------------------

    def _decode(self, start=0, wanted=None):
        """Decoder frames from packet `start` on; the first damage raises PyAV's error.

        With `wanted`, a set of times, pictures of other times are dropped where no other picture
        leans on them.
        """
        if self._kept is None:
            self._open()
            packets = (p for p in self._container.demux(self._stream) if p.size)
            packets = itertools.islice(packets, start, len(self._packets))
        else:
            packets = itertools.islice(self._kept, start, None)
            if self._stream.codec_context.is_open:
                self._stream.codec_context.flush_buffers()
        context = self._stream.codec_context
        try:
            for packet in packets:
                if wanted is not None:
                    context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
                yield from self._stream.decode(packet)
            yield from self._stream.decode(None)
        finally:
            context.skip_frame = "DEFAULT"

    @property
    def layout(self):
        """`(height, width, rotation)` of the pictures given out, from the first that decodes."""
        if self._size is None:
            try:
                frame = next(self._decode(), None)
            except FFmpegError as error:
                self.damage = f"a frame cannot be decoded ({why(error)})"
                frame = None
            if frame is None:
                raise self._too_few(0)
            self._set_layout(frame)
        width, height = self._size
        return (width, height, self._rotation) if self._axes else (height, width, self._rotation)

    def _set_layout(self, frame):
        check_size(self.path, frame.width, frame.height)
        self._size = frame.width, frame.height
        self._rotation, self._axes, self._flips = orientation(frame)
        self._clean_start = not frame.is_corrupt

    def frames(self, indices=None, fit=None, interpolation="bilinear"):
        """Yields `(index, picture)`, each wanted index once, rising; pictures uint8 (H, W, 3).

        Args:
            indices: Rising frame numbers below `num_frames`; by default all that decode.
            fit: None, or a function from `(height, width)` of the video, upright, to that of the
                pictures.
            interpolation: How they are resized, where `fit` asks for another size.
        """
        self._fit, self._interpolation = fit, interpolation
        done = 0
        if indices is not None:
            for frame in self._decode_skipping(indices):
                yield indices[done], self._picture(frame)
                done += 1
            if done == len(indices):
                return
        count = 0
        try:
            for index, frame in enumerate(self._decode()):
                count = index + 1
                if self._size is None:
                    self._set_layout(frame)
                if indices is None or indices[done] == index:
                    yield index, self._picture(frame)
                    done += 1
                    if indices is not None and done == len(indices):
                        return
        except FFmpegError as error:
            self.damage = f"a frame cannot be decoded ({why(error)})"
        if indices is not None or not count:
            raise self._too_few(count)

    def _too_few(self, count):
        which = f"only the first {count}" if count else "none"
        reason = f"{which} of its {self.num_frames} frames can be decoded"
        if self.damage:
            reason += f"; {self.damage}"
        return VideoError(self.path, reason, count)

    def _picture(self, frame):
        width, height = self._size
        if self._fit is not None:
            upright = (width, height) if self._axes else (height, width)
            size = self._fit(upright)
            width, height = size if self._axes else size[::-1]
        picture = self._scaler.to_rgb(frame, width, height, self._interpolation)
        if self._axes:
            picture = picture.transpose(1, 0, 2)
        if self._axes or self._flips != (1, 1):
            picture = np.ascontiguousarray(picture[:: self._flips[0], :: self._flips[1]])
        return picture

    def count(self):
        """How many frames decode before the first damage, which `damage` then tells of."""
        count = 0
        try:
            for frame in self._decode():
                count += 1
                if self._size is None:
                    self._set_layout(frame)
        except FFmpegError as error:
            self.damage = f"a frame cannot be decoded ({why(error)})"
        if not count:
            raise self._too_few(0)
        return count

    # Skipping -----------------------------------------------------------------------------------

    def _decode_skipping(self, indices):
        """Frames of `indices`, decoding from key packets; stops early where that is in doubt."""
        runs = self._runs(indices)
        if runs is None or not self.layout or not self._clean_start:
            return
        for start, times in runs:
            wanted = set(times) if self.codec in _DROPPABLE_CODECS else None
            times = iter(times)
            time = next(times)
            try:
                for frame in self._decode(start, wanted):
                    in_doubt = frame.pts is None or frame.is_corrupt or frame.pts > time
                    if in_doubt or (frame.width, frame.height) != self._size:
                        return
                    if frame.pts == time:
                        yield frame
                        time = next(times, None)
                        if time is None:
                            break
                else:
                    return
            except FFmpegError:
                return

    def _runs(self, indices):
        """`packet_runs` for `indices`, or `None`: decode all packets from the first."""
        containers = self._container.format.name.split(",")
        if self.codec not in _SKIPPABLE_CODECS or _SKIPPABLE_CONTAINERS.isdisjoint(containers):
            return None
        runs = packet_runs(self._packets, indices)
        idle = runs is not None and not runs[-1][0] and self.codec not in _DROPPABLE_CODECS
        return None if idle else runs
