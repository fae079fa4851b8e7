"""Names what a video shows, without Keras: python run_onnx.py model.onnx video.mp4

The model comes from: keras-mlp3d export --preset ... --format onnx --to model.onnx --preprocessing
Phones store a turned video as it was recorded, with a matrix that says how to turn and mirror it.
Quarter turns and mirrorings are applied; a slanted matrix is ignored.
"""

import json
import sys

import av
import numpy as np
import onnxruntime


def orientation(frame):
    """Return whether to swap rows and columns, and then the steps through them, 1 or -1."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        numbers = np.frombuffer(bytes(matrix), "=i4", count=9).reshape(3, 3).astype(float)
        (a, b), (c, d) = numbers[:2, :2]  # x' = a x + c y and y' = b x + d y
        if a * d != 0 and max(abs(b), abs(c)) < 1e-3 * min(abs(a), abs(d)):
            return False, int(np.sign(d)), int(np.sign(a))
        if b * c != 0 and max(abs(a), abs(d)) < 1e-3 * min(abs(b), abs(c)):
            return True, int(np.sign(b)), int(np.sign(c))
    return False, 1, 1


model, video = sys.argv[1:]
with open(model + ".json", encoding="utf-8") as file:
    labels = json.load(file)["labels"]
frames, turn = [], None
with av.open(video) as container:
    for frame in container.decode(video=0):
        turn = turn or orientation(frame)
        swap, down, right = turn
        picture = frame.to_ndarray(format="rgb24")
        picture = (picture.swapaxes(0, 1) if swap else picture)[::down, ::right]
        frames.append(np.ascontiguousarray(picture))
        if picture.shape != frames[0].shape:
            sizes = [f"{width} x {height}" for height, width, _ in (frames[0].shape, picture.shape)]
            sys.exit(
                f"{video}: its pictures must be of one size, got {sizes[0]} and then {sizes[1]}. "
                "Convert the video to one size."
            )
if not frames:
    sys.exit(f"{video}: no picture can be decoded.")
session = onnxruntime.InferenceSession(model)
[scores] = session.run(["scores"], {"frames": np.stack(frames)})
for place in np.argsort(-scores)[:5]:
    print(f"{100 * scores[place]:5.1f} %  {labels[place]}")
