"""The trigger forms refuse nonsense before a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

GOOD: dict[str, list[dict[str, Any]]] = {
    "lead_sync": [
        {},
        {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00+01:00"},
        {"entity": "contact", "persons": [1, 2], "dry_run": True},
        {"approve": "0123456789abcdef"},
    ],
    "lead_sync_backfill": [
        {},
        {"fields": ["firstName", "mktoPersonNotes"], "direction": "outbound", "window_on": "created"},
    ],
    "lead_sync_approval": [{"plan_hash": "0123456789abcdef"}],
    "lead_sync_reconcile": [{}, {"dry_run": True}],
    "lead_sync_watch": [{}, {"test": True}],
    "lead_sync_undo": [{"run": "20260301T100500Z-1a2b3c", "dry_run": False, "approve": "0123456789abcdef"}],
    "sync_person_to_microsoft": [
        {"persons": [1001]},
        {"persons": [1001], "sync_as": "contact", "owner": "ada@example.com", "reason": "met at the fair"},
    ],
}
BAD: dict[str, list[dict[str, Any]]] = {
    "lead_sync": [
        {"since": "nonsense"},
        {"until": "01/02/2026"},
        {"since": 5},
        {"entity": "account"},
        {"persons": [0]},
        {"persons": ["x"]},
        {"persons": "1001"},
        {"persons": [1] * 10_001},
        {"dry_run": "maybe"},
        {"approve": "DROP TABLE"},
        {"approve": "0123456789abcde"},
    ],
    "lead_sync_approval": [{}, {"plan_hash": None}, {"plan_hash": "all"}, {"plan_hash": "0123456789ABCDEF"}],
    "lead_sync_backfill": [
        {"fields": ["title"] * 1001},
        {"fields": ["first name"]},
        {"fields": ["$(id)"]},
        {"since": "tomorrow"},
        {"direction": "sideways"},
        {"window_on": "deleted"},
    ],
    "lead_sync_reconcile": [{"dry_run": "maybe"}],
    "lead_sync_watch": [{"test": "please"}, {"test": None}],
    "lead_sync_undo": [{}, {"run": ""}, {"run": "../../etc"}, {"run": "r", "approve": "yes"}],
    "sync_person_to_microsoft": [
        {},
        {"persons": []},
        {"persons": [-1]},
        {"persons": [1001], "sync_as": "account"},
        {"persons": [1001], "reason": "x" * 1001},
    ],
}


def _cases(table: Mapping[str, list[dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return [(dag_id, conf) for dag_id, confs in table.items() for conf in confs]


@pytest.mark.parametrize(("dag_id", "conf"), _cases(GOOD))
def test_a_sensible_form_is_taken(dags: Mapping[str, Any], dag_id: str, conf: dict[str, Any]) -> None:
    filled = _filled(dags[dag_id], conf)
    assert {name: filled[name] for name in conf} == conf


@pytest.mark.parametrize(("dag_id", "conf"), _cases(BAD))
def test_nonsense_is_refused(dags: Mapping[str, Any], dag_id: str, conf: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        _filled(dags[dag_id], conf)


def test_every_dag_is_asked_for_sense_and_for_nonsense(dags: Mapping[str, Any]) -> None:
    assert set(GOOD) == set(BAD) == set(dags)


@pytest.mark.parametrize("dag_id", sorted(GOOD))
def test_a_name_that_the_form_does_not_have_fails_the_first_task_before_it_does_anything(
    dags: Mapping[str, Any], dag_id: str
) -> None:
    """Airflow lets it pass; with `dryrun` instead of `dry_run` somebody would get a real run."""
    dag = dags[dag_id]
    (first,) = dag.roots
    context = {"dag": dag, "dag_run": SimpleNamespace(conf={**GOOD[dag_id][-1], "dryrun": True}), "params": {}}
    with pytest.raises(AirflowFailException, match=r"has no dryrun, only .*; nothing was read or written"):
        first.execute(context)


def test_an_undo_only_looks_unless_it_is_told_otherwise(dags: Mapping[str, Any]) -> None:
    assert _filled(dags["lead_sync_undo"], {"run": "r"})["dry_run"] is True


def test_every_field_of_a_form_has_a_title_and_says_what_it_is_for(dags: Mapping[str, Any]) -> None:
    for dag in dags.values():
        assert len(dag.params) > 0
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["title"], name
            assert param.description, name


def _filled(dag: Any, conf: dict[str, Any]) -> dict[str, Any]:
    params = deepcopy(dag.params)
    params.update(conf)
    filled: dict[str, Any] = params.validate()
    return filled
