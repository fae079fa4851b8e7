"""Searches settings of a training with Optuna, and measures the best on videos that chose nothing.

    pip install 'keras-mlp3d[torch,sweep]'
    python examples/sweep.py --data my_videos --test my_videos/test --run runs/sweep --trials 20

Each trial is a training by a recipe with other values, in a folder of its own, and is judged by its
accuracy on `val`. The best of many trials is lucky on `val`, so the number that counts comes last:
the chosen network is evaluated once on `--test`, videos that no training and no choice has seen.
The trials are in `study.db`: after Ctrl-C or a kill, the same command runs the trials that are
missing; another trial takes the place of the one that was interrupted.

What is searched is in `settings`; change it to what you want to know.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_mlp3d as km  # before keras: takes an installed backend
from keras_mlp3d.training import Recipe, make_loaders, parse_overrides, train

import keras
import optuna
from optuna.trial import TrialState


def settings(trial):
    """Return the values of a recipe that a trial tries."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "layer_decay": trial.suggest_float("layer_decay", 0.6, 1.0),
    }


def train_trial(trial, options, recipe, training, validation):
    """Train one network; its preset is in the folder of the trial.

    Returns:
        The accuracy of its best epoch on the validation videos.
    """
    folder = options.run / f"trial-{trial.number}"
    recipe = recipe.replace(**settings(trial))
    keras.utils.set_random_seed(recipe.seed)
    model = km.MLP3D.from_preset(
        options.preset,
        num_classes=len(training.class_names),
        class_names=training.class_names,
        dropout=recipe.dropout,
    )
    loaders = make_loaders(recipe, training, validation, model.converter)
    run = train(model, recipe, *loaders, folder=folder, verbose=0)
    model.save_to_preset(folder / "preset", description=f"Trial {trial.number} of a sweep.")
    return run.history["val_accuracy"][run.best_epoch]


def sweep(options):
    """Run the trials that are missing, and measure the best network on the test videos."""
    training = km.data.read_manifest(options.data, "train")
    validation = km.data.read_manifest(options.val or options.data, "val", training.class_names)
    test = km.data.read_manifest(options.test, "test", training.class_names)
    check_apart(test, training, validation)
    options.run.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.load(options.recipe).replace(**parse_overrides(options.set))
    study = optuna.create_study(
        study_name="sweep",
        storage=f"sqlite:///{options.run / 'study.db'}",
        direction="maximize",
        load_if_exists=True,
    )
    # Another seed after a stop: the same one would try the same settings again.
    study.sampler = optuna.samplers.TPESampler(seed=options.seed + len(study.trials))
    finished = len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))
    study.optimize(
        lambda trial: train_trial(trial, options, recipe, training, validation),
        n_trials=max(0, options.trials - finished),
    )
    best = study.best_trial
    model = km.MLP3D.from_preset(options.run / f"trial-{best.number}" / "preset")
    evaluation = km.inference.evaluate(model, test)
    low, high = evaluation.top1_interval
    print(f"chosen on {len(validation)} videos of val: trial {best.number}, {best.value:.3f}")
    for name, value in best.params.items():
        print(f"  --set {name}={value:.6g}")
    print(
        f"top-1 {evaluation.top1:.3f}, 95 % interval {low:.3f} to {high:.3f}, "
        f"on {len(test)} videos that chose nothing"
    )


def check_apart(test, *others):
    """Raise ValueError if a test video is in a part that trains or chooses."""
    seen = {_place(row.path) for manifest in others for row in manifest.rows}
    both = [row.path for row in test.rows if _place(row.path) in seen]
    if both:
        raise ValueError(
            f"--test must hold videos that are in neither --data nor --val, got {len(both)} that "
            f"are, such as {both[0]!r}; take them out before the sweep."
        )


def _place(path):
    """Return what all names of a file have in common."""
    return path if "://" in str(path) else os.path.realpath(path)


def main(arguments=None):
    """Read the arguments and run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with `train` and `val`, or a CSV")
    parser.add_argument("--val", help="validation videos; default: `val` in --data")
    parser.add_argument("--test", required=True, help="videos that neither train nor choose")
    parser.add_argument("--run", type=pathlib.Path, required=True, help="folder of the sweep")
    parser.add_argument("--preset", default="mlp3d_tiny_grid_words")
    parser.add_argument("--recipe", default="fine_tune")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--trials", type=int, default=20, help="trials in all, earlier ones too")
    parser.add_argument("--seed", type=int, default=0, help="seed of Optuna's choices")
    options = parser.parse_args(arguments)
    if options.val is None and not pathlib.Path(options.data, "val").is_dir():
        parser.error("--val is needed, as --data has no sub-folder `val`")
    sweep(options)


if __name__ == "__main__":
    main()
