"""DAG files are parsed all day; parsing must be cheap and touch nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "great_expectations", "numpy", "pandas", "polars", "pyarrow", "requests", "scipy",
    "include.leadsync", "include.sandbox", "leadsync_console", "leadsync_webhook",
}  # fmt: skip
_PROBE = """
import json, runpy, sys
before = set(sys.modules)
for file in sys.argv[1:]:
    runpy.run_path(file)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Modules that parsing all DAG files loads on top of Airflow's DAG classes."""
    root = Path(__file__).resolve().parents[2]
    files = sorted(str(file) for file in (root / "dags").glob("*.py"))
    assert len(files) >= 3
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "plugins")))}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *files], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_parsing_loads_the_wiring(loaded: set[str]) -> None:
    assert "leadsync_hooks.cycle_tasks" in loaded


@pytest.mark.parametrize("module", sorted(HEAVY))
def test_parsing_loads_nothing_heavy(loaded: set[str], module: str) -> None:
    assert not {name for name in loaded if name == module or name.startswith(f"{module}.")}


def test_no_schedule_is_a_choice_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from leadsync_hooks.schedule import cycle_schedule, reconcile_schedule, watch_schedule

    monkeypatch.setenv("LEADSYNC_SCHEDULE", "none")
    assert (cycle_schedule(), reconcile_schedule(), watch_schedule()) == (None, None, None)
    monkeypatch.setenv("LEADSYNC_RECONCILE_SCHEDULE", "0 3 * * 0")
    weekly = reconcile_schedule()
    assert weekly is not None
    assert weekly.expression == "0 3 * * 0"
    monkeypatch.setenv("LEADSYNC_SCHEDULE", "0 * * * *")
    hourly = cycle_schedule()
    assert hourly is not None
    assert hourly.expression == "0 * * * *"


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_airflow_takes_the_two_plugin_files_for_plugins_and_no_other_file() -> None:
    """Every other file would be loaded under its bare name by every process of Airflow."""
    from airflow._shared.module_loading import find_path_from_directory

    plugins = Path(__file__).resolve().parents[2] / "plugins"
    found = {Path(file) for file in find_path_from_directory(str(plugins), ".airflowignore") if file.endswith(".py")}
    assert {file.relative_to(plugins).as_posix() for file in found} == {
        "leadsync_console/console_plugin.py",
        "leadsync_webhook/webhook_plugin.py",
    }
