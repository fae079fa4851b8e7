"""What the commands say and draw of an evaluation: accuracies, or average precisions."""

from typing import TYPE_CHECKING

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.cli.terminal import say

if TYPE_CHECKING:
    from keras_mlp3d.inference import Evaluation, MultiLabelEvaluation

_NAMED = 20  # classes that are printed


def several(evaluation: "Evaluation") -> "MultiLabelEvaluation | None":
    """Return the evaluation if its videos may have several labels, else None."""
    from keras_mlp3d.inference import MultiLabelEvaluation

    return evaluation if isinstance(evaluation, MultiLabelEvaluation) else None


def headline(evaluation: "Evaluation") -> tuple[str, float | None, tuple[float, float] | None]:
    """Return the name of the first metric, its value and its 95 % interval."""
    labels = several(evaluation)
    if labels is None:
        return "top-1 accuracy", evaluation.top1, evaluation.top1_interval
    value, interval = labels.mean_average_precision, labels.mean_average_precision_interval
    return "mean average precision", value, interval


def draw_classes(evaluation: "Evaluation", path: StrPath) -> None:
    """Write the picture of all classes: a confusion matrix, or average precisions."""
    from keras_mlp3d import plots

    labels = several(evaluation)
    if labels is None:
        plots.plot_confusion(evaluation.confusion, evaluation.class_names, path)
        return
    plots.plot_average_precision(
        labels.average_precisions,
        labels.class_names,
        path,
        labels.class_counts.tolist(),
        int(labels.expected),
    )


def print_table(evaluation: "Evaluation") -> None:
    """Print the metrics, the numbers of videos, and what was evaluated."""
    failed = len(evaluation.failed)
    kinds = [("", "", evaluation.expected)]
    if failed:
        kinds.append(("_of_decoded", " of decoded", evaluation.decoded))
    labels = several(evaluation)
    for suffix, words, total in kinds:
        if labels is not None:
            _print_precision(labels, suffix, words)
            continue
        for places in (1, 5):
            accuracy = getattr(evaluation, f"top{places}{suffix}")
            interval = getattr(evaluation, f"top{places}{suffix}_interval")
            _print_row(f"top-{places}{words}", _percentages(accuracy, interval, total))
    if labels is not None:
        _print_classes(labels)
    counts = f"{evaluation.expected} expected, {evaluation.decoded} decoded, {failed} failed"
    _print_row("videos", counts)
    _print_row("clips x crops", f"{evaluation.clips} x {evaluation.crops}")
    _print_row("manifest", f"{one_line(evaluation.split)}, SHA-256 {evaluation.digest}")


def _print_precision(labels: "MultiLabelEvaluation", suffix: str, words: str) -> None:
    name = f"mean_average_precision{suffix}"
    value, interval = getattr(labels, name), getattr(labels, f"{name}_interval")
    said = "none"
    if value is not None and interval is not None:
        low, high = (100 * bound for bound in interval)
        count = len(labels.class_names) - len(labels.classes_without_videos)
        said = f"{100 * value:5.1f} %   95 % interval {low:.1f} to {high:.1f}   {count} classes"
    _print_row(f"mean AP{words}", said)


def _print_classes(labels: "MultiLabelEvaluation") -> None:
    rows = zip(
        labels.class_names, labels.average_precisions, labels.class_counts.tolist(), strict=True
    )
    there = [row for row in rows if row[1] is not None]
    for name, value, count in sorted(there, key=lambda row: -row[1])[:_NAMED]:
        videos = "1 video" if count == 1 else f"{count} videos"
        _print_row("  AP", f"{100 * value:5.1f} %   {one_line(name)}, {videos}")
    if len(there) > _NAMED:
        _print_row("", f"and {len(there) - _NAMED} more classes; --json lists them all")
    lacking = labels.classes_without_videos
    if lacking:
        named = ", ".join(one_line(repr(name)) for name in lacking[:_NAMED])
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        _print_row("without videos", f"{named}{more}")


def _print_row(name: str, text: str) -> None:
    say(f"{name:<17} {text}")


def _percentages(accuracy: float | None, interval: tuple[float, float] | None, total: int) -> str:
    if accuracy is None or interval is None:
        return "none"
    low, high = (100 * bound for bound in interval)
    correct = round(accuracy * total)
    return f"{100 * accuracy:5.1f} %   95 % interval {low:.1f} to {high:.1f}   {correct} of {total}"
