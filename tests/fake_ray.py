"""What the package uses of Ray, in this process: for tests that need no cluster.

`tests/ray` runs the same code on a real cluster.
"""

import itertools
import types

import numpy as np


class Blocks:
    """A data set of `from_items`, one block per item, that one actor works off in turn."""

    def __init__(self, ray, items):
        self._ray, self._items = ray, items

    def map_batches(self, worker, fn_constructor_args, **options):
        self._worker, self._arguments, self._ray.options = worker, fn_constructor_args, options
        return self

    def iter_rows(self):
        worker = self._worker(*self._arguments)
        for item in self._items:
            batch = {name: np.array([value]) for name, value in item.items()}
            rows = worker(batch)
            yield {name: values[0] for name, values in rows.items()}


class Remote:
    """A remote function: it runs when its result is waited for."""

    def __init__(self, ray, function):
        self._ray, self._function = ray, function

    def remote(self, *arguments):
        task = f"task {next(self._ray.numbers)}"
        self._ray.tasks[task] = lambda: self._function(*arguments)
        return task


class FakeRay:
    """A cluster with some CPUs and GPUs per machine.

    Args:
        *machines: `(CPUs, GPUs)` of each.
    """

    def __init__(self, *machines):
        self.machines = machines or ((2, 0),)
        self.options, self.tasks, self.started = {}, {}, []
        self.numbers = itertools.count()
        self.data = types.SimpleNamespace(
            from_items=lambda items, override_num_blocks: Blocks(self, items),
            ActorPoolStrategy=lambda size: size,
            DataContext=types.SimpleNamespace(
                get_current=lambda: types.SimpleNamespace(enable_progress_bars=True)
            ),
        )
        self.exceptions = types.SimpleNamespace(RayError=KeyError)

    def is_initialized(self):
        return True

    def init(self, **options):
        self.started.append(options)

    def shutdown(self):
        self.started.append("shutdown")

    def nodes(self):
        return [
            {"Alive": True, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}
            for cpus, gpus in self.machines
        ] + [{"Alive": False, "Resources": {"CPU": 64.0}}]

    def cluster_resources(self):
        return {"CPU": sum(cpus for cpus, _ in self.machines)}

    def remote(self, **options):
        self.options = options
        return lambda function: Remote(self, function)

    def put(self, value):
        return value

    def wait(self, tasks, num_returns, timeout):
        return tasks[:1], tasks[1:]

    def get(self, task):
        return self.tasks.pop(task)()
