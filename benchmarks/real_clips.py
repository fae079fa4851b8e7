"""What MLP-3D is worth on real clips: trained from scratch, judged on clips that chose nothing.

    python benchmarks/real_clips.py --data radar_gestures --run runs/radar
    python benchmarks/real_clips.py --data grid_words --run runs/words

The folder has sub-folders `train` and `val` with a folder per class. A part of `train` is taken
out before anything is trained: of the gestures every sixth person, of the words every tenth
sentence (`HELD_OUT`). Each network is trained on the rest by the recipe of the data set's name, its
epoch is chosen on `val`, and then it is measured once on the part taken out: with the frames of
each clip in their order, shuffled, and with the middle frame repeated.

With `--to-preset DIRECTORY` the network of seed 0 is written as a preset in half precision, with
the accuracy that this preset has on the part taken out, and the terms of the data set
(real_clips.json). The folder's name is the preset's: its card loads it by that name.

With `--start-from` each network and seed begins with its weights of another run, which had
another recipe, such as smaller pictures.

With `--refit` a network is trained on `val` too, once `val` has chosen the recipe: for all epochs
of the recipe, and nothing but the part taken out measures it.

With `--mistakes` it prints which classes are taken for which, and the accuracy of each class and,
of the gestures, of each person and distance.

A training that was interrupted is resumed; the result of a finished one is read. Several processes
can share a run if each has other `--networks` or `--seeds`; the table has what is finished.
"""

import argparse
import concurrent.futures
import functools
import json
import pathlib
import time

import keras_mlp3d as km
from keras_mlp3d import hub
from keras_mlp3d.cost import count
from keras_mlp3d.data import Manifest, VideoRow, read_folder
from keras_mlp3d.data.video.sources import Frames, LazySource, open_video
from keras_mlp3d.inference import evaluate
from keras_mlp3d.inference.evaluation import wilson_interval
from keras_mlp3d.search import Trainer
from keras_mlp3d.training import (
    Recipe,
    clip_converter,
    data_identity,
    make_loaders,
    parse_overrides,
    set_random_seed,
    train,
)
from r2plus1d import multiply_accumulates, r2plus1d
from run_settings import check_settings

import keras
import numpy as np

#: Data set -> function from a file's name to the group that must not be divided (a person, a
#: sentence), and the step with which groups, sorted by name, are taken out of `train`.
HELD_OUT = {
    "radar_gestures": (lambda stem: stem.split("_")[0], 6),
    "grid_words": (lambda stem: stem, 10),
}

#: Name -> schedule (None: 2-D), frames per clip as a fraction of the recipe's, default seeds. The
#: 2-D network sees every third frame: recipes take multiples of four. R(2+1)D sees every second
#: frame, which brings its multiply-accumulates near those of MLP-3D: 137 million to 131.
NETWORKS = {
    "MLP-3D": ("preset", 1, (0, 1, 2)),
    "S = 1": ("short_range:1", 1, (0,)),
    "CycleMLP by frame": (None, 3, (0,)),
    "R(2+1)D": ("r2plus1d", 2, (0,)),
}
#: Channels and blocks of R(2+1)D.
CONVOLUTIONAL = ((6, 18, 48, 112), (1, 1, 2, 2))
WEIGHTS = "model.weights.h5"
ORDERS = ("in order", "shuffled", "one frame")


def split(manifest, name):
    """Divide the training videos: (manifest to train on, manifest taken out)."""
    group_of, step = HELD_OUT[name]
    groups = sorted({group_of(pathlib.Path(row.path).stem) for row in manifest.rows})
    taken = set(groups[step - 1 :: step])
    parts = ([], [])
    for row in manifest.rows:
        parts[group_of(pathlib.Path(row.path).stem) in taken].append(row)
    names, root = manifest.class_names, manifest.root
    return tuple(
        Manifest(rows, names, part, root=root)
        for rows, part in zip(parts, ("train", "held out"), strict=True)
    )


def in_memory(manifest, preset, recipe):
    """Return the manifest with all frames decoded, so that epochs only augment them.

    They are resized while they are decoded, as those of files are: clips are the same.
    """
    converter = clip_converter(hub.make_converter(hub.read_preset(preset).converter), recipe)

    def decode(row):
        with open_video(row.path) as video:
            pictures = video.frames(None, converter.fit, converter.interpolation)
            frames = np.stack([picture for _, picture in pictures])
            return functools.partial(Frames, frames, video.fps, row.path)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loads = pool.map(decode, manifest.rows)
        rows = [
            VideoRow(LazySource(manifest.name_of(row), load), row.label)
            for row, load in zip(manifest.rows, loads, strict=True)
        ]
    return Manifest(rows, manifest.class_names, manifest.split)


class Measurement:
    """The trainings and results of one data set.

    Args:
        options: Arguments of the command line.
    """

    def __init__(self, options):
        self.options, self.name = options, pathlib.Path(options.data).resolve().name
        recipe = Recipe.load(options.recipe or self.name)
        self.recipe = recipe.replace(**parse_overrides(options.set))
        training, self.held_out = split(read_folder(options.data, "train"), self.name)
        validation = read_folder(options.data, "val")
        if options.refit:
            rows = (*training.rows, *validation.rows)
            training = Manifest(rows, training.class_names, "train and val", root=options.data)
        if options.in_memory:
            training, validation = (
                in_memory(manifest, options.preset, self.recipe)
                for manifest in (training, validation)
            )
        self.training, self.validation = training, validation

    def trainer(self, network):
        """Return the `Trainer` that makes a network, with the recipe of its clips."""
        recipe = self.recipe.replace(num_frames=self.recipe.num_frames // NETWORKS[network][1])
        return Trainer(
            self.options.preset,
            recipe,
            self.training,
            self.validation,
            pathlib.Path(self.options.run, "".join(filter(str.isalnum, network)).lower()),
            from_scratch=True,
            workers=self.options.workers,
        )

    def model(self, network, trainer):
        """Return an untrained network."""
        schedule = NETWORKS[network][0]
        if schedule == "r2plus1d":
            names = self.training.class_names
            shape = trainer.clip_shape
            names_of = ("dropout", "pixel_mean", "pixel_std", "subtract_mean")
            options = {name: getattr(self.recipe, name) for name in names_of}
            return r2plus1d(len(names), shape, *CONVOLUTIONAL, **options)
        if schedule == "preset":
            schedule = preset_schedule(self.options.preset)
        return trainer.model(schedule)

    def result(self, network, seed):
        """Train and measure one network, unless that is done; return what is known of it."""
        trainer = self.trainer(network)
        folder = trainer.folder / f"seed{seed}"
        start = self.options.start_from
        if start:
            start = pathlib.Path(start, folder.relative_to(self.options.run), WEIGHTS)
        check_settings(
            folder,
            {
                "preset": self.options.preset,
                "recipe": trainer.recipe.to_dict(),
                "training": self.training.digest,
                "start from": start and hub.file_sha256(start),
            },
        )
        if (folder / "result.json").exists():
            return read_json(folder / "result.json")
        set_random_seed(seed)
        model = self.model(network, trainer)
        if start:
            model.load_weights(start)
        if not (folder / "trained.json").exists():
            self.train(network, seed, trainer, model, folder)
        trained = read_json(folder / "trained.json")
        if self.options.val_only:
            return trained
        model.load_weights(folder / WEIGHTS)
        rows = self.held_out.rows
        result = {
            **trained,
            "labels": self.held_out.labels.tolist(),
            "names": [self.held_out.name_of(row) for row in rows],
            **self.answers(model, trainer.converter),
        }
        write_json(folder / "result.json", result)
        return result

    def train(self, network, seed, trainer, model, folder):
        """Train a network and write its best weights, and what is known of the training."""
        begun = time.perf_counter()
        recipe = trainer.recipe.replace(seed=seed)
        if NETWORKS[network][0] is None:  # frame by frame there is no mean over time
            recipe = recipe.replace(subtract_mean=None)
        data = self.training, None if self.options.refit else self.validation
        run = train(
            model,
            recipe,
            *make_loaders(recipe, *data, trainer.converter, trainer.workers),
            folder=folder,
            identity={
                "model": {"network": network, "preset": str(self.options.preset)},
                **data_identity(*data),
            },
            verbose=2,
        )
        model.save_weights(folder / WEIGHTS)
        trained = {
            "network": network,
            "seed": seed,
            "backend": keras.backend.backend(),
            "seconds": round(time.perf_counter() - begun),
            "parameters": model.count_params(),
            "macs": macs(model, trainer.clip_shape),
            "epoch": run.best_epoch + 1,
            "epochs": len(run.history["loss"]),
            "val": run.history.get("val_accuracy", {run.best_epoch: None})[run.best_epoch],
        }
        write_json(folder / "trained.json", trained)

    def answers(self, model, converter):
        """Return {order of the frames: class of each clip that was taken out}."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clips = np.stack(list(pool.map(lambda row: converter(row.path), self.held_out.rows)))
        frames, rng = clips.shape[1], np.random.default_rng(0)
        orders = {
            "in order": np.tile(np.arange(frames), (len(clips), 1)),
            "shuffled": rng.permuted(np.tile(np.arange(frames), (len(clips), 1)), axis=1),
            "one frame": np.full((len(clips), frames), frames // 2),
        }
        return {
            name: predict(model, clips, order).argmax(-1).tolist() for name, order in orders.items()
        }


def write_preset(measurement, directory, command):
    """Write the trained network of seed 0, and measure the preset as it loads."""
    trainer = measurement.trainer("MLP-3D")
    model = measurement.model("MLP-3D", trainer)
    folder = trainer.folder / "seed0"
    model.load_weights(folder / WEIGHTS)
    trained = read_json(folder / "trained.json")
    terms = read_json(pathlib.Path(__file__).with_suffix(".json"))[measurement.name]
    description, protocol = terms.pop("description"), terms.pop("protocol")
    if measurement.options.refit:
        protocol += (
            " At last it was trained on val too, for all epochs of a recipe that val had chosen; "
            "the videos that were taken out measured it."
        )
    options = {
        **terms,
        "half_precision": True,
        "macs": trained["macs"],
        "datasets": [measurement.name],
        "source": f"ours, trained on {measurement.name}. {protocol}",
        "training": {
            "command": command,
            "best_epoch": trained["epoch"],
            "seconds": trained["seconds"],
            "backend": trained["backend"],
        },
    }
    model.save_to_preset(directory, description, **options)
    loaded = km.MLP3D.from_preset(directory)
    parts = {
        f"taken out of train, {len(measurement.held_out)} videos; they chose nothing": (
            measurement.held_out
        ),
        f"val, {len(measurement.validation)} videos; the epoch was chosen by it": (
            read_folder(measurement.options.data, "val")
        ),
    }
    if measurement.options.refit:  # the network knows the videos of val
        del parts[next(name for name in parts if name.startswith("val"))]
    metrics = []
    for part, manifest in parts.items():
        evaluation = evaluate(loaded, manifest)
        low, high = evaluation.top1_interval
        print(f"{directory}: {evaluation.top1:.4f} ({low:.4f} to {high:.4f}), {part}")
        metrics.append(
            {
                "name": "top-1 accuracy",
                "value": round(evaluation.top1, 4),
                "dataset": measurement.name,
                "split": part,
                "command": command,
            }
        )
    loaded.save_to_preset(directory, description, metrics=metrics, **options)


def read_json(path):
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, content):
    """Write a JSON file that is complete or absent."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def predict(model, clips, order, batch_size=32):
    """Return the scores of clips whose frames are taken in an order."""
    return np.concatenate(
        [
            model.predict(np.take_along_axis(part, rows[:, :, None, None, None], 1), verbose=0)
            for part, rows in (
                (clips[start : start + batch_size], order[start : start + batch_size])
                for start in range(0, len(clips), batch_size)
            )
        ]
    )


def preset_schedule(preset):
    """Return the schedule that is stored in a preset."""
    return [tuple(mixing) for mixing in hub.read_preset(preset).config["schedule"]]


def macs(model, shape):
    """Return the multiply-accumulates per clip."""
    if model.name == "r2plus1d":
        return multiply_accumulates(model)
    return count(model, shape).macs


def mean_of(accuracies):
    """Return the mean for the table, or a dash: a network that was refitted has none on `val`."""
    return "–" if None in accuracies else f"{np.mean(accuracies):.3f}"


def print_table(results):
    """Print a row per network: mean over seeds, spread, and the interval of all answers."""
    columns = ("parameters", "MMACs", "seeds", "val", "not seen", "interval", *ORDERS[1:])
    print(f"| network | {' | '.join(columns)} |")
    print("| --- " * 9 + "|")
    for network in NETWORKS:
        found = [result for result in results if result["network"] == network]
        if not found:
            continue
        right = {
            order: np.mean([np.equal(r[order], r["labels"]).mean() for r in found])
            for order in ORDERS
        }
        each = [float(np.equal(r["in order"], r["labels"]).mean()) for r in found]
        spread = f" ± {np.std(each, ddof=1):.3f}" if len(each) > 1 else ""
        clips = len(found[0]["labels"])
        low, high = wilson_interval(round(right["in order"] * clips), clips)
        print(
            f"| {network} | {found[0]['parameters']:,} | {found[0]['macs'] / 1e6:.0f} "
            f"| {len(found)} | {mean_of([r['val'] for r in found])} "
            f"| {right['in order']:.3f}{spread} | {low:.3f} to {high:.3f} "
            f"| {right['shuffled']:.3f} | {right['one frame']:.3f} |"
        )


def print_mistakes(measurement, result, pairs=8):
    """Print what a network takes for what, and the accuracy of each class, person and distance."""
    names, labels = measurement.held_out.class_names, np.array(result["labels"])
    answers = np.array(result["in order"])
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (labels, answers), 1)
    wrong = confusion * (1 - np.eye(len(names), dtype=int))
    print(f"{result['network']}, seed {result['seed']}: taken for another class most often")
    for place in np.argsort(-wrong, axis=None, kind="stable")[:pairs]:
        true, said = divmod(int(place), len(names))
        print(f"  {names[true]} for {names[said]}: {wrong[true, said]} of {confusion[true].sum()}")
    parts = [pathlib.Path(name).stem.split("_") for name in result["names"]]
    groups = {"class": [names[label] for label in labels]}
    if measurement.name == "radar_gestures":
        groups |= {"person": [part[0] for part in parts], "distance": [part[1] for part in parts]}
    for kind, values in groups.items():
        rows = [
            f"{value} {(labels == answers)[np.equal(values, value)].mean():.2f} "
            f"({np.equal(values, value).sum()})"
            for value in sorted(set(values))
        ]
        print(f"  by {kind}: {', '.join(rows)}")


def command_of(options):
    """Return the command that trains and measures the network of seed 0."""
    command = f"python benchmarks/real_clips.py --data {pathlib.Path(options.data).name} --run RUN"
    if options.recipe:
        command += f" --recipe {options.recipe}"
    if options.start_from:
        command += " --start-from BEFORE"
    if options.refit:
        command += " --refit"
    if options.set:
        command += f" --set {' '.join(options.set)}"
    return f"{command} --networks MLP-3D --seeds 0 --in-memory --workers 1"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--preset", default="mlp3d_tiny")
    parser.add_argument("--recipe", help="default: the recipe of the data set's name")
    parser.add_argument(
        "--start-from", metavar="RUN", help="another run, with whose weights the trainings begin"
    )
    parser.add_argument(
        "--refit", action="store_true", help="train on val too, once it has chosen the recipe"
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-memory", action="store_true", help="decode every video once")
    parser.add_argument(
        "--val-only",
        action="store_true",
        help="leave out the measurement of what was taken out, to choose a recipe",
    )
    parser.add_argument(
        "--to-preset", metavar="DIRECTORY/NAME", help="write the network of seed 0 as preset NAME"
    )
    parser.add_argument(
        "--mistakes", action="store_true", help="print what is taken for what, and by whom"
    )
    options = parser.parse_args()
    measurement = Measurement(options)
    chooses = "" if options.refit else f"{len(measurement.validation)} to choose the epoch, "
    print(
        f"{len(measurement.training)} videos to train on, {chooses}{len(measurement.held_out)} "
        "taken out",
        flush=True,
    )
    results = [
        measurement.result(network, seed)
        for network in options.networks
        for seed in options.seeds or NETWORKS[network][2]
    ]
    if options.to_preset:
        write_preset(measurement, options.to_preset, command_of(options))
    if options.val_only:
        for result in results:
            print(json.dumps(result), flush=True)
    else:
        for result in results if options.mistakes else ():
            print_mistakes(measurement, result)
        print_table(results)


if __name__ == "__main__":
    main()
