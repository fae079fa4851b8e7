"""`keras-mlp3d upload`: a saved preset to the Hugging Face Hub."""

from keras_mlp3d.cli.common import add_command, one_line


def add_parser(commands):
    """Adds the command to the command line."""
    parser = add_command(
        commands,
        "upload",
        run,
        "put a saved preset on the Hugging Face Hub",
        "Put a saved preset on the Hugging Face Hub, in one commit; the repository is created "
        "where it does not exist. Needs a token: hf auth login, or HF_TOKEN.",
        ["keras-mlp3d upload my_preset hf://user/repo --private"],
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="what save_to_preset wrote")
    parser.add_argument("uri", metavar="hf://USER/REPO", help="where it goes, also with @branch")
    parser.add_argument(
        "--private", action="store_true", help="make a repository that is created private"
    )
    parser.add_argument("--message", metavar="TEXT", help="message of the commit")


def run(options):
    """Uploads, and prints the address of the page."""
    from keras_mlp3d import hub

    page = hub.upload_preset(
        options.uri, options.directory, private=options.private, commit_message=options.message
    )
    print(one_line(page))
    return 0
