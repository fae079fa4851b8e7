"""What a folder of measurements was made with, so that no other command reads them as its own."""

import json


def check_settings(folder, settings):
    """Write the settings of a folder, or end the program if it has others.

    Args:
        folder: `pathlib.Path`; made if it is missing.
        settings: {name: JSON value}.
    """
    path, settings = folder / "settings.json", json.loads(json.dumps(settings))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(settings), encoding="utf-8")
        part.replace(path)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    names = [name for name in settings if before.get(name) != settings[name]]
    if names:
        difference = "; ".join(
            f"{name} was {before.get(name)!r}, is {settings[name]!r}" for name in names
        )
        raise SystemExit(f"{folder} is of other settings: {difference}. Use another --run.")
