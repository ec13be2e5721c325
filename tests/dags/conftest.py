"""One parse of the DAG folder for all tests of this process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def each_schema_checked_once() -> Iterator[None]:
    """Airflow has the schema of every param checked hundreds of times in a run, which is a third of its time."""
    from jsonschema import Draft202012Validator

    check, sound = Draft202012Validator.check_schema, set()

    def check_once(schema: Any, *more: Any, **options: Any) -> None:
        text = json.dumps([schema, more], sort_keys=True, default=repr)
        if text not in sound:
            check(schema, *more, **options)
            sound.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


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
def folder_in_database(airflow_database: None) -> None:
    """The folder as the scheduler knows it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    manager = DagBundlesManager()  # type: ignore[no-untyped-call]
    manager.sync_bundles_to_db()
    bundle = next(iter(manager.get_all_dag_bundles()))
    bundle.initialize()
    parsed = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(parsed, bundle.name, bundle.version)


@pytest.fixture(scope="session")
def dags(bag: Any) -> Mapping[str, Any]:
    """DAG id → DAG; never empty, so that no loop over it can pass by doing nothing."""
    assert bag.dags
    return dict(bag.dags)
