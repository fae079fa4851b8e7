"""Average precision, threshold by threshold, in plain loops."""


def average_precision(labels, scores, unscored=0):
    """Mean precision over the videos of a class; None if it has none.

    For each video of the class: all videos with a score at least as high are retrieved; the
    precision is the share of the class among them. A video without a score is never retrieved.
    """
    precisions = [0.0] * unscored
    for label, score in zip(labels, scores, strict=True):
        if label:
            retrieved = [k for k, other in enumerate(scores) if other >= score]
            precisions.append(sum(bool(labels[k]) for k in retrieved) / len(retrieved))
    return sum(precisions) / len(precisions) if precisions else None


def mean_average_precision(labels, scores, unscored=None):
    """Mean over the columns that have a video; None if none has."""
    classes = len(labels[0])
    found = [
        average_precision(
            [row[k] for row in labels],
            [row[k] for row in scores],
            0 if unscored is None else unscored[k],
        )
        for k in range(classes)
    ]
    found = [value for value in found if value is not None]
    return sum(found) / len(found) if found else None
