"""Decodes one video from its first frame to its last and finds what is wrong with it.

It imports little, as `check_videos` runs it in new processes.
"""

import os
from collections.abc import Sequence
from typing import Any

from keras_mlp3d.data.datasets.truncation import missing_bytes
from keras_mlp3d.data.video.container import VideoError
from keras_mlp3d.data.video.records import ShardError
from keras_mlp3d.data.video.sources import is_path, open_video


def check_file(
    source: Any,
    spans: Sequence[tuple[float | None, float | None]] = (),
    data: bytes | None = None,
) -> dict[str, Any]:
    """Decode a video and return what was found. It raises no error.

    Args:
        source: Any source that `open_video` takes.
        spans: `(start, end)` of the parts that must begin within the video, in seconds or None.
        data: None, or the content of the video as bytes; `source` is then its name.

    Returns:
        `{"codec": ..., "frames": ..., "error": ..., "promised": ..., "note": ...}` as in
        `VideoCheck`.
    """
    found = {"codec": "", "frames": 0, "error": "", "promised": None, "note": ""}
    try:
        with open_video(source if data is None else data) as video:
            found["codec"] = video.codec
            found["promised"] = video.promised
            found["frames"] = video.count()
            # They may have changed while the video was decoded.
            found["promised"], found["note"] = video.promised, video.doubt or ""
            found["error"] = _damage(video, found["frames"]) or _truncation(source, data)
            if not found["error"]:
                for start, end in spans:
                    video.span(start, end)
    # Any error is one of this file; the next file is checked nevertheless.
    except Exception as error:
        found["error"] = reason_of(error)
    return found


def reason_of(error: BaseException) -> str:
    """Return why a video is unreadable, without its path.

    Args:
        error: The error when it was opened or decoded.

    Example:

    >>> reason_of(VideoError("a.mp4", "it has no video stream")), reason_of(KeyError("pts"))
    ('it has no video stream', "KeyError: 'pts'")
    """
    if isinstance(error, VideoError | ShardError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _damage(video, frames):
    """Return which frames are lost, as text, or ""."""
    lost = (video.promised or 0) - frames
    if video.damage or not frames:
        return video.too_few(frames).reason
    if lost > 0:
        return f"{lost} of the {video.promised} frames that its packets promise are not decoded"
    return ""


def _truncation(source, data):
    if data is not None or not is_path(source) or not os.path.isfile(source):
        return ""
    short = missing_bytes(source)
    return f"it is truncated: {short} bytes are missing at its end" if short else ""
