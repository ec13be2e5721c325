"""One parse of the DAG folder for all tests of this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own database, empty, in this process's AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def bag(airflow_database: None) -> Any:
    """The parsed folder."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=Path(__file__).resolve().parents[2] / "dags")


@pytest.fixture(scope="session")
def dags(bag: Any) -> Mapping[str, Any]:
    """DAG id → DAG; never empty, so that no loop over it can pass by doing nothing."""
    assert bag.dags
    return dict(bag.dags)
