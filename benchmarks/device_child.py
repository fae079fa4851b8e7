"""Measures the forward pass or the training step of a network on the live backend's device.

`device.py` starts it with a description of the work in JSON, and asks for one batch size after the
other.
"""

import importlib
import json
import platform
import statistics
import sys
import time

from cells import peak_memory, processor, serve, size_of, text_of, version

CLASSES = 400
#: What libraries say when the memory of a device, or of the machine, is used up.
OUT_OF_MEMORY = ("out of memory", "resource_exhausted", "can't allocate memory", "oom when")
#: Names of the element types of the matrix product, by the dtype policy of the network.
ELEMENTS = {"float32": "float32", "mixed_bfloat16": "bfloat16", "bfloat16": "bfloat16"}
LIBRARIES = {"torch": ("torch",), "jax": ("jax", "jaxlib"), "tensorflow": ("tensorflow",)}


class Device:
    """The first device of a backend: its name, its clock and its memory."""

    def __init__(self):
        import keras

        self.backend = keras.backend.backend()
        getattr(self, f"_{self.backend}")()

    def _torch(self):
        import keras
        import torch

        place = keras.ops.zeros((1,)).device.type  # where Keras puts its tensors
        if place not in ("cuda", "cpu"):
            raise ValueError(f"{place} is not measured on PyTorch: set KERAS_TORCH_DEVICE=cpu")
        self.count, self.kind, self.name = 1, "cpu", processor()
        self.wait, self.reset, self.peak = lambda: None, lambda: None, peak_memory
        if place == "cuda":
            self.count, self.kind = torch.cuda.device_count(), "gpu"
            self.name = torch.cuda.get_device_name(0)
            self.wait = torch.cuda.synchronize
            self.reset = torch.cuda.reset_peak_memory_stats
            self.peak = torch.cuda.max_memory_allocated

    def _jax(self):
        import jax

        device = jax.local_devices()[0]
        self.count = jax.local_device_count()
        self.kind = "cpu" if device.platform == "cpu" else "gpu"
        self.name = processor() if self.kind == "cpu" else device.device_kind
        self.wait, self.reset = lambda: None, lambda: None  # the runs wait for their result
        statistics_of = device.memory_stats()
        self.peak = peak_memory
        if statistics_of and "peak_bytes_in_use" in statistics_of:
            self.peak = lambda: device.memory_stats()["peak_bytes_in_use"]

    def _tensorflow(self):
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        self.count, self.kind, self.name = max(1, len(gpus)), "cpu", processor()
        self.wait, self.reset = tf.test.experimental.sync_devices, lambda: None
        self.peak = peak_memory
        if gpus:
            details = tf.config.experimental.get_device_details(gpus[0])
            self.kind, self.name = "gpu", details.get("device_name", gpus[0].name)
            memory = tf.config.experimental
            self.reset = lambda: memory.reset_memory_stats("GPU:0")
            self.peak = lambda: memory.get_memory_info("GPU:0")["peak"]


def describe(device):
    """Return the device and the versions, as the results name them."""
    import keras

    found = {"device": device.name, "kind": device.kind, "count": device.count}
    found["versions"] = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "keras-mlp3d": version("keras-mlp3d"),
        # Not by the name of what was installed: tensorflow-cpu has the module tensorflow.
        **{name: importlib.import_module(name).__version__ for name in LIBRARIES[device.backend]},
    }
    if device.backend == "torch":
        import torch

        found["versions"]["CUDA"] = torch.version.cuda or "none"
    return found


def is_out_of_memory(error):
    """Return whether an error says that memory is used up."""
    text = f"{type(error).__name__}: {error}".lower()
    kinds = ("OutOfMemoryError", "ResourceExhaustedError", "MemoryError")
    return type(error).__name__ in kinds or any(words in text for words in OUT_OF_MEMORY)


def product(device, side, elements):
    """Return a function that takes a product of two square matrices and waits for it."""
    import keras

    matrix = keras.random.normal((side, side), dtype=elements)
    if device.backend == "jax":
        import jax

        multiply = jax.jit(lambda a: a @ a)
        return lambda: multiply(matrix).block_until_ready()
    if device.backend == "tensorflow":
        import tensorflow as tf

        multiply = tf.function(lambda a: a @ a)
    else:
        import torch

        multiply = torch.no_grad()(lambda a: a @ a)

    def run():
        multiply(matrix)
        device.wait()

    return run


class Ours:
    """A network of this package, as Keras runs and trains it.

    Args:
        device: `Device`.
        work: Dict with the keys network, size, dtype, task and form.
    """

    def __init__(self, device, work):
        import keras_mlp3d as km

        import keras

        keras.utils.set_random_seed(0)
        self.device, self.work, self.size = device, work, size_of(work["size"])
        self.model = km.MLP3D.from_preset(
            work["network"],
            load_weights=False,
            num_classes=CLASSES,
            input_shape=(*self.size, 3),
            dtype=work["dtype"],
        )
        macs = km.cost.count(self.model, (*self.size, 3)).macs
        # The gradients of activations and of weights are a product each, as large as the forward's.
        self.macs = macs if work["task"] == "forward" else 3 * macs
        self.compiled = work["form"] in ("compile", "xla", "jit")
        self.make = self._forward if work["task"] == "forward" else self._step
        self.function = None

    def run(self, batch):
        """Return a function that runs a batch, and returns when the device has finished."""
        import keras
        import numpy as np

        rng = np.random.default_rng(0)
        clips = rng.integers(0, 256, (batch, *self.size, 3)).astype("uint8")
        clips = keras.ops.convert_to_tensor(clips)
        if self.function is None:
            self.function = self.make()
        return lambda: self.function(clips)

    def _step(self):
        import keras
        import numpy as np

        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.05)
        self.model.compile(optimizer, loss, jit_compile=self.compiled)

        def step(clips):
            self.model.train_on_batch(clips, np.arange(clips.shape[0]) % CLASSES)
            self.device.wait()

        return step

    def _forward(self):
        model, backend = self.model, self.device.backend

        def forward(clips):
            return model(clips, training=False)

        if backend == "jax":
            import jax

            trained = [v.value for v in model.trainable_variables]
            others = [v.value for v in model.non_trainable_variables]
            pure = jax.jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])
            return lambda clips: pure(trained, others, clips).block_until_ready()
        if backend == "tensorflow":
            import tensorflow as tf

            function = tf.function(forward, jit_compile=self.compiled)
        else:
            import torch

            function = torch.no_grad()(torch.compile(forward) if self.compiled else forward)

        def run(clips):
            function(clips)
            self.device.wait()

        return run


class Peer:
    """A network of another library, as `peers.py` runs and trains it, on the device.

    Args:
        device: `Device`.
        work: As for `Ours`.
    """

    def __init__(self, device, work):
        from peer_networks import build, count_macs

        import torch

        self.device, self.work, self.torch = device, work, torch
        self.place = torch.device("cuda" if device.kind == "gpu" else "cpu")
        self.network = build(work["network"], size_of(work["size"]), CLASSES)
        self.network.module.to(self.place)
        if work["dtype"] == "bfloat16":
            self.network.module.to(torch.bfloat16)
        weights = self.network.module.parameters()
        self.optimizer = torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.05)
        self.call = self.network.call
        self.macs = count_macs(self.run(1))
        if work["form"] == "compile":
            self.call = torch.compile(self.network.call)

    def run(self, batch):
        """Return a function that runs a batch, and returns when the device has finished."""
        torch, call = self.torch, self.call
        clips = self.network.clips(batch).to(self.place)
        if self.work["dtype"] == "bfloat16":
            clips = clips.to(torch.bfloat16)
        labels = torch.arange(batch, device=self.place) % CLASSES
        mixed = self.work["dtype"] == "mixed_bfloat16"

        def logits(training):
            with torch.autocast(self.place.type, torch.bfloat16, enabled=mixed):
                return call(clips, training)

        def forward():
            with torch.no_grad():
                logits(False)
            self.device.wait()

        def step():
            torch.nn.functional.cross_entropy(logits(True).float(), labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.device.wait()

        return forward if self.work["task"] == "forward" else step


def seconds_of(function, repeats=1):
    """Run a function some times and return the seconds per run."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def measure(device, network, multiply, batch, work):
    """Measure a batch size.

    Returns:
        A dict: the seconds of each round, the median of clips per second, the peak of memory, and
        the rate over that of the matrix product; or `{"out_of_memory": text}`.
    """
    try:
        device.reset()
        run = network.run(batch)
        first = seconds_of(run)
        peak = device.peak()
        repeats = max(1, int(work["seconds"] / max(seconds_of(run), 1e-6)))
        times, rates = [], []
        for _ in range(work["rounds"]):
            before = seconds_of(multiply)
            times.append(seconds_of(run, repeats))
            theirs = 2 * work["side"] ** 3 / (before + seconds_of(multiply))
            rates.append(network.macs * batch / times[-1] / theirs)
        peak = max(peak, device.peak())
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return {"out_of_memory": text_of(error)}
    return {
        "clips_per_second": batch / statistics.median(times),
        "seconds": times,
        "first_seconds": first,
        "rate": statistics.median(rates),
        "bytes": peak,
    }


def main(work):
    """Answer requests: a batch size each, or "describe"."""
    state = {}

    def handle(request):
        if "device" not in state:
            state["device"] = Device()
        device = state["device"]
        if "batch" not in request:
            return describe(device)
        if "network" not in state:
            from peer_networks import PEERS

            try:
                state["multiply"] = product(device, work["side"], ELEMENTS[work["dtype"]])
                state["multiply"]()
                kind = Peer if work["network"] in PEERS else Ours
                state["network"] = kind(device, work)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                return {"out_of_memory": text_of(error)}
        return measure(device, state["network"], state["multiply"], request["batch"], work)

    serve(handle)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
