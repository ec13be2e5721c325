"""SQLite and a local staging folder are for one host (DECISIONS 15)."""

from __future__ import annotations

import pytest

from include.leadsync.errors import ConfigurationInvalid, FixConfiguration
from include.leadsync.state import assert_fits

SQLITE, POSTGRESQL = "sqlite:////home/sync/state.db", "postgresql://sync:hunter2@db/leads"
LOCAL, SHARED = "/home/sync/staging", "s3://bucket/staging"


@pytest.mark.parametrize(
    "executor", ["", "LocalExecutor", "SequentialExecutor", "airflow.executors.local_executor.LocalExecutor"]
)
def test_one_host_may_use_sqlite_and_a_folder(executor: str) -> None:
    assert_fits(SQLITE, LOCAL, executor)


@pytest.mark.parametrize(
    "executor", ["CeleryExecutor", "KubernetesExecutor", "LocalExecutor,KubernetesExecutor", "containers"]
)
def test_several_hosts_must_share_both(executor: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        assert_fits(SQLITE, LOCAL, executor)
    assert [problem.key for problem in caught.value.problems] == ["LEADSYNC_STATE_URL", "LEADSYNC_STAGING"]
    assert "postgresql://" in str(caught.value)
    assert "s3://" in str(caught.value)
    assert_fits(POSTGRESQL, SHARED, executor)


@pytest.mark.parametrize(
    ("url", "staging", "key"),
    [
        (SQLITE, SHARED, "LEADSYNC_STATE_URL"),
        (POSTGRESQL, LOCAL, "LEADSYNC_STAGING"),
        (POSTGRESQL, "file:///shared", "LEADSYNC_STAGING"),
        (POSTGRESQL, "staging", "LEADSYNC_STAGING"),
    ],
)
def test_only_what_is_not_shared_is_named(url: str, staging: str, key: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        assert_fits(url, staging, "CeleryExecutor")
    assert [problem.key for problem in caught.value.problems] == [key]
    assert "hunter2" not in str(caught.value)


def test_a_url_of_no_database_is_told_apart() -> None:
    with pytest.raises(FixConfiguration, match="names mysql"):
        assert_fits("mysql://host/db", SHARED, "CeleryExecutor")
