"""The command line in forks of one process that has imported the backend already.

As a script it reads a JSON line per command, runs it in a fork of itself, and prints the number of
that process at once, and its exit code in the end.
"""

import json
import os
import pathlib
import resource
import select
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).parent.parent.parent


class Forked:
    """A process whose forks run commands, one at a time.

    Args:
        folder: Folder for what the commands print.
    """

    def __init__(self, folder):
        self.printed, self.errors = folder / "stdout.txt", folder / "stderr.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        # Compiled programs would not fit on a disk that a test makes small.
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        self.server = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait(60)
        self.server.stdout.close()

    def start(self, arguments, file_size=None):
        """Starts a command, which can write no file larger than `file_size` bytes; its number."""
        command = {
            "arguments": [str(argument) for argument in arguments],
            "files": [str(self.printed), str(self.errors)],
            "file_size": file_size,
        }
        self.server.stdin.write(json.dumps(command) + "\n")
        return int(self.server.stdout.readline())

    def has_ended(self):
        """Whether the command that runs is at its end."""
        return bool(select.select([self.server.stdout], [], [], 0)[0])

    def end(self):
        """(exit code, standard output, standard error) of the command that runs."""
        code = int(self.server.stdout.readline())
        return code, self.printed.read_text(), self.errors.read_text()

    def run(self, arguments, file_size=None):
        """The same, of a command that it starts."""
        self.start(arguments, file_size)
        return self.end()


def _child(arguments, files, file_size):
    for stream, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    try:
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        code = 99
    os._exit(code)


def _serve():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _child(**json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    import keras_mlp3d.inference
    import keras_mlp3d.models
    import keras_mlp3d.training
    from keras_mlp3d.cli.main import main

    assert keras_mlp3d.training.train
    _serve()
