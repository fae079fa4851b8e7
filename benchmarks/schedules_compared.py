"""A searched schedule and hand-made ones, trained alike and judged on clips that chose nothing.

What benchmarks/lip_speakers.py and benchmarks/gesture_search.py have in common: a search that sees
only a part of the training clips, trainings that can be interrupted, and the table.
"""

import itertools
import json
import math
import pathlib

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d.data import Manifest
from keras_mlp3d.inference import evaluate
from keras_mlp3d.inference.evaluation import wilson_interval
from keras_mlp3d.models import parse_schedule
from keras_mlp3d.search import (
    Correlation,
    Refinement,
    Scorer,
    SearchSpace,
    Trainer,
    find_schedule,
    refinement_recipe,
    train_supernet,
)
from keras_mlp3d.training import data_identity, make_loaders, set_random_seed, train
from run_settings import check_settings

SEARCHED = "searched"


class Comparison:
    """Networks of one size that are trained on the same clips, and judged on others.

    Args:
        folder: Folder of the trainings and of the search.
        preset: Size of the networks.
        recipe: `Recipe` of all trainings.
        schedules: {name: schedule} of the hand-made networks.
        inside: `Manifest` to train on.
        outside: `Manifest` that judges; it chooses nothing, not even an epoch.
        scoring: Function of the rows of `inside` that divides them: (rows that train the supernet,
            rows that score the candidates).
        space: `SearchSpace`.
        repeats: Repeats of the search.
        tie: None, or the confidence below which a lead counts as chance.
        refine_epochs: None, or the epochs that the supernet is trained on after each block.
        batch_size: Clips that are scored at once.
        in_memory: None, or a function that returns a manifest whose frames are decoded.
    """

    def __init__(
        self,
        folder,
        preset,
        recipe,
        schedules,
        inside,
        outside,
        scoring,
        space=None,
        repeats=3,
        tie=None,
        refine_epochs=None,
        batch_size=20,
        in_memory=None,
    ):
        self.folder, self.preset, self.recipe = pathlib.Path(folder), preset, recipe
        self.schedules, self.inside, self.outside = schedules, inside, outside
        self.scoring, self.space = scoring, space or SearchSpace()
        self.repeats, self.tie, self.refine_epochs = repeats, tie, refine_epochs
        self.batch_size = batch_size
        self.in_memory = in_memory or (lambda manifest: manifest)
        check_settings(
            self.folder,
            {
                "preset": pathlib.Path(preset).name,
                "recipe": recipe.to_dict(),
                "inside": inside.digest,
                "outside": outside.digest,
                "scoring": self.manifest(scoring(inside.rows)[1], "scoring").digest,
                "space": self.space.to_dict(),
                "repeats": repeats,
                "tie": tie,
                "refine_epochs": refine_epochs,
            },
        )

    def manifest(self, rows, split):
        """Return a manifest of some of the clips."""
        return Manifest(rows, self.inside.class_names, split, root=self.inside.root)

    def part(self, rows, split):
        """Return a manifest of some of the clips, decoded if that is wished."""
        return self.in_memory(self.manifest(rows, split))

    def supernet(self):
        """Return the trained supernet, and the clips that it was trained on."""
        training = self.part(self.scoring(self.inside.rows)[0], "supernet")
        set_random_seed(self.recipe.seed)
        arguments = self.preset, self.space, self.recipe, training, self.folder / "search"
        return train_supernet(*arguments, True, 1, verbose=2), training

    def scoring_clips(self):
        """Return the clips that score."""
        return self.part(self.scoring(self.inside.rows)[1], "scoring")

    def searched(self):
        """Return what a search finds that sees the clips to train on alone: result.json."""
        folder = self.folder / "search"
        if not (folder / "result.json").exists():
            model, training = self.supernet()
            refine = None
            if self.refine_epochs is not None:
                recipe = refinement_recipe(self.recipe, self.refine_epochs)
                refine = Refinement(model, recipe, training, folder / "refined", 1, verbose=2)
            find_schedule(
                model,
                self.space,
                self.scoring_clips(),
                folder,
                repeats=self.repeats,
                batch_size=self.batch_size,
                workers=1,
                tie=self.tie,
                refine=refine,
            )
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))

    def correlation(self, schedules, real):
        """Return what the supernet says of finished networks, beside what they reach: Figure 6.

        Args:
            schedules: {name: schedule}, whose blocks the supernet can choose.
            real: {name: accuracy on the clips that judge}.
        """
        path = self.folder / "search" / "estimates.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not set(schedules) <= set(known):
            model, _ = self.supernet()
            scorer = Scorer(model, self.scoring_clips(), self.batch_size, workers=1)
            for name, schedule in schedules.items():
                known[name] = scorer(parse_schedule(schedule, len(model.backbone.schedule)))
            write_whole(path, json.dumps(known).encode(), alone=True)
        return Correlation(
            tuple(schedules),
            tuple(schedules.values()),
            tuple(known[name] for name in schedules),
            tuple(real[name] for name in schedules),
        )

    def answers(self, name):
        """Train a network, unless that is done; return its answers to the clips that judge."""
        folder = self.folder / "".join(filter(str.isalnum, name))
        path = folder / "answers.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        schedule = self.searched()["schedule"] if name == SEARCHED else self.schedules[name]
        # The trainer builds the network. No video chooses its epoch: it is the last one.
        trainer = Trainer(
            self.preset, self.recipe, self.inside, self.outside, folder, from_scratch=True
        )
        set_random_seed(self.recipe.seed)
        model = trainer.model(schedule)
        training = self.part(self.inside.rows, self.inside.split)
        data, _ = make_loaders(self.recipe, training, None, trainer.converter, 1)
        identity = {"model": {"schedule": schedule}, **data_identity(training, None)}
        train(model, self.recipe, data, None, folder, identity, verbose=2)
        evaluation = evaluate(model, self.outside)
        chosen = parse_schedule(schedule, depth=trainer.depth)
        answers = {
            "schedule": [str(mixing) for mixing in chosen],
            "macs": round(1e9 * trainer.gmacs(schedule)),
            "names": [self.outside.name_of(row) for row in self.outside.rows],
            "labels": [int(row.label) for row in self.outside.rows],
            "answers": [result.best for result in evaluation.predictions],
        }
        write_whole(path, json.dumps(answers).encode(), alone=True)
        return answers


def paired_interval(first, second):
    """Return the difference of two accuracies on the same clips, with its 95 % interval.

    Args:
        first: Whether each answer of one network is right.
        second: The same of another network.
    """
    count = len(first)
    gained = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    difference = (gained - lost) / count
    deviation = math.sqrt(max(gained + lost - (gained - lost) ** 2 / count, 0)) / count
    return difference, difference - 1.96 * deviation, difference + 1.96 * deviation


def print_table(results, part="fold"):
    """Print a row per network, over the parts that all of them have.

    Args:
        results: {name: {part: answers}}
        part: What a part is called.
    """
    parts = sorted(set.intersection(*(set(found) for found in results.values())))
    right = {
        name: {
            each: [
                answer == label
                for answer, label in zip(found[each]["answers"], found[each]["labels"], strict=True)
            ]
            for each in parts
        }
        for name, found in results.items()
    }
    together = {name: [*itertools.chain(*found.values())] for name, found in right.items()}
    columns = " | ".join(f"{part} {each}" for each in parts)
    print(f"| network | MMACs | {columns} | all | interval | less than {SEARCHED} by |")
    print("| --- " * (len(parts) + 5) + "|")
    for name, found in results.items():
        macs = sum(found[each]["macs"] for each in parts) / len(parts) / 1e6
        shares = [f"{sum(right[name][each]) / len(right[name][each]):.3f}" for each in parts]
        whole = together[name]
        low, high = wilson_interval(sum(whole), len(whole))
        behind = ""
        if name != SEARCHED and SEARCHED in results:
            behind = "{:+.3f} ({:+.3f} to {:+.3f})".format(
                *paired_interval(together[SEARCHED], whole)
            )
        print(
            f"| {name} | {macs:.1f} | {' | '.join(shares)} | {sum(whole) / len(whole):.3f} "
            f"| {low:.3f} to {high:.3f} | {behind} |"
        )
