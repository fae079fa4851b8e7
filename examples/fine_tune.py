"""Fine-tunes a preset on a folder of videos, one sub-folder per class, and saves the result.

    python examples/fine_tune.py --train clips/train --val clips/val --to my_preset

The accuracy on the validation folder is written to the preset's model card.
"""

import argparse
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km
from keras_mlp3d.data import VideoConverter, VideoLoader, read_folder

import keras


def main():
    """Train, evaluate and save a network, and load it again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", required=True, help="folder with one sub-folder per class")
    parser.add_argument("--val", required=True, help="folder with the same sub-folders")
    parser.add_argument("--to", required=True, help="directory of the preset to write")
    parser.add_argument("--preset", default="mlp3d_nano_motion_shapes")
    parser.add_argument("--frames", type=int, help="frames of a clip; default: the preset's")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--crop", default="center", choices=("center", "none"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    clip = km.hub.read_preset(arguments.preset).metadata["clip"]
    converter = VideoConverter(
        arguments.frames or clip["frames"],
        tuple(arguments.size or clip["size"]),
        crop=arguments.crop,
    )
    training = read_folder(arguments.train, "train")
    validation = read_folder(arguments.val, "val", training.class_names)
    # The same frames in every epoch, so that each video is decoded once.
    train = VideoLoader(
        training,
        converter,
        batch_size=min(arguments.batch_size, len(training)),
        training=True,
        seed=arguments.seed,
        random_clips=False,
        cache=True,
    )
    val = VideoLoader(validation, converter, batch_size=32, cache=True)
    model = km.MLP3D.from_preset(
        arguments.preset,
        num_classes=len(training.class_names),
        class_names=training.class_names,
        converter=converter,
        dropout=0.2,
    )
    steps = len(train) * arguments.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=arguments.learning_rate, warmup_steps=steps // 10
    )
    optimizer = km.training.AdamW(rate, weight_decay=0.05)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=val, epochs=arguments.epochs, verbose=2)
    accuracy = model.evaluate(val, verbose=0)[1]
    command = f"python {' '.join(sys.argv)}"
    model.save_to_preset(
        arguments.to,
        description=f"{arguments.preset} fine-tuned on {len(training.class_names)} classes.",
        metrics=[
            {
                "name": "top-1 accuracy",
                "value": round(accuracy, 4),
                "dataset": os.path.basename(os.path.dirname(os.path.abspath(arguments.val))),
                "split": f"{os.path.basename(arguments.val)}, {len(validation)} clips",
                "command": command,
            }
        ],
    )
    again = km.MLP3D.from_preset(arguments.to)
    again.compile(loss=model.loss, metrics=["accuracy"])
    print(f"validation accuracy {accuracy:.4f}; loaded from {arguments.to}: ", end="")
    print(f"{again.evaluate(val, verbose=0)[1]:.4f}")


if __name__ == "__main__":
    main()
