"""Divided over devices or processes, the same global batches train the same network."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_video
from distribution import divided

from keras_mlp3d.distribution import Distribution, current_distribution, distribute

SCRIPT = pathlib.Path(divided.__file__)
BACKEND = keras.config.backend()
#: PyTorch makes no several devices of one processor: a process is a device there.
SETTINGS = ["processes"] if BACKEND == "torch" else ["devices", "processes"]
TIMEOUT = 600  # seconds, so that nothing hangs
#: Seconds that a process of TensorFlow stops for, in the middle of a training. By itself
#: TensorFlow gives it up after 10.
BUSY = 14
#: What a process says if another program took its port since `free_ports` found it.
PORT_IN_USE = re.compile("already in use|Could not start gRPC server|Failed to bind", re.IGNORECASE)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def environments(setting, folder):
    """The variables of each process."""
    first, second = free_ports(2)
    addresses = [f"127.0.0.1:{first}", f"127.0.0.1:{second}"]
    if setting == "devices":
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
        return [{"XLA_FLAGS": flags} if BACKEND == "jax" else {"LOGICAL_DEVICES": "2"}]
    if BACKEND == "torch":
        return [{}]
    if BACKEND == "tensorflow":
        cluster = {"worker": addresses}
        tasks = [{"type": "worker", "index": index} for index in range(2)]
        rows = [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]
        return [rows[0], {**rows[1], "TRAINING": str(folder / "training")}]
    variables = {"JOB_ADDRESSES": addresses[0], "NUM_PROCESSES": "2"}
    each = [{**variables, "PROCESS_ID": str(index)} for index in range(2)]
    return [{f"KERAS_DISTRIBUTION_{name}": value for name, value in row.items()} for row in each]


def go(setting, folder, *works):
    """Runs the script on two devices, in one process or two, and returns what it wrote."""
    command = [sys.executable]
    if BACKEND == "torch":  # --standalone takes a free port
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(SCRIPT), str(folder), *works]
    for _ in range(3):
        codes, outputs = run_processes(command, folder, environments(setting, folder))
        if codes == [0] * len(codes):
            return json.loads((folder / "result.json").read_text())
        if not any(PORT_IN_USE.search(output) for output in outputs):
            break
    rows = enumerate(zip(codes, outputs, strict=True))
    pytest.fail("\n".join(f"--- process {k}, exit code {c} ---\n{text}" for k, (c, text) in rows))


def run_processes(command, folder, variables):
    """[exit code], [output] of processes with these variables."""
    common = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent.parent)}
    training = folder / "training"
    training.unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in variables]
        processes = [
            subprocess.Popen(command, env={**common, **row}, stdout=file, stderr=subprocess.STDOUT)
            for row, file in zip(variables, files, strict=True)
        ]
        for process in processes:
            stack.callback(process.kill)
        end = time.monotonic() + TIMEOUT
        if "TRAINING" in variables[-1]:
            while not training.exists() and time.monotonic() < end:
                if any(process.poll() is not None for process in processes):
                    break
                time.sleep(0.05)
            processes[-1].send_signal(signal.SIGSTOP)
            time.sleep(BUSY)
            processes[-1].send_signal(signal.SIGCONT)
        codes = [code_of(process, end) for process in processes]
        for file in files:
            file.seek(0)
        return codes, [file.read() for file in files]


def code_of(process, end):
    """The exit code of a process; that of a killed one if it has not ended by then."""
    try:
        return process.wait(max(1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def write_videos(folder):
    frames = moving_frames(8, 40, 48) // 4
    for name, light in (("bright", 150), ("dark", 0)):
        target = folder / "val" / name
        target.mkdir(parents=True)
        for number in range(3 if light else 2):
            write_video(target / f"{number}.mp4", frames + np.uint8(light + 9 * number))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("divided")
    write_videos(folder / "videos")
    return folder


@pytest.fixture(scope="module", params=SETTINGS)
def both(request, folder):
    """What one device and what two gave."""
    # Every work is a program to compile, which on two backends takes most of the time.
    works = ["curve", "evaluate"] + ["train", "draws"] * (BACKEND == "torch")
    works += ["draws"] * (BACKEND == "tensorflow")
    return alone(folder, works), go(request.param, folder, *works)


_ALONE = {}


def alone(folder, works):
    if not _ALONE:
        _ALONE["curve"] = divided.curve(folder / "curve-alone")
        _ALONE["evaluate"] = divided.evaluated(folder / "videos")
        if "train" in works:
            _ALONE["train"] = divided.trained(folder / "alone")
    return _ALONE


def test_the_losses_are_those_of_one_device(both):
    one, two = (result["curve"] for result in both)
    assert both[1]["replicas"] == 2
    assert len(one["curve"]) == divided.STEPS
    difference = np.abs(np.subtract(one["curve"], two["curve"])).max()
    print(f"greatest difference over {divided.STEPS} steps: {difference:.2g}")
    assert difference < 1e-4
    assert one["curve"][-1] < 0.7 * one["curve"][0]


def test_the_metrics_are_those_of_one_device(both):
    """Of the validation clips too, which are five: they do not divide."""
    one, two = (result["curve"]["metrics"] for result in both)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(one)
    for name in one:
        assert two[name] == pytest.approx(one[name], abs=1e-4), name


def test_the_sums_of_metrics_are_those_of_one_device(both):
    one, two = (result["curve"]["sums"] for result in both)
    assert len(one) == len(two) > 0
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-4)


def test_evaluation_gives_the_same_number(both):
    one, two = (np.array(result["evaluate"]) for result in both)
    assert one.shape == (5, 3)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)


def test_numbers_of_the_processes_are_added_up(both, request):
    processes = 1 if request.node.callspec.params["both"] == "devices" else 2
    assert both[1]["sum"] == (1 if processes == 1 else 1 + 2)
    assert both[1]["any"] == [processes == 2, False]


@pytest.mark.skipif(BACKEND == "jax", reason="JAX draws for the whole batch at once")
def test_dropout_draws_anew_on_each_device(both):
    kept = np.array(both[1]["draws"])
    assert set(kept.ravel().tolist()) == {0.0, 1.0, 2.0}


@pytest.mark.skipif(BACKEND != "torch", reason="the processes of PyTorch start soonest")
def test_a_run_of_two_processes_ends_with_the_weights_of_one(both, folder):
    """Interrupted in one of the processes, in the middle of an epoch, and resumed."""
    one, two = (result["train"] for result in both)
    assert len(one["weights"]) == len(two["weights"])
    for first, second in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(second, first, rtol=0, atol=1e-5)
    assert one["best"] == two["best"]
    assert one["history"]["val_unreadable"] == [2.0, 2.0]
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=0, atol=1e-5, err_msg=name)
    names = [sorted(path.name for path in (folder / run).iterdir()) for run in ("alone", "run")]
    assert names[0] == names[1]


def test_one_device_is_left_alone():
    with distribute(devices=1) as distribution:
        assert distribution == current_distribution()
        assert (distribution.num_replicas, distribution.shard) == (1, (0, 1))
        assert distribution.any(True)
        with pytest.raises(RuntimeError, match="inside another distribute"), distribute():
            pass
    assert current_distribution() == Distribution()


def test_batches_that_do_not_divide_are_refused():
    with pytest.raises(
        ValueError, match="A batch of 7 does not divide over 3 devices: take 6 or 9"
    ):
        Distribution(3).check_batch_size(7)
    with pytest.raises(ValueError, match=r"A batch of 2 .* take 3"):
        Distribution(3).check_batch_size(2)


@pytest.mark.parametrize("devices", [0, 1.5, True, "2"])
def test_devices_that_are_no_positive_integer(devices):
    with (
        pytest.raises(ValueError, match="devices must be a positive integer"),
        distribute(devices),
    ):
        pass


def test_more_devices_than_there_are():
    words = {
        "torch": "start the script with torchrun --nproc-per-node 64",
        "jax": "devices=64, but JAX has ",
        "tensorflow": "devices=64, but TensorFlow has ",
    }
    with pytest.raises(ValueError, match=words[BACKEND]), distribute(devices=64):
        pass
    assert current_distribution() == Distribution()


INCOMPLETE = {
    "torch": [("WORLD_SIZE", "2", "RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not")],
    "jax": [("KERAS_DISTRIBUTION_NUM_PROCESSES", "2", "JOB_ADDRESSES, .*PROCESS_ID must be set")],
    "tensorflow": [
        ("TF_CONFIG", "{", "TF_CONFIG must be"),
        ("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}}', "TF_CONFIG must be"),
        (
            "TF_CONFIG",
            '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
            "the task worker 2 is not in the cluster",
        ),
    ],
}


@pytest.mark.parametrize(("name", "value", "words"), INCOMPLETE[BACKEND])
def test_an_environment_that_is_not_whole(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words), distribute():
        pass


def test_the_environment_of_another_backend(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    name = "TF_CONFIG" if BACKEND == "torch" else "WORLD_SIZE"
    monkeypatch.setenv(name, json.dumps(cluster) if BACKEND == "torch" else "2")
    words = f"{name} announces 2 processes, but the backend is {BACKEND}"
    with pytest.raises(ValueError, match=words), distribute():
        pass


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch may be in use already")
def test_several_processes_of_a_backend_in_use(monkeypatch, tmp_path):
    keras.ops.convert_to_numpy(keras.ops.ones(2) + 1)
    for name, value in environments("processes", tmp_path)[0].items():
        monkeypatch.setenv(name, value)
    words = "With several processes, distribute must be called before anything else of"
    with pytest.raises(RuntimeError, match=words), distribute():
        pass
