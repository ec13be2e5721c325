"""Every test process gets homes of its own before the first import of Airflow or of the project."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.processors import keep_to_one

ROOT = Path(__file__).resolve().parent.parent

# Collecting makes objects that live to the end: looking for dead ones among them took a tenth of its time.
gc.set_threshold(50_000, 20, 50)

if "PYTEST_XDIST_WORKER" in os.environ:
    keep_to_one(os.environ["PYTEST_XDIST_WORKER"])

# Many small files, each for one test: where there is room, they never reach a disk.
_SHARED_MEMORY, _ENOUGH = Path("/dev/shm"), 6 * 2**30
if "TMPDIR" not in os.environ and _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ENOUGH:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_SHARED_MEMORY)

# pytest-xdist starts its workers afresh, so this runs once per worker and no two share a database.
_HOME = Path(tempfile.mkdtemp(prefix="leadsync-tests-"))
# What a developer has exported must not decide what a test sees.
for _name in [n for n in os.environ if n.startswith(("AIRFLOW", "LEADSYNC_"))]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=str(_HOME / "airflow"),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    LEADSYNC_HOME=str(_HOME / "leadsync"),
)

settings.register_profile("project", deadline=None)  # a busy machine is no error
settings.load_profile("project")


# Rooms whose files take longest, longest first: begun last, one of them would keep a single worker busy at the end.
_SLOW = ("local_airflow", "faults", "properties", "validate", "engine", "cli", "survey", "bench", "dags")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, whole; a run with several workers takes them in this order (`--no-loadscope-reorder`)."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix() if item.path.is_relative_to(ROOT / "tests") else ""
        return next((number for number, room in enumerate(_SLOW) if path.startswith(room)), len(_SLOW))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile`, but the tests that share a running Airflow count as one file: a worker starts it once."""
    from xdist.scheduler import LoadFileScheduling

    if config.getoption("dist") != "loadfile":
        return None
    shared, scheduling = "tests/local_airflow/", LoadFileScheduling(config, log)
    file_of = scheduling._split_scope
    scheduling._split_scope = lambda nodeid: shared if nodeid.startswith(shared) else file_of(nodeid)
    return scheduling


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives to the end: Airflow, Great Expectations, thousands of tests.

    It took a tenth of the time of the engine's tests, and a test leaves little behind.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the homes of this process; look once for garbage that complains, where pytest would look five times."""
    shutil.rmtree(_HOME, ignore_errors=True)
    gc.collect()
    gc.freeze()


@pytest.fixture
def project_root() -> Path:
    """The folder that holds dags/, plugins/, include/ and the rest."""
    return ROOT
