"""The main use, end to end: classify videos, fine-tune on other classes, save, load, classify.

    KERAS_BACKEND=jax python examples/demo.py --to demo

All videos are real (examples/clips): words read from a mouth, and then four arm gestures as a radar
sees them, of which the lip reader learns from 80 videos, and is measured on 40 of other persons.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras_mlp3d as km
from keras_mlp3d.data import VideoLoader, read_folder, read_video
from keras_mlp3d.inference import classify
from keras_mlp3d.plots import plot_predictions

import keras

CLIPS = pathlib.Path(os.path.relpath(pathlib.Path(__file__).parent / "clips"))
PRESET = "mlp3d_tiny_grid_words"


def show(model, paths, picture):
    """Classify videos, print a line per video, and draw a picture."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    predictions = classify(model, paths, clips=1, crops=1, top_k=3)
    right = 0
    for prediction in predictions:
        truth = pathlib.Path(prediction.path).parent.name
        right += prediction.labels[0] == truth
        best = ", ".join(
            f"{label} {score:.2f}"
            for label, score in zip(prediction.labels, prediction.scores, strict=True)
        )
        print(f"  {truth:20s} -> {best}")
    print(f"  {right} of {len(predictions)} right; picture: {picture}")
    shown = predictions[:: -(-len(predictions) // 6)]
    seen = [read_video(item.path, item.frame_indices[0])[0] for item in shown]
    plot_predictions(shown, seen, picture)


def some_videos(directory, each=1):
    """Return the first videos of each class folder."""
    folders = sorted(path for path in pathlib.Path(directory).iterdir() if path.is_dir())
    return [video for folder in folders for video in sorted(folder.glob("*.mp4"))[:each]]


def main():
    """Run all steps and print the time of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", default="demo", help="folder for videos, pictures and the preset")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.to)
    started = time.perf_counter()
    keras.utils.set_random_seed(0)

    print(f"1. Load {PRESET} and read words from lips")
    model = km.MLP3D.from_preset(PRESET)
    show(model, some_videos(CLIPS / "grid_words"), folder / "predictions.png")

    train = read_folder(CLIPS / "radar_gestures", "train")
    val = read_folder(CLIPS / "radar_gestures", "val")
    names = ", ".join(train.class_names)
    print(f"2. Fine-tune it on {len(train)} videos of radar gestures: {names}")
    # The same frames in every epoch, so that each video is decoded once.
    videos = VideoLoader(
        train, model.converter, batch_size=8, training=True, random_clips=False, cache=True
    )
    others = VideoLoader(val, model.converter, batch_size=20, cache=True)
    tuned = km.MLP3D.from_preset(
        PRESET, num_classes=len(train.class_names), class_names=train.class_names
    )
    tuned.compile(
        km.training.AdamW(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    tuned.fit(videos, validation_data=others, epochs=arguments.epochs)

    preset = folder / "my_preset"
    print(f"3. Save it to {preset}, load it again, classify videos of other persons")
    tuned.save_to_preset(preset, description=f"{PRESET} fine-tuned on four radar gestures.")
    again = km.MLP3D.from_preset(preset)
    show(again, [row.path for row in val.rows[::3]], folder / "fine_tuned.png")
    print(f"Done in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
