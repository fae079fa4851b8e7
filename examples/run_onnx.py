"""Names what a video shows, without Keras: python run_onnx.py model.onnx video.mp4

The model comes from: keras-mlp3d export --preset ... --format onnx --to model.onnx --preprocessing
"""

import json
import sys

import av
import numpy as np
import onnxruntime

model, video = sys.argv[1:]
with open(model + ".json", encoding="utf-8") as file:
    labels = json.load(file)["labels"]
with av.open(video) as container:
    frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
session = onnxruntime.InferenceSession(model)
[scores] = session.run(["scores"], {"frames": np.stack(frames)})
for place in np.argsort(-scores)[:5]:
    print(f"{100 * scores[place]:5.1f} %  {labels[place]}")
