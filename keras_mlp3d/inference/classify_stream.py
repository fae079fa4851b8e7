"""The scores of what a camera or a stream shows now: always of the newest window.

Source: ours; the paper scores whole videos.
"""

import collections
import re
import sys
import threading
from collections.abc import Generator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.data.video.pictures import orientation, turned
from keras_mlp3d.data.video.sources import Frames
from keras_mlp3d.inference.classify_windows import WindowScores
from keras_mlp3d.inference.read_sources import converter_of
from keras_mlp3d.inference.score_views import check_model, score_views

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt")

#: Bytes of the frames of a window. Of a longer or larger one every second frame is kept, or every
#: fourth, and so on.
_MAX_BYTES = 2**28
#: Seconds after which an address that sends nothing has failed.
_TIMEOUT = 10.0
#: Frames a second of a stream that gives them no times.
_RATE = 30.0
#: Longest step between two frames over the shortest, up to which a rate is steady.
_STEADY = 1.5
#: FFmpeg would look at five seconds of a stream before it shows the first frame.
_LIVE = {"analyzeduration": "1000000"}


def classify_stream(
    model: keras.Model,
    source: int | str,
    window: float = 2.0,
    hop: float = 0.5,
    converter: VideoConverter | None = None,
) -> Generator[WindowScores, None, None]:
    """Classify the newest window of a camera or a stream, again and again.

    Frames are read in a thread, and only those of the newest window are kept. If the network takes
    longer than `hop`, windows in between are left out, so that the scores never lag behind.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP` or `CycleMLP`.
        source: Number of a camera, from 0; the path of its device, such as "/dev/video0"; or the
            address of a stream: rtsp://, rtmp://, http://, udp://, tcp://, srt://, or one of these
            with an s for encryption.
        window: Length of a window in seconds.
        hop: Least number of seconds from the end of a window to that of the next.
        converter: `data.VideoConverter` that makes the clips; its crop is the center crop. Defaults
            to `model.converter`.

    Returns:
        Generator of `WindowScores`, with the seconds since the first frame. It ends when the stream
        does. Closing it lets the camera go.

    Raises:
        ValueError: If an argument is wrong, at once. While iterating, `data.VideoError` if the
            source cannot be opened, breaks off, or sends nothing for ten seconds.

    Example:

    >>> from keras_mlp3d.models import MLP3D
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> try:
    ...     classify_stream(model, "ftp://camera")
    ... except ValueError as error:
    ...     print(str(error)[:60])
    source must be the number of a camera, the path of its devic
    """
    check_model(model)
    check_number("window", window, above=0)
    check_number("hop", hop, above=0)
    address = _address_of(source)
    return _scored(model, address, window, hop, converter_of(model, converter))


class _Address(NamedTuple):
    """What FFmpeg opens: a name, the format of a device or None, and options."""

    name: str
    format: str | None
    options: dict[str, str]


def _address_of(source: Any) -> _Address:
    if isinstance(source, int) and not isinstance(source, bool) and source >= 0:
        if sys.platform == "darwin":
            return _Address(str(source), "avfoundation", {"framerate": "30"})
        if sys.platform == "win32":
            raise ValueError(
                f"source={source}: cameras have no numbers on Windows; give 'video=NAME', with the "
                "name that the device manager shows."
            )
        return _Address(f"/dev/video{source}", "v4l2", {})
    if isinstance(source, str):
        if sys.platform == "win32" and source.startswith("video="):
            return _Address(source, "dshow", {})
        if re.fullmatch(r"/dev/[\w/.-]+", source) and ".." not in source:
            return _Address(source, "v4l2", {})
        scheme = source.partition("://")[0].lower()
        if "://" in source and scheme in SCHEMES:
            over_tcp = {"rtsp_transport": "tcp"} if scheme in ("rtsp", "rtsps") else {}
            return _Address(source, None, {**_LIVE, **over_tcp})
    raise ValueError(
        "source must be the number of a camera, the path of its device, or an address that begins "
        f"with {', '.join(f'{scheme}://' for scheme in SCHEMES)}, got {source!r}."
    )


def _scored(
    model: keras.Model, address: _Address, window: float, hop: float, converter: VideoConverter
) -> Generator[WindowScores, None, None]:
    with _Feed(address, window) as feed:
        due, done = window, -1.0
        while (seen := feed.newest(due, done)) is not None:
            times, pictures = seen
            rate = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 1.0
            clip = converter(Frames(_even(times, pictures), rate, address.name))
            scores = score_views(model, clip[None], 1)[0]
            yield WindowScores(max(times[-1] - window, 0.0), times[-1], scores)
            done = times[-1]
            due = max(done + hop, feed.now)


def _even(times: list[float], pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Return as many pictures as there are, those that were shown at equal steps of time."""
    steps = np.diff(times)
    if len(steps) < 2 or steps.max() <= _STEADY * steps.min():
        return pictures
    shown = np.linspace(times[0], times[-1], len(times)) + 1e-6
    return [pictures[place] for place in np.searchsorted(times, shown, side="right") - 1]


def _upright(frame: Any) -> np.ndarray:
    """Return a frame as RGB, as the display matrix of its stream turns it."""
    return turned(frame.to_ndarray(format="rgb24"), *orientation(frame)[1:])


class _Feed:
    """Reads a stream in a thread, and keeps the frames of the newest window.

    Args:
        address: What to open.
        window: Seconds to keep.
    """

    def __init__(self, address: _Address, window: float):
        self._address, self._window = address, window
        self._frames: collections.deque[tuple[float, np.ndarray]] = collections.deque()
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._has_ended = self._is_closed = False
        self._every = 1
        self._thread = threading.Thread(target=self._run, name="keras_mlp3d stream", daemon=True)

    def __enter__(self) -> "_Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        self._thread.join(_TIMEOUT + 1)

    @property
    def now(self) -> float:
        """Second of the newest frame."""
        with self._changed:
            return self._frames[-1][0] if self._frames else 0.0

    def newest(self, due: float, done: float) -> tuple[list[float], list[np.ndarray]] | None:
        """Wait for a second of the stream, or its end, and return the newest window.

        Args:
            due: Second to wait for.
            done: Second of the last frame that the caller has had.

        Returns:
            (seconds, pictures), or None if nothing came after `done`.

        Raises:
            VideoError: If the stream cannot be read any further.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_ended or self._reaches(due))
            if not self._frames or self._frames[-1][0] <= done:
                if self._error is not None:
                    raise self._error
                return None
            times, pictures = zip(*self._frames, strict=True)
            return list(times), list(pictures)

    def _reaches(self, due: float) -> bool:
        return bool(self._frames) and self._frames[-1][0] >= due - 1e-6

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read()
        # Whatever happens in this thread, the one that waits for it must hear of it.
        except Exception as reason:
            text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            if type(reason).__name__ == "ExitError":  # what FFmpeg says when it waited too long
                text = f"it sent nothing for {_TIMEOUT:g} seconds"
            error = VideoError(self._address.name, text)
        with self._changed:
            self._error, self._has_ended = error, True
            self._changed.notify_all()

    def _read(self) -> None:
        import av

        name, kind, options = self._address
        with av.open(name, format=kind, options=options, timeout=_TIMEOUT) as container:
            if not container.streams.video:
                raise ValueError("it has no pictures")
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # threads by frame would hold back the newest ones
            second, before, start = 0.0, 0.0, None
            for place, frame in enumerate(container.decode(stream)):
                if self._is_closed:
                    return
                time = place / _RATE if frame.time is None else float(frame.time)
                if start is None or time < before:  # some streams begin again in the middle
                    start = time - (second + 1 / _RATE if place else 0.0)
                second, before = time - start, time
                if place % self._every == 0:
                    self._add(second, _upright(frame))

    def _add(self, second: float, picture: np.ndarray) -> None:
        with self._changed:
            frames = self._frames
            if frames and picture.shape != frames[-1][1].shape:
                frames.clear()  # the camera was turned
            frames.append((second, picture))
            while len(frames) > 1 and second - frames[0][0] > self._window + 1e-6:
                frames.popleft()
            if len(frames) * picture.nbytes > _MAX_BYTES:
                self._every *= 2
                kept = list(frames)[::-2][::-1]
                frames.clear()
                frames.extend(kept)
            self._changed.notify_all()
