"""Writes tiny videos for the tests."""

import fractions
import pathlib

import av
import numpy as np


def moving_frames(num_frames=12, height=48, width=64):
    """uint8 (T, H, W, 3): a bright square that crosses a color gradient, each frame its own."""
    rows, columns = np.mgrid[:height, :width]
    frames = np.empty((num_frames, height, width, 3), "uint8")
    frames[..., 0] = rows * 200 // height
    frames[..., 1] = columns * 200 // width
    frames[..., 2] = (np.arange(num_frames) * 200 // num_frames)[:, None, None]
    for t, frame in enumerate(frames):
        left = t * (width - 8) // num_frames
        frame[height // 4 : height // 2, left : left + 8] = 255
    return frames


def write_video(path, frames, codec="libx264", pix_fmt="yuv420p", rate=8, setup=None, **options):
    """Writes frames (T, H, W, 3) to `path`, whose suffix names the container.

    Args:
        path: The file.
        frames: uint8 (T, H, W, 3), or PyAV frames.
        codec: FFmpeg's encoder.
        pix_fmt: Its pixel format.
        rate: Frames a second.
        setup: Called with the stream before the first frame.
        **options: The encoder's.
    """
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, options={k: str(v) for k, v in options.items()})
        first = frames[0]
        stream.height, stream.width = (
            first.shape[:2] if isinstance(first, np.ndarray) else (first.height, first.width)
        )
        stream.pix_fmt = pix_fmt
        if setup is not None:
            setup(stream)
        for number, frame in enumerate(frames):
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, "rgb24")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return str(path)


def write_lossless(path, frames, **kwargs):
    """Writes a Matroska file that decodes to `frames` to the bit."""
    return write_video(path, frames, codec="ffv1", pix_fmt="bgr0", **kwargs)


def jpeg(frame, pix_fmt="yuvj444p", **options):
    """The bytes of a JPEG picture of a frame (H, W, 3)."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = frame.shape[:2]
    encoder.pix_fmt, encoder.time_base = pix_fmt, fractions.Fraction(1, 8)
    encoder.options = {"qmin": "1", "qmax": "1", **options}
    encoder.qmin = encoder.qmax = 1
    picture = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format=pix_fmt)
    picture.pts = 0
    return b"".join(bytes(p) for p in [*encoder.encode(picture), *encoder.encode(None)])


def write_frames(folder, frames, first=1, **kwargs):
    """Writes frames (T, H, W, 3) as a folder of pictures `00001.jpg`, `00002.jpg`, ..."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=first):
        (folder / f"{number:05d}.jpg").write_bytes(jpeg(frame, **kwargs))
    return str(folder)


def write_damaged(path, frames, first_bad):
    """Writes a QuickTime file whose pictures from `first_bad` on do not decode."""
    write_video(path, frames, codec="png", pix_fmt="rgb24")
    path = pathlib.Path(path)
    data = bytearray(path.read_bytes())
    start = -1
    for number in range(len(frames)):
        start = data.index(b"\x89PNG", start + 1)
        if number >= first_bad:
            data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    return str(path)
