"""What AdamW does on PyTorch by calls for many weights at once.

`adamw.py` asks `updates_together` before it calls the rest.
"""

import math

import keras

if keras.config.backend() == "torch":
    import torch

    # `keras.optimizers.AdamW(...)` makes an object of this class, but only of AdamW itself.
    from keras.src.backend.torch.optimizers.torch_adamw import AdamW as KerasAdamW
    from torch.optim.adamw import adamw

    __all__ = ["KerasAdamW"]


def updates_together(tensors):
    """Return whether PyTorch can change all these variables or tensors by one call."""
    if keras.config.backend() != "torch":
        return False
    kinds = (torch.Tensor, torch.nn.Parameter)
    tensors = [getattr(tensor, "value", tensor) for tensor in tensors]
    return all(
        type(tensor) in kinds
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.device == tensors[0].device
        for tensor in tensors
    )


def has_one_pass(values):
    """Return whether PyTorch's fused AdamW may be used: its numbers would make a GPU wait."""
    on_cpu = values[0].device.type == "cpu" and not torch.compiler.is_compiling()
    return on_cpu and all(value.is_contiguous() for value in values)


if keras.config.backend() == "torch":

    @torch.no_grad()
    def clip_by_global_norm(grads, largest):
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        # The difference is NaN if the norm is not finite, as in Keras.
        scale = largest * torch.clamp(1 / norm, max=1 / largest) + (norm - norm)
        return torch._foreach_mul(grads, scale)

    @torch.no_grad()
    def update(values, grads, momentums, velocities, *, iterations, rate, decay, betas, epsilon):
        state = (values, grads, momentums, velocities)
        if has_one_pass(values):
            _update_in_one_pass(*state, int(iterations), float(rate), decay, betas, epsilon)
        else:
            _update_in_a_few_passes(*state, iterations, rate, decay, betas, epsilon)

    def _update_in_one_pass(
        values, grads, momentums, velocities, done, rate, decay, betas, epsilon
    ):
        adamw(
            values,
            [grad.contiguous() for grad in grads],
            momentums,
            velocities,
            [],
            list(torch.full((len(values),), float(done)).unbind()),
            fused=True,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=rate,
            weight_decay=decay,
            # PyTorch adds epsilon after the correction of the root, Keras before it.
            eps=epsilon / math.sqrt(1 - betas[1] ** (done + 1)),
            maximize=False,
        )

    def _update_in_a_few_passes(
        values, grads, momentums, velocities, iterations, rate, decay, betas, epsilon
    ):
        step = (iterations + 1).float()
        corrected = rate * torch.sqrt(1 - betas[1] ** step) / (1 - betas[0] ** step)
        if decay:
            torch._foreach_mul_(values, 1 - rate * decay)
        torch._foreach_lerp_(momentums, grads, 1 - betas[0])
        torch._foreach_mul_(velocities, betas[1])
        torch._foreach_addcmul_(velocities, grads, grads, 1 - betas[1])
        roots = torch._foreach_sqrt(velocities)
        torch._foreach_add_(roots, epsilon)
        torch._foreach_div_(roots, corrected)
        torch._foreach_addcdiv_(values, momentums, roots, -1)

    @torch.no_grad()
    def move_averages(averages, values, iterations, momentum):
        kept = momentum * (iterations != 0).float()  # at the first step the weights are taken over
        torch._foreach_mul_(averages, kept)
        torch._foreach_add_(averages, torch._foreach_mul(values, 1 - kept))
