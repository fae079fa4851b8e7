"""`benchmarks/waiting_threads.py` runs, and measures each setting."""

import importlib.util


def test_a_short_run(root_dir, capsys):
    path = root_dir / "benchmarks" / "waiting_threads.py"
    spec = importlib.util.spec_from_file_location("waiting_threads", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sizes = ["--looks", "500", "--steps", "2", "--batch", "2", "--rounds", "1"]
    module.main([*sizes, "--beside", "1"])
    count, looks, seconds, _ = (
        cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("| ").split("|")
    )
    assert (count, looks) == ("1", "500")
    assert float(seconds) > 0
