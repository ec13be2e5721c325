"""Bulk import of persons (M71): raw uploads, no client."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from typing import Any

import pytest

from include.sandbox.service import Response
from tests.sandbox.marketo.caller import Caller, answer, attributes, code, header
from tests.waiting import wait_until

UPLOAD = "/bulk/v1/leads.json"
MARK = "----sandboxBoundary"


def upload(marketo: Caller, text: str | bytes, parts: Mapping[str, str] | None = None, **query: Any) -> Response:
    file = text.encode() if isinstance(text, str) else text
    body = b"".join(
        f'--{MARK}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (parts or {}).items()
    )
    head = f'--{MARK}\r\nContent-Disposition: form-data; name="file"; filename="leads.csv"\r\n'
    body += (head + "Content-Type: text/csv\r\n\r\n").encode() + file + f"\r\n--{MARK}--\r\n".encode()
    return raw(marketo, body, f"multipart/form-data; boundary={MARK}", query)


def raw(marketo: Caller, body: bytes, kind: str, query: Mapping[str, Any]) -> Response:
    token = marketo.token()
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return marketo.raw("POST", UPLOAD, text, body, {"authorization": f"Bearer {token}", "content-type": kind})


def start(marketo: Caller, text: str | bytes, parts: Mapping[str, str] | None = None, **query: Any) -> int:
    found = answer(upload(marketo, text, parts, **({} if parts else {"format": "csv"}) | query))
    assert found["success"], found
    return int(found["result"][0]["batchId"])


def status(marketo: Caller, batch: int) -> dict[str, Any]:
    return dict(marketo.get(f"/bulk/v1/leads/batch/{batch}.json")["result"][0])


def imported(marketo: Caller, text: str, parts: Mapping[str, str] | None = None, **query: Any) -> dict[str, Any]:
    marketo.option(import_seconds=0)
    return status(marketo, start(marketo, text, parts, **query))


def reasons(marketo: Caller, batch: int, what: str) -> str:
    response = marketo.send("GET", f"/bulk/v1/leads/batch/{batch}/{what}.json")
    assert response.status == 200
    return response.body.decode()


def by_email(marketo: Caller, email: str, *fields: str) -> list[dict[str, Any]]:
    query = {"filterType": "email", "filterValues": email, "fields": ",".join(fields or ("firstName",))}
    return list(marketo.get("/rest/v1/leads.json", **query)["result"])


def test_an_import_is_queued_then_importing_then_complete(marketo: Caller) -> None:
    """M71: batchId is a number, importId its text; counters and message of section 10."""
    found = answer(upload(marketo, "email,firstName\nada@example.test,Ada\n", format="csv"))
    (taken,) = found["result"]
    batch = taken["batchId"]
    assert taken == {"batchId": batch, "importId": str(batch), "status": "Queued"}
    assert status(marketo, batch)["status"] == "Queued"
    marketo.clock.advance(1)
    running = status(marketo, batch)
    assert (running["status"], running["numOfLeadsProcessed"]) == ("Importing", 0)
    assert "message" not in running
    assert by_email(marketo, "ada@example.test") == []
    marketo.clock.advance(1)
    assert status(marketo, batch) == {
        "batchId": batch, "importId": str(batch), "status": "Complete", "numOfLeadsProcessed": 1,
        "numOfRowsFailed": 0, "numOfRowsWithWarning": 0,
        "message": "Import succeeded, 1 records imported (1 members)",
    }  # fmt: skip
    assert by_email(marketo, "ada@example.test")[0]["firstName"] == "Ada"


def test_rows_arrive_though_nobody_asks_for_the_import(marketo: Caller) -> None:
    """M71: the service works by itself; also after a kill, and for those who wait behind others."""
    marketo.options = {"import_running": 1, "import_seconds": 2, "limits": False}
    marketo.restart()
    for name in ("ada", "bob", "eve"):
        start(marketo, f"email,firstName\n{name}@example.test,{name}\n")
    marketo.restart()
    for name in ("ada", "bob", "eve"):
        assert by_email(marketo, f"{name}@example.test") == []
        marketo.clock.advance(2)
        wait_until(lambda name=name: bool(by_email(marketo, f"{name}@example.test")))  # type: ignore[misc]
    uploads = marketo.folder / "marketo-imports"

    def all_is_written_down() -> bool:
        marketo.get("/rest/v1/stats/usage.json")
        return not list(uploads.glob("*.upload"))

    wait_until(all_is_written_down)


def test_rows_insert_or_update_and_leave_the_activities_of_an_import(marketo: Caller) -> None:
    """M71, section 10: type 12 with Source Type and List Name; updates log value changes."""
    known, number, token = marketo.create(email="ada@example.test", firstName="A"), marketo.make_list("Fair"), ""
    token = marketo.since()
    text = 'email,firstName,unsubscribed\nADA@example.test,Ada,\nmax@example.test,"Max, the ""1st""",true\n'
    done = imported(marketo, text, listId=number)
    assert done["message"] == "Import succeeded, 2 records imported (2 members)"
    (made,) = by_email(marketo, "max@example.test", "firstName", "unsubscribed", "originalSourceType")
    assert (made["firstName"], made["unsubscribed"]) == ('Max, the "1st"', True)
    assert made["originalSourceType"] == "List import"
    rows = {(row["leadId"], row["activityTypeId"]): row for row in marketo.activities(token, "12,13,24")}
    assert attributes(rows[made["id"], 12]) == {
        "Created Date": "2026-03-01", "List Name": "Fair", "Source Type": "List import",
    }  # fmt: skip
    assert marketo.person(known, "firstName", "email") == {"id": known, "firstName": "Ada", "email": "ADA@example.test"}
    assert rows[known, 24]["primaryAttributeValueId"] == rows[made["id"], 24]["primaryAttributeValueId"] == number


def test_failed_rows_come_back_in_the_order_of_the_file(marketo: Caller) -> None:
    """M71: what cannot be read and what cannot be applied, as they stood."""
    person = marketo.create(email="ada@example.test")
    text = f"id,leadScore\n999999,1\n,2\n{person},x\n888888,3\n{person},4\n"
    failed = reasons(marketo, imported(marketo, text, lookupField="id")["batchId"], "failures").splitlines()[1:]
    assert [row.split(",")[:2] for row in failed] == [["999999", "1"], ["", "2"], [str(person), "x"], ["888888", "3"]]


def test_failed_rows_are_counted_and_come_back_with_the_reason(marketo: Caller) -> None:
    """M71: the texts of section 10; the reason column follows the columns of the upload."""
    text = (
        "email,firstName,leadScore\nmax@example.test,Max,abc\n,Nobody,1\nada@example.test,Ada,5\n"
        "eva@example.test,Eva,\n"
    )
    done = imported(marketo, text)
    assert done["status"] == "Complete"
    assert (done["numOfLeadsProcessed"], done["numOfRowsFailed"], done["numOfRowsWithWarning"]) == (2, 2, 0)
    assert done["message"] == "Import completed with errors, 2 records imported (2 members), 2 failed"
    assert reasons(marketo, done["batchId"], "failures") == (
        "email,firstName,leadScore,Import Failure Reason\n"
        "max@example.test,Max,abc,Invalid data type in field Lead Score\n"
        ",Nobody,1,Value for lookup field 'email' not found\n"
    )
    assert reasons(marketo, done["batchId"], "warnings") == ""
    assert by_email(marketo, "max@example.test") == []


def test_an_invalid_address_is_a_warning_and_the_row_is_imported(marketo: Caller) -> None:
    """M71, documented for the import of program members."""
    done = imported(marketo, "email;firstName\nbademail;Bad\n", format="ssv")
    assert (done["numOfLeadsProcessed"], done["numOfRowsFailed"], done["numOfRowsWithWarning"]) == (1, 0, 1)
    assert done["message"] == "Import succeeded, 1 records imported (1 members), 1 warning."
    assert reasons(marketo, done["batchId"], "failures") == ""
    warned = "email;firstName;Import Warning Reason\nbademail;Bad;Invalid email address\n"
    assert reasons(marketo, done["batchId"], "warnings") == warned
    assert by_email(marketo, "bademail")[0]["firstName"] == "Bad"


def test_the_lookup_field_id_only_updates(marketo: Caller) -> None:
    """M71."""
    person = marketo.create(email="ada@example.test")
    done = imported(marketo, f"id,email\n{person},new@example.test\n999999,max@example.test\n", lookupField="id")
    assert (done["numOfLeadsProcessed"], done["numOfRowsFailed"]) == (1, 1)
    assert marketo.person(person, "email")["email"] == "new@example.test"
    assert reasons(marketo, done["batchId"], "failures").splitlines()[1] == "999999,max@example.test,Lead not found"
    assert by_email(marketo, "max@example.test") == []


def test_parameters_may_be_parts_of_the_form(marketo: Caller) -> None:
    """Section 10: format as a form part; other look-up fields; tab separated."""
    marketo.make_field("customerNo", "string")
    parts = {"format": "TSV", "lookupField": "customerNo"}
    assert imported(marketo, "customerNo\tfirstName\nC-1\tÅsa\n", parts)["numOfLeadsProcessed"] == 1
    assert imported(marketo, "customerNo\tfirstName\nC-1\tEva\n", parts)["numOfLeadsProcessed"] == 1
    query = {"filterType": "customerNo", "filterValues": "C-1", "fields": "firstName"}
    assert [one["firstName"] for one in marketo.get("/rest/v1/leads.json", **query)["result"]] == ["Eva"]


def test_new_persons_go_to_the_partition_that_is_named(marketo: Caller) -> None:
    """Section 10: persons that exist stay where they are (assumption)."""
    marketo.emulator.control("create_partition", {"name": "EU"})
    marketo.create(email="old@example.test")
    imported(marketo, "email\nnew@example.test\nold@example.test\n", partitionName="EU")
    found = [by_email(marketo, f"{name}@example.test", "leadPartitionId") for name in ("new", "old")]
    assert [one["leadPartitionId"] for (one,) in found] == [2, 1]


def test_an_empty_cell_leaves_a_value_and_null_clears_it(marketo: Caller) -> None:
    """Assumption beside the code; a byte order mark and blank lines do no harm."""
    person = marketo.create(email="ada@example.test", firstName="Ada", city="Ulm")
    text = "\ufeffemail,firstName,city\r\n\r\nada@example.test,,null\r\n"
    assert imported(marketo, text)["numOfLeadsProcessed"] == 1
    assert marketo.person(person, "firstName", "city") == {"id": person, "firstName": "Ada", "city": None}


def test_several_matches_fail_the_row(marketo: Caller) -> None:
    """Assumption beside the code: the text of sync leads."""
    for _ in range(2):
        marketo.create(email="ada@example.test")
    done = imported(marketo, "email,firstName\nada@example.test,Ada\n")
    assert (done["numOfLeadsProcessed"], done["numOfRowsFailed"]) == (0, 1)
    assert "Multiple lead match lookup criteria" in reasons(marketo, done["batchId"], "failures")


@pytest.mark.parametrize(
    ("text", "message"),
    [("email,nope\na@example.test,1\n", "Field 'nope' not found"), ("", "The file has no header"),
     ("email,createdAt\na@example.test,2026-01-01\n", "Field 'createdAt' cannot be imported")],
)  # fmt: skip
def test_a_file_without_a_usable_header_fails_the_job(marketo: Caller, text: str, message: str) -> None:
    """M71: status Failed, the message says why (texts assumed)."""
    done = imported(marketo, text)
    assert (done["status"], done["message"]) == ("Failed", message)
    assert reasons(marketo, done["batchId"], "failures") == ""


def test_two_imports_run_and_an_eleventh_is_refused(marketo: Caller) -> None:
    """M71: 1016 with the recorded text; when one ends there is room again."""
    marketo.option(import_seconds=100)
    batches = [start(marketo, f"email\np{number}@example.test\n") for number in range(10)]
    refused = answer(upload(marketo, "email\nx@example.test\n", format="csv"))
    text = "There are 10 imports currently being processed. Please try again later"
    assert refused["errors"] == [{"code": "1016", "message": text}]
    marketo.clock.advance(50)
    assert [status(marketo, batch)["status"] for batch in batches] == ["Importing"] * 2 + ["Queued"] * 8
    marketo.clock.advance(50)
    assert [status(marketo, batch)["status"] for batch in batches[:3]] == ["Complete", "Complete", "Queued"]
    marketo.clock.advance(1)
    assert status(marketo, batches[2])["status"] == "Importing"
    start(marketo, "email\nx@example.test\n")


def test_a_list_takes_one_import_at_a_time(marketo: Caller) -> None:
    """M71: 1019."""
    number, other = marketo.make_list("A"), marketo.make_list("B")
    start(marketo, "email\na@example.test\n", listId=number)
    assert code(answer(upload(marketo, "email\nb@example.test\n", format="csv", listId=number))) == "1019"
    start(marketo, "email\nb@example.test\n", listId=other)
    marketo.clock.advance(2)
    start(marketo, "email\nb@example.test\n", listId=number)


def test_a_file_above_ten_megabytes_answers_413(marketo: Caller) -> None:
    """M71, section 3.1; other calls keep their limit of one megabyte."""
    limit = 10 * 1024 * 1024
    row = b"a@example.test\n"
    fits = b"email\n" + row * ((limit - 6) // len(row))
    marketo.option(import_seconds=100)
    assert upload(marketo, fits, format="csv").status == 200
    assert upload(marketo, fits + row * 2, format="csv").status == 413
    assert raw(marketo, b"x" * (limit + 70_000), "multipart/form-data; boundary=x", {}).status == 413
    assert marketo.send("POST", "/rest/v1/leads.json", body={"input": ["x" * 1_048_576]}).status == 413


PARTLY = f'--{MARK}\r\nContent-Disposition: form-data; name="file"\r\n\r\nemail\r\n'.encode()
OTHER = f'--{MARK}\r\nContent-Disposition: form-data; name="data"\r\n\r\nemail\r\n--{MARK}--\r\n'.encode()


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [(b"email\n", "text/csv", "613"), (b"{}", "application/json", "613"), (b"", "multipart/form-data", "613"),
     (b"garbage", f"multipart/form-data; boundary={MARK}", "613"),
     (PARTLY, f"multipart/form-data; boundary={MARK}", "613"),
     (OTHER, f"multipart/form-data; boundary={MARK}", "1002")],
)  # fmt: skip
def test_a_malformed_upload_is_refused(marketo: Caller, body: bytes, kind: str, expected: str) -> None:
    """Section 3.2: 613."""
    assert code(answer(raw(marketo, body, kind, {"format": "csv"}))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [({"format": "xls"}, "1003"), ({"lookupField": "nope"}, "1006"), ({"lookupField": "firstName"}, "1011"),
     ({"listId": 999}, "1013"), ({"listId": "x"}, "1001"), ({"partitionName": "nope"}, "1008")],
)  # fmt: skip
def test_wrong_parameters_are_refused_at_once(marketo: Caller, query: dict[str, Any], expected: str) -> None:
    """M71, section 3.3."""
    assert code(answer(upload(marketo, "email\n", **query))) == expected


def test_a_batch_is_valid_for_seven_days(marketo: Caller) -> None:
    """Section 10; unknown ids answer 1013 (code assumed)."""
    done = imported(marketo, "email\na@example.test\n")
    marketo.clock.advance(7 * 86_400)
    marketo.token()
    assert status(marketo, done["batchId"])["status"] == "Complete"
    marketo.clock.advance(1)
    assert code(marketo.get(f"/bulk/v1/leads/batch/{done['batchId']}.json")) == "1013"
    assert code(marketo.get("/bulk/v1/leads/batch/77.json")) == "1013"


def test_importing_needs_the_right_to_write(marketo: Caller) -> None:
    """M6, appendix B."""
    permissions = {"user": "sync-api@example.test", "permissions": ["Read-Write Lead"]}
    marketo.emulator.control("revoke", permissions)
    assert code(answer(upload(marketo, "email\n", format="csv"))) == "603"
    assert code(marketo.get("/bulk/v1/leads/batch/1001.json")) == "603"


def test_an_import_survives_a_restart(marketo: Caller) -> None:
    batch = start(marketo, "email,firstName\nada@example.test,Ada\n")
    marketo.clock.advance(1)
    assert status(marketo, batch)["status"] == "Importing"
    marketo.restart()
    marketo.clock.advance(1)
    assert status(marketo, batch)["numOfLeadsProcessed"] == 1


def test_files_of_reasons_are_plain_text(marketo: Caller) -> None:
    """Section 10: the format of the upload."""
    done = imported(marketo, "email,leadScore\na@example.test,x\n")
    response = marketo.send("GET", f"/bulk/v1/leads/batch/{done['batchId']}/failures.json")
    assert header(response, "content-type") == "text/csv;charset=UTF-8"
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.body)


class Body(bytes):
    """Bytes that tell their end."""

    gone = 0

    def __del__(self) -> None:
        Body.gone += 1


def test_a_refused_upload_is_not_kept_in_memory(marketo: Caller) -> None:
    """M71, and the bad input of a long day: each refusal once kept its body."""
    before = Body.gone
    for kind in ("multipart/form-data; boundary=B", "multipart/form-data", "text/csv"):
        sent = {"authorization": f"Bearer {marketo.token()}", "content-type": kind}
        refused = marketo.raw("POST", "/bulk/v1/leads.json", "format=csv", Body(b"no multipart"), sent)
        assert b'"613"' in refused.body
    gc.collect()
    assert Body.gone - before == 3
