"""`keras-mlp3d upload`: a saved preset to the Hugging Face Hub."""

import argparse
from typing import Any

from keras_mlp3d.cli.options import add_command
from keras_mlp3d.cli.terminal import SUCCESS, say


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "upload",
        run,
        "put a saved preset on the Hugging Face Hub",
        "Put a saved preset on the Hugging Face Hub, in one commit. A repository that does not "
        "exist is created. Needs a token: hf auth login, or HF_TOKEN.",
        ["keras-mlp3d upload my_preset hf://user/repo --private"],
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="folder that save_to_preset wrote")
    parser.add_argument("uri", metavar="hf://USER/REPO", help="where it goes, also with @branch")
    parser.add_argument(
        "--private", action="store_true", help="if the repository is created, make it private"
    )
    parser.add_argument("--message", metavar="TEXT", help="message of the commit")


def run(options: argparse.Namespace) -> int:
    """Upload, and print the address of the page."""
    from keras_mlp3d.hub.upload import upload_preset

    page = upload_preset(
        options.uri, options.directory, private=options.private, commit_message=options.message
    )
    say(page)
    return SUCCESS
