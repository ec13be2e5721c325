"""What each page shows."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from leadsync_console.language import NAMES
from tests.console.stored import ARABIC, CHINESE, FORMULA, HELD, RUNS, SCRIPT
from tests.state.rows import guid


def test_the_status_shows_backlog_failures_held_plans_quotas_connections_and_runs(vic: TestClient) -> None:
    text = vic.get("/").text
    for said in ("Backlog", "Oldest insert", "Oldest update", "API budgets", "Connections", "Trends", "Last runs"):
        assert said in text
    assert HELD in text
    assert RUNS[3][9:] in text or RUNS[3] in text
    assert "<svg" in text
    assert "As a table" in text  # the same numbers for those who cannot see a drawing
    assert "AccessRefused" not in text
    assert "/srv/app" not in text


def test_a_list_of_errors_links_to_the_person_the_record_and_the_run(vic: TestClient) -> None:
    text = vic.get("/errors").text
    assert 'href="/persons/1"' in text
    assert f'href="/records/{guid(1)}"' in text
    assert f'href="/runs/{RUNS[1]}"' in text
    assert "5 failures are open" in text
    assert len(re.findall(r"<tr><td><time", vic.get("/errors?person=2").text)) == 1
    assert len(re.findall(r"<tr><td><time", vic.get("/errors?entity=contact").text)) == 1
    assert "No failure fits" in vic.get("/errors?code=other").text


def test_errors_are_grouped_by_cause(vic: TestClient) -> None:
    text = vic.get("/errors/causes").text
    assert text.index(">4</a>") < text.index(">1</a>")
    assert "two persons" in text


def test_an_export_is_whole_and_runs_nothing_in_a_spreadsheet(vic: TestClient) -> None:
    answer = vic.get("/errors.csv?code=too_long")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["person_id"] for row in rows] == ["4", "3", "2", "1"]
    assert rows[2]["value"] == "'" + FORMULA
    assert all(not str(cell).startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_a_collision_shows_both_values_the_base_the_winner_and_the_rule(vic: TestClient) -> None:
    text = vic.get("/collisions?field=title").text
    assert ARABIC in text
    assert "&lt;script&gt;" in text
    assert ">old<" in text
    assert "on a lead Marketo wins" in text
    assert "No collision fits" in vic.get("/collisions?field=email").text
    assert "No collision fits" in vic.get("/collisions?winner=dynamics").text


def test_a_person_shows_both_sides_with_differences_marked_and_why(vic: TestClient) -> None:
    text = vic.get("/persons/2").text
    assert CHINESE in text
    assert text.count('class="differs"') == 1
    assert "new CRM record" in text
    assert "on a lead Marketo wins" in text
    assert SCRIPT not in text
    one = vic.get("/persons/2?field=email").text
    assert "new CRM record" in one
    assert "on a lead Marketo wins" not in one


def test_a_person_whose_lead_was_converted_shows_what_became_of_it(vic: TestClient) -> None:
    text = vic.get("/persons/7").text
    assert "lead converted" in text
    assert guid(7) in text


def test_ids_are_found_at_once_and_names_only_after_a_click(vic: TestClient) -> None:
    assert vic.get("/persons?q=5").headers["location"] == "/persons/5"
    braces = "{" + guid(5).upper() + "}"
    assert vic.get("/persons", params={"q": braces}).headers["location"] == f"/records/{guid(5)}"
    assert vic.get(f"/records/{guid(5)}").headers["location"] == "/persons/5"
    text = vic.get("/persons?q=ann%40example.com").text
    assert "Look up in both systems" in text
    assert 'name="live"' in text


def test_a_look_up_without_connections_says_what_is_missing(vic: TestClient) -> None:
    answer = vic.get("/persons?q=ann%40example.com&live=1")
    assert answer.status_code == 200
    assert "could not be asked" in answer.text
    assert "marketo_default" in answer.text


def test_runs_are_listed_newest_first_with_what_they_did(vic: TestClient) -> None:
    text = vic.get("/runs").text
    places = [text.index(f'href="/runs/{run}"') for run in RUNS]
    assert places == sorted(places, reverse=True)
    assert f'href="/held/{HELD}"' in text
    assert RUNS[3] not in vic.get("/runs?outcome=done").text


def test_requests_show_what_became_of_them(vic: TestClient) -> None:
    text = vic.get("/requests").text
    assert "person 900 does not exist" in text
    assert "asked " + CHINESE in text
    assert "901" not in vic.get("/requests?state=finished").text


def test_the_field_map_is_shown_with_directions_and_winners(vic: TestClient) -> None:
    text = vic.get("/fields").text
    assert "emailaddress1" in text
    assert "only into Marketo" in text
    assert "the opt-out" in text
    assert "<td>Contact</td>" not in vic.get("/fields?entity=lead").text.partition("<tbody>")[2]


@pytest.mark.parametrize("tag", NAMES)
def test_every_page_speaks_every_language(vic: TestClient, tag: str) -> None:
    for address in ("/", "/errors", "/persons/1"):
        answer = vic.get(address, headers={"accept-language": tag})
        assert f'<html lang="{tag}"' in answer.text
        assert not re.search(
            r"\b(status|errors|col|person|list|filter)\.[a-z_]+\b", re.sub(r"<[^>]+>", "", answer.text)
        )


def test_a_chosen_language_is_remembered(vic: TestClient) -> None:
    assert "set-cookie" not in vic.get("/errors").headers
    cookie = vic.get("/errors?lang=en").headers["set-cookie"]
    assert "leadsync_lang=en" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "set-cookie" not in vic.get("/errors?lang=tlh").headers


def test_the_pages_are_usable_by_keyboard_and_screen_reader(vic: TestClient) -> None:
    for address in ("/", "/errors", "/errors/causes", "/collisions", "/persons/1", "/runs", "/requests", "/fields"):
        text = vic.get(address).text
        assert text.count("<h1") == 1, address
        assert 'href="#main"' in text
        assert 'aria-current="page"' in text
        assert text.count("<table") - text.count('class="diff"') <= text.count("<caption") + text.count("<summary>")
        for control in re.findall(r"<(?:input|select|textarea)[^>]*>", text):
            if 'type="hidden"' not in control:
                before = text.partition(control)[0]
                assert before.rfind("<label") > before.rfind("</label>"), control


def test_in_a_frame_no_link_leads_to_what_the_frame_may_not_show(vic: TestClient, home: Path) -> None:
    assert ">Airflow</a>" in vic.get("/").text
    assert ">Airflow</a>" not in vic.get("/", headers={"sec-fetch-dest": "iframe"}).text


def test_before_the_first_run_every_page_says_what_to_do_next(vic: TestClient, home: Path) -> None:
    with sqlite3.connect(home / "state.db") as connection:
        for table in ("run", "ledger", "activity", "operation", "request", "link", "link_count", "layout"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()
    for address, said in {
        "/": "no run yet",
        "/errors": "Nothing has failed",
        "/errors/causes": "Nothing has failed",
        "/collisions": "No collision fits",
        "/persons": "trigger the DAG lead_sync",
        "/runs": "Trigger the DAG lead_sync",
        "/requests": "Nobody has been asked for",
        "/fields": "Not found yet",
    }.items():
        answer = vic.get(address)
        assert answer.status_code == 200, address
        assert said in answer.text, address


def test_a_person_and_a_failure_lead_to_both_systems_where_their_addresses_are_known(
    vic: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/errors?person=2", "/persons/2"):
        assert "https://" not in vic.get(path).text  # nothing is guessed
    shipped = (Path(__file__).resolve().parents[3] / "include" / "config" / "leadsync.yaml").read_text("utf-8")
    own = shipped.replace("web_address: null", "web_address: https://app-sj01.marketo.com")
    (home / "own.yaml").write_text(own, "utf-8")
    monkeypatch.setenv("LEADSYNC_CONFIG", str(home / "own.yaml"))
    connection = {"conn_type": "dynamics", "host": "https://org.crm.dynamics.com", "login": "c", "password": "s"}
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", json.dumps(connection | {"extra": {"tenant_id": "t"}}))
    for path in ("/errors?person=2", "/persons/2"):
        text = vic.get(path).text
        assert 'href="https://app-sj01.marketo.com/leadDatabase/loadLeadDetail?leadId=2"' in text
        assert (
            f'href="https://org.crm.dynamics.com/main.aspx?pagetype=entityrecord&amp;etn=lead&amp;id={guid(2)}"' in text
        )
    framed = vic.get("/persons/2", headers={"sec-fetch-dest": "iframe"}).text
    assert "loadLeadDetail?leadId=2" in framed
    assert 'href="https://' not in framed  # Airflow's frame opens no other site
