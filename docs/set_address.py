"""Sets the repository's public address in every file that names it, or changes it.

    python docs/set_address.py https://github.com/OWNER/NAME

Package indexes show the README away from the repository, so that its picture and links must be
absolute, and Colab opens a notebook by its address. Until an address is set they are relative, and
the notebooks' badges open Colab, where the notebook is uploaded.
"""

import argparse
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: What an address must be: Colab opens notebooks of GitHub.
ADDRESS = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")
_COLAB = "https://colab.research.google.com/"
_BADGE = re.compile(rf"(colab-badge\.svg\)\]\(){re.escape(_COLAB)}[^)]*\)( \(choose [^)]*\))?")


def current_address(root: pathlib.Path = ROOT) -> str | None:
    """Return the address that pyproject.toml states, or None."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def set_address(address: str, root: pathlib.Path = ROOT) -> list[str]:
    """Write an address into the files of a checkout.

    Args:
        address: Such as "https://github.com/OWNER/NAME".
        root: Folder of the checkout.

    Returns:
        The names of the files that changed.

    Raises:
        ValueError: If the address is none of a repository on GitHub. Nothing is changed then.
    """
    if not ADDRESS.fullmatch(address):
        raise ValueError(
            f"The address must be https://github.com/OWNER/NAME, without a slash at its end; got "
            f"{address!r}."
        )
    old = current_address(root)
    texts = {"README.md": lambda text: _readme(text, address, old)}
    texts["pyproject.toml"] = lambda text: _pyproject(text, address)
    texts["CITATION.cff"] = lambda text: _line(text, "repository-code", f'"{address}"')
    texts["mkdocs.yml"] = lambda text: _line(text, "repo_url", address)
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        name = path.relative_to(root).as_posix()
        texts[name] = lambda text, name=name: _notebook(text, name, address)
    changed = {}
    for name, change in texts.items():
        before = (root / name).read_text(encoding="utf-8")
        if (after := change(before)) != before:
            changed[name] = after
    for name, text in changed.items():
        (root / name).write_text(text, encoding="utf-8")
    return list(changed)


def _readme(text, address, old):
    if old:
        text = re.sub(rf"{re.escape(old)}/(?:blob|raw)/main/", "", text)
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:)", rf"\g<1>{address}/raw/main/", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{address}/blob/main/", text)


def _pyproject(text, address):
    urls = {"Repository": "", "Issues": "/issues", "Changelog": "/blob/main/CHANGELOG.md"}
    lines = "".join(f'{name} = "{address}{end}"\n' for name, end in urls.items())
    text = re.sub(rf"^(?:{'|'.join(urls)}) = .*\n", "", text, flags=re.M)
    return text.replace("[project.urls]\n", f"[project.urls]\n{lines}")


def _line(text, key, value):
    """Set a key of a YAML file's top level."""
    text = re.sub(rf"^{key}: .*\n", "", text, flags=re.M)
    return f"{text.rstrip()}\n{key}: {value}\n"


def _notebook(text, name, address):
    place = f"{_COLAB}github/{address.removeprefix('https://github.com/')}/blob/main/{name}"
    return _BADGE.sub(rf"\g<1>{place})", text)


def main(arguments=None):
    """Read the address and print which files it changed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address", help="such as https://github.com/OWNER/NAME")
    for name in set_address(parser.parse_args(arguments).address):
        print(f"changed {name}")


if __name__ == "__main__":
    main()
