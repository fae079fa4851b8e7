"""Files of the motion-shapes data set: the videos and their folder."""

import io
import json
import pathlib
from typing import Any

import av
import numpy as np

from keras_mlp3d._utils.atomic_write import write_whole

DESCRIPTION = "motion_shapes.json"


def encode_clip(clip: np.ndarray, fps: int = 16) -> bytes:
    """Encode frames as an H.264 MP4 in which no frame depends on another.

    Args:
        clip: uint8 `(T, H, W, 3)`, RGB, height and width even.
        fps: Frames per second, an integer.

    Returns:
        Content of the file.

    Example:

    >>> encode_clip(np.zeros((4, 16, 16, 3), np.uint8))[4:8]
    b'ftyp'
    """
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=int(fps))
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        # Key frames only and one quantizer: with rate control, look-ahead or adaptive quantization,
        # the coding of a frame would depend on its neighbors.
        stream.options = {
            "preset": "veryfast",
            "qp": "20",
            "x264-params": "keyint=1:scenecut=0:bframes=0:rc-lookahead=0:mbtree=0:aq-mode=0",
        }
        for picture in clip:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def claim_folder(folder: pathlib.Path, description: dict[str, Any]) -> None:
    """Mark a new folder with a description of the data set, or compare it with an old one."""
    path = folder / DESCRIPTION
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"directory must be a folder; {folder} is a file.")
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError(f"{path} is no description of this data set.")
        for key, value in description.items():
            if key != "num_clips" and found.get(key) != value:
                raise ValueError(
                    f"directory {folder} holds another data set: its {key} is "
                    f"{found.get(key)!r}, asked for is {value!r}. Name another folder."
                )
        held = found.get("num_clips")
        if not isinstance(held, int) or held > description["num_clips"]:
            raise ValueError(
                f"directory {folder} holds the data set with {held!r} clips, asked for are "
                f"{description['num_clips']}. Ask for as many or more, or name another folder."
            )
        if held == description["num_clips"]:
            return
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"directory {folder} is not empty and holds no {DESCRIPTION}. Name a new folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(description, indent=2) + "\n").encode())
