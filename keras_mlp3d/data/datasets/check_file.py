"""Decodes one video from its first frame to its last, and says what is wrong with it.

What this file imports starts quickly: `check_videos` runs it in processes of its own.
"""

import os

from keras_mlp3d.data.datasets.truncation import missing_bytes
from keras_mlp3d.data.video.container import VideoError, is_path
from keras_mlp3d.data.video.records import ShardError
from keras_mlp3d.data.video.sources import open_video


def check_file(source, spans=(), data=None):
    """Decodes a video, whatever it does.

    Args:
        source: Whatever `open_video` takes.
        spans: `(start, end)` of the stretches that must begin within the video, in seconds or None.
        data: None, or the video's content as bytes: `source` is then its name alone.

    Returns:
        `{"codec": ..., "frames": ..., "error": ..., "promised": ..., "note": ...}` as in
        `VideoCheck`.
    """
    found = {"codec": "", "frames": 0, "error": "", "promised": None, "note": ""}
    try:
        with _opened(source, data) as video:
            found["codec"] = video.codec
            found["promised"] = getattr(video, "promised", None)
            found["note"] = getattr(video, "doubt", None) or ""
            found["frames"] = video.count()
            found["error"] = _damage(video, found["frames"]) or _truncation(source)
            if not found["error"]:
                for start, end in spans:
                    video.span(start, end)
    # Whatever it is, it is said of this file, and the next one is looked at.
    except Exception as error:
        found["error"] = reason_of(error)
    return found


def reason_of(error):
    """Returns in words why a video cannot be read, without its path.

    Args:
        error: What opening or decoding it raised.

    Example:

    >>> reason_of(VideoError("a.mp4", "it has no video stream")), reason_of(KeyError("pts"))
    ('it has no video stream', "KeyError: 'pts'")
    """
    if isinstance(error, VideoError | ShardError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _opened(source, data):
    from keras_mlp3d.data.video.reader import VideoReader  # TODO rebase: open_video(data)

    return open_video(source) if data is None else VideoReader(source, data)


def _damage(video, frames):
    """What could not be decoded, in words, or ""."""
    if video.damage:
        return (
            f"only the first {frames} of its {video.num_frames} frames can be decoded; "
            f"{video.damage}"
        )
    promised = getattr(video, "promised", None)
    if promised is not None and frames < promised - getattr(video, "hidden", 0):
        return f"{promised - frames} of the {promised} frames that it promises are not decoded"
    return ""


def _truncation(source):
    short = missing_bytes(source) if is_path(source) and os.path.isfile(source) else 0
    return f"it is truncated: {short} bytes are missing at its end" if short else ""
