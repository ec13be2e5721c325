from __future__ import annotations

import csv
import hashlib
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from include.sandbox.marketo import extract_queue
from include.sandbox.marketo.lead_extract import LeadExtract
from tests.sandbox.marketo.caller import Caller, answer, code, header
from tests.waiting import PATIENCE

BASE = "/bulk/v1/leads/export"
MARCH = {"createdAt": {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-31T00:00:00Z"}}


def create(marketo: Caller, **more: Any) -> dict[str, Any]:
    body = {"fields": ["id", "firstName"], "filter": MARCH, **more}
    found = marketo.post(f"{BASE}/create.json", body)
    assert found["success"], found
    return dict(found["result"][0])


def enqueue(marketo: Caller, **more: Any) -> str:
    job = str(create(marketo, **more)["exportId"])
    assert marketo.post(f"{BASE}/{job}/enqueue.json")["result"][0]["status"] == "Queued"
    return job


def status(marketo: Caller, job: str) -> dict[str, Any]:
    return dict(marketo.get(f"{BASE}/{job}/status.json")["result"][0])


def text_of(marketo: Caller, **more: Any) -> str:
    marketo.option(extract_status_interval=0)
    response = marketo.send("GET", f"{BASE}/{enqueue(marketo, **more)}/file.json")
    assert response.status == 200
    return response.body.decode()


def rows_of(marketo: Caller, **more: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text_of(marketo, **more), newline="")))[1:]


def test_a_job_shows_the_fields_of_its_state(marketo: Caller) -> None:
    """M66: states change at most every 60 seconds."""
    marketo.option(extract_seconds=90)
    marketo.create(firstName="Ada")
    made = create(marketo)
    job = made["exportId"]
    base = {"exportId", "format", "status", "createdAt"}
    assert set(made) == base
    assert (made["status"], made["format"]) == ("Created", "CSV")
    queued = marketo.post(f"{BASE}/{job}/enqueue.json")["result"][0]
    assert (set(queued), queued["status"]) == (base | {"queuedAt"}, "Queued")
    marketo.clock.advance(59)
    assert status(marketo, job)["status"] == "Queued"
    marketo.clock.advance(1)
    running = status(marketo, job)
    assert (set(running), running["status"]) == (base | {"queuedAt", "startedAt"}, "Processing")
    marketo.clock.advance(40)
    assert status(marketo, job)["status"] == "Processing"
    marketo.clock.advance(20)
    done = status(marketo, job)
    facts = {"queuedAt", "startedAt", "finishedAt", "numberOfRecords", "fileSize", "fileChecksum"}
    assert (set(done), done["status"], done["numberOfRecords"]) == (base | facts, "Completed", 1)


def test_a_job_moves_one_state_at_a_refresh(marketo: Caller) -> None:
    """M66: without options a reader sees Queued, Processing and Completed, 60 seconds apart."""
    job = enqueue(marketo)
    seen = []
    for seconds in (0, 59, 1, 59, 1):
        marketo.clock.advance(seconds)
        seen.append(status(marketo, job)["status"])
    assert seen == ["Queued", "Queued", "Processing", "Processing", "Completed"]


def test_a_job_can_fail(marketo: Caller) -> None:
    """Section 13, trap 14: errorMsg comes with Failed, a file does not; the switch goes off again."""
    marketo.option(extract_status_interval=0, extract_fails=True)
    job = enqueue(marketo)
    failed = status(marketo, job)
    assert (failed["status"], failed["errorMsg"]) == ("Failed", "The export failed")
    assert {"startedAt", "finishedAt"} < set(failed)
    assert "fileSize" not in failed
    assert marketo.send("GET", f"{BASE}/{job}/file.json").status == 404
    marketo.option(extract_fails=False)
    assert status(marketo, enqueue(marketo))["status"] == "Completed"


def test_a_large_file_is_written_beside_the_other_calls(marketo: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """M66: while the file is written the job shows Processing and everybody else is served."""
    monkeypatch.setattr(extract_queue, "_PATIENCE", 0.0)
    gate = threading.Event()

    def rows(*_: object) -> Iterator[list[str]]:
        assert gate.wait(PATIENCE)
        yield ["1", "Ada"]

    monkeypatch.setattr(LeadExtract, "rows", rows)
    marketo.option(extract_status_interval=0)
    job = enqueue(marketo)
    assert status(marketo, job)["status"] == "Processing"
    assert marketo.send("GET", f"{BASE}/{job}/file.json").status == 404
    marketo.create()
    monkeypatch.setattr(extract_queue, "_PATIENCE", PATIENCE)
    gate.set()
    assert status(marketo, job)["numberOfRecords"] == 1


def test_a_file_under_way_is_cancelled_and_written_anew_after_a_restart(
    marketo: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M66: nothing is left of a file that was not finished."""
    monkeypatch.setattr(extract_queue, "_PATIENCE", 0.0)

    def endless(*_: object) -> Iterator[list[str]]:
        while True:
            yield ["1", "Ada"]

    monkeypatch.setattr(LeadExtract, "rows", endless)
    marketo.option(extract_status_interval=0)
    job, other = enqueue(marketo), enqueue(marketo)
    assert [status(marketo, one)["status"] for one in (job, other)] == ["Processing", "Processing"]
    assert marketo.post(f"{BASE}/{job}/cancel.json")["result"][0]["status"] == "Cancelled"
    monkeypatch.undo()
    marketo.restart()
    marketo.option(extract_status_interval=0)
    assert status(marketo, other)["numberOfRecords"] == 0
    assert [path.suffix for path in (marketo.folder / "marketo-extracts").iterdir()] == [".csv"]


def test_a_job_can_be_cancelled_before_and_after_queueing(marketo: Caller) -> None:
    """M66: two l; queuedAt only if it had been queued."""
    fresh = create(marketo)["exportId"]
    cancelled = marketo.post(f"{BASE}/{fresh}/cancel.json")["result"][0]
    assert cancelled["status"] == "Cancelled"
    assert "queuedAt" not in cancelled
    queued = enqueue(marketo)
    assert "queuedAt" in marketo.post(f"{BASE}/{queued}/cancel.json")["result"][0]
    assert code(marketo.post(f"{BASE}/{queued}/enqueue.json")) == "1029"


def test_only_the_creator_sees_a_job(marketo: Caller) -> None:
    """M66."""
    job = enqueue(marketo)
    marketo.client = "other"
    marketo.token()
    assert code(marketo.get(f"{BASE}/{job}/status.json")) == "1013"
    assert marketo.get(f"{BASE}.json")["result"] == []
    assert marketo.send("GET", f"{BASE}/{job}/file.json").status == 404


def test_an_ended_job_cannot_be_cancelled_or_queued(marketo: Caller) -> None:
    """M66, section 9.1: enqueueing needs the state Created."""
    marketo.option(extract_status_interval=0)
    job = enqueue(marketo)
    assert status(marketo, job)["status"] == "Completed"
    assert code(marketo.post(f"{BASE}/{job}/cancel.json")) == "1003"
    assert code(marketo.post(f"{BASE}/{job}/enqueue.json")) == "1029"


@pytest.mark.parametrize("spelled", ["Cancelled", "canceled"])
def test_the_list_takes_both_spellings_of_cancelled(marketo: Caller, spelled: str) -> None:
    """M66: lists in the documentation have one l, answers two."""
    job = create(marketo)["exportId"]
    marketo.post(f"{BASE}/{job}/cancel.json")
    create(marketo)
    assert [one["exportId"] for one in marketo.get(f"{BASE}.json", status=spelled)["result"]] == [job]


@pytest.mark.parametrize("query", ["status=created,QUEUED", "status=Created&status=queued"])
def test_the_list_filters_by_status_in_any_case(marketo: Caller, query: str) -> None:
    """M66."""
    created, queued, cancelled = create(marketo)["exportId"], enqueue(marketo), enqueue(marketo)
    marketo.post(f"{BASE}/{cancelled}/cancel.json")
    found = answer(marketo.send("GET", f"{BASE}.json", query))["result"]
    assert [job["exportId"] for job in found] == [created, queued]
    assert len(marketo.get(f"{BASE}.json")["result"]) == 3


def test_the_list_is_paged_and_covers_seven_days(marketo: Caller) -> None:
    """M66."""
    jobs = [create(marketo)["exportId"] for _ in range(3)]
    first = marketo.get(f"{BASE}.json", batchSize=2)
    rest = marketo.get(f"{BASE}.json", batchSize=2, nextPageToken=first["nextPageToken"])
    assert [job["exportId"] for job in (*first["result"], *rest["result"])] == jobs
    assert "nextPageToken" not in rest
    marketo.clock.advance(7 * 86_400 + 1)
    marketo.token()
    assert marketo.get(f"{BASE}.json")["result"] == []
    assert status(marketo, jobs[0])["status"] == "Created"


def test_a_third_job_waits_for_a_place(marketo: Caller) -> None:
    """M67."""
    marketo.option(extract_status_interval=0, extract_seconds=100)
    jobs = [enqueue(marketo) for _ in range(3)]
    marketo.clock.advance(50)
    assert [status(marketo, job)["status"] for job in jobs] == ["Processing", "Processing", "Queued"]
    marketo.clock.advance(50)
    assert [status(marketo, job)["status"] for job in jobs] == ["Completed", "Completed", "Processing"]
    marketo.clock.advance(100)
    third = status(marketo, jobs[2])
    assert (third["startedAt"], third["finishedAt"]) == ("2026-03-01T10:01:40Z", "2026-03-01T10:03:20Z")


def test_never_more_than_two_jobs_show_as_processing(marketo: Caller) -> None:
    """M66, M67: small files too, with the refresh of the service; a cancelled job makes room."""
    jobs = [enqueue(marketo) for _ in range(6)]
    seen = []
    for _ in range(3):
        marketo.clock.advance(60)
        seen.append("".join(status(marketo, job)["status"][0] for job in jobs))
    assert seen == ["PPQQQQ", "CCPPQQ", "CCCCPP"]
    more = enqueue(marketo)
    assert marketo.post(f"{BASE}/{jobs[4]}/cancel.json")["success"]
    marketo.clock.advance(60)
    assert [status(marketo, job)["status"] for job in (jobs[5], more)] == ["Completed", "Processing"]
    assert status(marketo, more)["startedAt"] == "2026-03-01T10:03:00Z"


def test_an_eleventh_job_is_refused(marketo: Caller) -> None:
    """M67."""
    marketo.option(extract_seconds=1000)
    for _ in range(10):
        enqueue(marketo)
    job = create(marketo)["exportId"]
    refused = marketo.post(f"{BASE}/{job}/enqueue.json")
    assert refused["errors"] == [{"code": "1029", "message": "Too many jobs in queue"}]


def test_a_second_enqueue_is_refused(marketo: Caller) -> None:
    """M67."""
    job = enqueue(marketo)
    refused = marketo.post(f"{BASE}/{job}/enqueue.json")
    assert refused["errors"] == [{"code": "1029", "message": "Job already queued"}]


def test_the_quota_of_bytes_holds_until_midnight_central(marketo: Caller) -> None:
    """M67."""
    marketo.option(extract_status_interval=0, extract_daily_bytes=10)
    waiting = create(marketo)["exportId"]
    status(marketo, enqueue(marketo))
    quota = [{"code": "1029", "message": "Export daily quota 500MB exceeded."}]
    assert marketo.post(f"{BASE}/create.json", {"fields": ["id"], "filter": MARCH})["errors"] == quota
    assert marketo.post(f"{BASE}/{waiting}/enqueue.json")["errors"] == quota
    marketo.clock.advance(20 * 3600 - 1)
    marketo.token()
    assert code(marketo.post(f"{BASE}/{waiting}/enqueue.json")) == "1029"
    marketo.clock.advance(1)
    marketo.token()
    assert marketo.post(f"{BASE}/{waiting}/enqueue.json")["success"]


RANGE = {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-02-01T00:00:00Z"}
BAD_FILTERS: list[tuple[Any, str]] = [
    (None, "1003"), ({}, "1003"), ({"createdAt": RANGE, "updatedAt": RANGE}, "1003"), ({"nope": 1}, "1003"),
    ({"createdAt": {**RANGE, "endAt": "2026-02-01T00:00:01Z"}}, "1003"),
    ({"createdAt": {"startAt": RANGE["endAt"], "endAt": RANGE["startAt"]}}, "1003"),
    ({"createdAt": {"startAt": RANGE["startAt"]}}, "1003"), ({"createdAt": "2026"}, "1003"),
    ({"smartListId": 1}, "1013"), ({"smartListName": "x"}, "1013"),
    ({"staticListId": 999}, "1013"), ({"staticListName": "nope"}, "1013"),
]  # fmt: skip


@pytest.mark.parametrize(("chosen", "expected"), BAD_FILTERS)
def test_exactly_one_good_filter_is_needed(marketo: Caller, chosen: Any, expected: str) -> None:
    """M68, section 15."""
    found = marketo.post(f"{BASE}/create.json", {"fields": ["id"], "filter": chosen})
    assert code(found) == expected


def test_a_range_of_31_days_and_odd_spellings_are_accepted(marketo: Caller) -> None:
    """M68, section 9.2."""
    create(marketo, filter={"createdAt": RANGE})
    create(marketo, filter={"createdAt": {"startAt": "2026-01-01", "endAt": "2026-01-31T00:00:00.500+01:00"}})
    create(marketo, filter={"createdAt": {"startAt": RANGE["startAt"], "endAt": RANGE["startAt"]}})


def test_updated_at_can_be_unsupported(marketo: Caller) -> None:
    """M68."""
    marketo.option(extract_updated_at=False)
    refused = marketo.post(f"{BASE}/create.json", {"fields": ["id"], "filter": {"updatedAt": RANGE}})
    message = "Unsupported filter type for target subscription: updatedAt"
    assert refused["errors"] == [{"code": "1035", "message": message}]


def test_unknown_fields_are_named(marketo: Caller) -> None:
    """M68."""
    refused = marketo.post(f"{BASE}/create.json", {"fields": ["id", "a", "b"], "filter": MARCH})
    assert refused["errors"] == [{"code": "1003", "message": "Invalid fields [a, b]"}]


def test_both_ends_of_a_window_belong_to_it(marketo: Caller) -> None:
    """M68."""
    people = []
    for _ in range(4):
        people.append(str(marketo.create()))
        marketo.clock.advance(1)
    window = {"startAt": "2026-03-01T10:00:01Z", "endAt": "2026-03-01T10:00:02Z"}
    assert [row[0] for row in rows_of(marketo, filter={"createdAt": window})] == people[1:3]


def test_updated_at_selects_by_the_latest_change_of_any_field(marketo: Caller) -> None:
    """M68: custom fields count although the visible updatedAt does not move."""
    marketo.make_field("regionCode", "string")
    person, _ = marketo.create(), marketo.create()
    marketo.clock.advance(100)
    marketo.sync({"id": person, "regionCode": "EU"}, action="updateOnly", lookupField="id")
    window = {"startAt": "2026-03-01T10:01:00Z", "endAt": "2026-03-01T10:02:00Z"}
    rows = rows_of(marketo, fields=["id", "updatedAt"], filter={"updatedAt": window})
    assert rows == [[str(person), "2026-03-01T10:00:00Z"]]


def test_a_static_list_is_extracted_by_id_and_by_name(marketo: Caller) -> None:
    """M68."""
    number, member, _ = marketo.make_list("Sync"), marketo.create(), marketo.create()
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": member}]})
    for chosen in ({"staticListId": number}, {"staticListName": "Sync"}):
        assert [row[0] for row in rows_of(marketo, filter=chosen)] == [str(member)]


def test_a_smart_list_is_extracted_where_the_subscription_allows_it(marketo: Caller) -> None:
    """M68: smart lists are made by a control command; without the feature the answer is 1035."""
    wanted = str(marketo.create(city="Ulm", unsubscribed=True))
    marketo.create(city="Ulm")
    values = {"city": "Ulm", "unsubscribed": True}
    made = marketo.emulator.control("create_smart_list", {"name": "Ulm", "values": values})
    assert marketo.emulator.control("create_smart_list", {"name": "Ulm"}) == made
    for chosen in ({"smartListId": made["id"]}, {"smartListName": "Ulm"}):
        assert [row[0] for row in rows_of(marketo, filter=chosen)] == [wanted]
        marketo.option(extract_updated_at=False)
        refused = marketo.post(f"{BASE}/create.json", {"fields": ["id"], "filter": chosen})
        (name,) = chosen
        text = f"Unsupported filter type for target subscription: {name}"
        assert refused["errors"] == [{"code": "1035", "message": text}]
        marketo.option(extract_updated_at=True)


def test_the_file_spells_values_as_recorded(marketo: Caller) -> None:
    """M69: null for empty and for booleans never set, RFC 4180 quotes."""
    marketo.create(
        firstName='Ada "Countess", née\nByron', unsubscribed=True, annualRevenue=34.66, lastName="null",
        mktoAcquisitionDate="2026-02-01T00:00:00Z", title="李 😀",
    )  # fmt: skip
    fields = [
        "firstName",
        "unsubscribed",
        "doNotCall",
        "annualRevenue",
        "lastName",
        "mktoAcquisitionDate",
        "title",
        "fax",
    ]
    assert text_of(marketo, fields=fields) == (
        ",".join(fields) + '\n"Ada ""Countess"", née\nByron",true,null,34.66,null,2026-02-01T00:00:00Z,李 😀,null\n'
    )


def test_control_characters_stay_and_carriage_returns_are_quoted(marketo: Caller) -> None:
    """M69, section 13, trap 10: RFC 4180 on every Python version; only LF ends a line."""
    marketo.create(firstName="A\0B\rC\u2028D", lastName="x;y")
    assert text_of(marketo, fields=["firstName", "lastName"]) == ('firstName,lastName\n"A\0B\rC\u2028D",x;y\n')


@pytest.mark.parametrize(("layout", "mark"), [("CSV", ","), ("tsv", "\t"), ("SSV", ";")])
def test_formats_and_column_names_can_be_chosen(marketo: Caller, layout: str, mark: str) -> None:
    """M69."""
    person = marketo.create(firstName="Ada")
    text = text_of(marketo, format=layout, columnHeaderNames={"id": "Marketo Id"})
    assert text == f"Marketo Id{mark}firstName\n{person}{mark}Ada\n"


def test_size_and_checksum_fit_the_bytes(marketo: Caller) -> None:
    """M69."""
    marketo.option(extract_status_interval=0)
    marketo.create(firstName="Åsa")
    job = enqueue(marketo)
    done = status(marketo, job)
    body = marketo.send("GET", f"{BASE}/{job}/file.json").body
    assert done["fileSize"] == len(body)
    assert done["fileChecksum"] == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_a_file_that_is_not_ready_or_unknown_answers_404(marketo: Caller) -> None:
    """M70."""
    job = enqueue(marketo)
    for path in (f"{BASE}/{job}/file.json", f"{BASE}/3fadb012-5810-40ba-a5ca-56300ecf10d4/file.json"):
        response = marketo.send("GET", path)
        assert response.status == 404
        assert (header(response, "content-type") or "").startswith("text/plain")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=3-9", 3, 9),
        ("bytes=5-", 5, None),
        ("bytes=5-99999", 5, None),
        ("bytes=-4", -4, None),
    ],
)
def test_ranges_resume_a_download(marketo: Caller, asked: str, start: int, end: int | None) -> None:
    """M70."""
    marketo.option(extract_status_interval=0)
    marketo.create(firstName="Ada")
    path = f"{BASE}/{enqueue(marketo)}/file.json"
    whole = marketo.send("GET", path)
    assert (whole.status, header(whole, "accept-ranges")) == (200, "bytes")
    part = marketo.send("GET", path, headers={"range": asked})
    size = len(whole.body)
    first, last = start % size, size - 1 if end is None else end
    assert part.status == 206
    assert part.body == whole.body[first : last + 1]
    assert header(part, "content-length") == str(len(part.body))
    assert header(part, "accept-ranges") == "bytes"
    assert header(part, "content-range") == f"bytes {first}-{last}/{size}"


@pytest.mark.parametrize("asked", ["bytes=5-3", "bytes=-", "bytes=0-1,3-4", "lines=1-2"])
def test_anything_that_is_no_single_byte_range_gets_the_whole_file(marketo: Caller, asked: str) -> None:
    """M70, RFC 9110."""
    marketo.option(extract_status_interval=0)
    response = marketo.send("GET", f"{BASE}/{enqueue(marketo)}/file.json", headers={"range": asked})
    assert (response.status, response.body) == (200, b"id,firstName\n")


def test_files_are_never_compressed(marketo: Caller) -> None:
    """M70, section 9.4."""
    marketo.option(extract_status_interval=0)
    marketo.sync(*({"firstName": f"A long enough name {number}"} for number in range(100)), action="createDuplicate")
    response = marketo.send("GET", f"{BASE}/{enqueue(marketo)}/file.json", headers={"accept-encoding": "gzip"})
    assert header(response, "content-encoding") is None
    assert header(response, "content-type") == "text/csv;charset=UTF-8"
    assert len(response.body) > 1024


def test_a_range_beyond_the_file_answers_416(marketo: Caller) -> None:
    """M70."""
    marketo.option(extract_status_interval=0)
    response = marketo.send("GET", f"{BASE}/{enqueue(marketo)}/file.json", headers={"range": "bytes=99999-"})
    assert response.status == 416


def test_the_file_goes_after_seven_days_while_the_status_stays(marketo: Caller) -> None:
    """M70."""
    marketo.option(extract_status_interval=0)
    job = enqueue(marketo)
    assert marketo.send("GET", f"{BASE}/{job}/file.json").status == 200
    marketo.clock.advance(7 * 86_400 + 1)
    marketo.token()
    assert marketo.send("GET", f"{BASE}/{job}/file.json").status == 404
    assert status(marketo, job)["status"] == "Completed"


def test_the_status_goes_thirty_days_after_the_end(marketo: Caller) -> None:
    """M70, section 9.1."""
    job = enqueue(marketo)
    marketo.clock.advance(5 * 86_400)
    marketo.token()
    assert status(marketo, job)["status"] == "Completed"
    for seconds, known in ((25 * 86_400, True), (1, False)):
        marketo.clock.advance(seconds)
        marketo.token()
        assert marketo.get(f"{BASE}/{job}/status.json")["success"] is known


def test_jobs_survive_a_restart(marketo: Caller) -> None:
    marketo.option(extract_seconds=90)
    person = marketo.create(firstName="Ada")
    job = enqueue(marketo)
    marketo.clock.advance(60)
    assert status(marketo, job)["status"] == "Processing"
    marketo.restart()
    marketo.clock.advance(60)
    assert status(marketo, job)["status"] == "Completed"
    assert marketo.send("GET", f"{BASE}/{job}/file.json").body == b"id,firstName\n%d,Ada\n" % person
