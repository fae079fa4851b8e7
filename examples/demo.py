"""The main use, end to end: classify videos, fine-tune on other classes, save, load, classify.

    KERAS_BACKEND=jax python examples/demo.py --to demo

The first videos are real: words read from a mouth (examples/clips). Fine-tuning needs more of
them, and takes files of the generated data set `motion_shapes`, in which a textured shape performs
two events one after the other.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import keras_mlp3d as km
from keras_mlp3d.data import VideoLoader, motion_shapes, read_folder, read_video
from keras_mlp3d.inference import classify
from keras_mlp3d.plots import plot_predictions

CLIPS = pathlib.Path(os.path.relpath(pathlib.Path(__file__).parent / "clips"))
#: Preset of real clips.
WORDS = "mlp3d_tiny_grid_words"
PRESET = "mlp3d_nano_motion_shapes"
#: Classes that the preset has never seen: other events.
NEW_CLASSES = ("circle_then_tilt", "squash_then_tint", "tilt_then_circle", "tint_then_squash")


def show(model, paths, picture):
    """Classifies videos, prints a line per video, and draws a picture."""
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
    seen = [read_video(item.path, item.frame_indices[0])[0] for item in predictions[:6]]
    plot_predictions(predictions[:6], seen, picture)


def some_videos(directory, each=1):
    """Returns the first videos of each class folder."""
    folders = sorted(path for path in pathlib.Path(directory).iterdir() if path.is_dir())
    return [video for folder in folders for video in sorted(folder.glob("*.mp4"))[:each]]


def main():
    """Runs all steps and prints the time of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", default="demo", help="folder for videos, pictures and the preset")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.to)
    started = time.perf_counter()
    keras.utils.set_random_seed(0)

    print(f"1. Load {WORDS} and read words from lips")
    model = km.MLP3D.from_preset(WORDS)
    show(model, some_videos(CLIPS / "grid_words"), folder / "predictions.png")

    print(f"2. Draw video files into {folder}/videos")
    known, new = folder / "videos" / "known", folder / "videos" / "new"
    motion_shapes.write_motion_shapes(known, split="test", num_clips=40)
    for split, clips in (("train", 160), ("val", 40)):
        motion_shapes.write_motion_shapes(
            new / split, split=split, num_clips=clips, classes=NEW_CLASSES
        )

    model = km.MLP3D.from_preset(PRESET)
    show(model, some_videos(known), folder / "generated.png")

    print(f"3. Fine-tune {PRESET} on {len(NEW_CLASSES)} classes that it has never seen")
    train, val = read_folder(new, "train"), read_folder(new, "val")
    # The same frames in every epoch, so that each video is decoded once.
    videos = VideoLoader(
        train, model.converter, batch_size=16, training=True, random_clips=False, cache=True
    )
    held_out = VideoLoader(val, model.converter, batch_size=20, cache=True)
    tuned = km.MLP3D.from_preset(
        PRESET, num_classes=len(train.class_names), class_names=train.class_names
    )
    tuned.compile(
        keras.optimizers.AdamW(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    tuned.fit(videos, validation_data=held_out, epochs=arguments.epochs)

    preset = folder / "my_preset"
    print(f"4. Save it to {preset}, load it again, classify held-out videos")
    tuned.save_to_preset(preset, description="mlp3d_nano fine-tuned on four new classes.")
    again = km.MLP3D.from_preset(preset)
    show(again, some_videos(new / "val", each=5), folder / "fine_tuned.png")
    print(f"Done in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
