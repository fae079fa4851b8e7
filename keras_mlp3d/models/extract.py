"""An ordinary network out of one that can be several.

Source: sections 3.4 and 4.2.
"""

from keras_mlp3d.models.mlp3d import MLP3D
from keras_mlp3d.models.mlp3d_backbone import MLP3DBackbone
from keras_mlp3d.models.transfer import transfer_weights

#: What a network has for its training alone.
_TRAINING = {"candidates": None, "random_mixing": 0.0, "remat": False}


def extract(model, schedule=None):
    """Returns the ordinary network of a schedule with the weights of a network with candidates.

    It gives what the other gives with those choices, and nothing of it is drawn at random.

    Args:
        model: `MLP3D` whose backbone has candidates: a supernet, or one trained with random
            mixing.
        schedule: In any form that `parse_schedule` reads; None for the choices in use.

    Returns:
        An `MLP3D` whose blocks are of one kind and size each; `model` stays as it is.

    Raises:
        ValueError: If the schedule cannot be read, or the other has no weights for it.

    Source:
        Section 3.4.

    Example:

    >>> backbone = MLP3DBackbone(
    ...     (8, 8, 8, 8), (1, 1, 1, 1), 2, "short_range:1", candidates=["shift_token:2"]
    ... )
    >>> model = MLP3D(backbone, num_classes=3)
    >>> network = extract(model, "shift_token:2")
    >>> str(network.backbone.schedule[0]), network.backbone.candidates
    ('shift_token:2', None)
    """
    backbone = model.backbone
    schedule = backbone.choices if schedule is None else schedule
    network = MLP3D(
        MLP3DBackbone.from_config({**backbone.get_config(), "schedule": schedule, **_TRAINING}),
        **{**model.task_config(), "class_names": model.class_names},
        converter=model.converter,
        name=model.name,
    )
    missing = transfer_weights(model, network)
    if missing:
        raise ValueError(f"There are no weights for {schedule!r}: {', '.join(missing)}.")
    return network
