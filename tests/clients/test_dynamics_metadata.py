"""What Dynamics says of its columns, and of us."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, WhoAmI
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AccessRefused, AnswerMalformed
from include.leadsync.model import DynamicsAttribute, Entity, Option
from tests.clients.servers import DYNAMICS, Server, answer, odata_error, playing, query


def client(server: Server) -> DynamicsClient:
    policy = RetryPolicy(attempts=2, jitter=lambda: 0.0)
    return DynamicsClient(DYNAMICS, transport=server, budget=NullBudget(), clock=FakeClock(), retry=policy)


def label(english: str, german: str | None = None) -> dict[str, Any]:
    labels = [{"Label": english, "LanguageCode": 1033}]
    labels += [{"Label": german, "LanguageCode": 1031}] if german else []
    return {"LocalizedLabels": labels, "UserLocalizedLabel": labels[0]}


def attribute(name: str, kind: str, **own: object) -> dict[str, Any]:
    return {
        "LogicalName": name,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "AttributeOf": None,
        "DisplayName": label(name.title()),
        "RequiredLevel": {"Value": "None"},
        "IsValidForRead": True,
        "IsValidForCreate": True,
        "IsValidForUpdate": True,
        **own,
    }


def option(value: int, text: str, german: str | None = None) -> dict[str, Any]:
    return {"Value": value, "Label": label(text, german)}


EVERY: dict[str, list[dict[str, Any]]] = {
    "String": [
        attribute("emailaddress1", "String", MaxLength=100, FormatName={"Value": "Email"}),
        attribute("owneridname", "String", AttributeOf="ownerid"),
    ],
    "Memo": [attribute("description", "Memo", MaxLength=2000, IsSecured=True)],
    "Integer": [attribute("numberofemployees", "Integer", MinValue=0, MaxValue=1000000, Format="None")],
    "Money": [attribute("revenue", "Money", MinValue=0.0, MaxValue=100000000000000.0, Precision=2)],
    "DateTime": [
        attribute("birthdate", "DateTime", Format="DateOnly", DateTimeBehavior={"Value": "DateOnly"}),
    ],
    "Boolean": [
        attribute(
            "donotemail",
            "Boolean",
            OptionSet={"TrueOption": option(1, "Do Not Allow"), "FalseOption": option(0, "Allow")},
        )
    ],
    "Picklist": [
        attribute("leadsourcecode", "Picklist", OptionSet={"Options": [option(8, "Web", "Netz")]}),
        attribute("x_global", "Picklist", OptionSet=None, GlobalOptionSet={"Options": [option(1, "One")]}),
        attribute("x_unlabelled", "Picklist", OptionSet={"Options": [{"Value": 3, "Label": None}]}),
    ],
    "State": [attribute("statecode", "State", OptionSet={"Options": [option(0, "Open")]}, IsValidForCreate=False)],
    "Lookup": [
        attribute("ownerid", "Owner", Targets=["systemuser", "team"], RequiredLevel={"Value": "SystemRequired"}),
    ],
}


def metadata(request: HttpRequest) -> HttpResponse:
    """Answers a batch of metadata reads."""
    casts = re.findall(r"Microsoft\.Dynamics\.CRM\.(\w+)AttributeMetadata", (request.body or b"").decode())
    bodies = [json.dumps({"value": EVERY.get(cast, [])}) for cast in casts]
    body = "".join(f"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{each}\r\n" for each in bodies)
    return answer(200, f"{body}--b--\r\n".encode(), {"Content-Type": "multipart/mixed; boundary=b"})


def attributes(language: int = 1033) -> dict[str, DynamicsAttribute]:
    return {each.name: each for each in client(Server(metadata)).attributes(Entity.LEAD, language)}


def test_all_columns_of_a_table_are_one_call() -> None:
    server = Server(metadata)
    found = client(server).attributes(Entity.LEAD)
    assert len(server.requests) == 1
    assert [each.name for each in found] == sorted(each.name for each in found)


def test_lengths_ranges_precisions_and_formats_are_read() -> None:
    found = attributes()
    assert (found["emailaddress1"].max_length, found["emailaddress1"].format) == (100, "Email")
    assert (found["description"].type, found["description"].max_length) == ("Memo", 2000)
    assert (found["numberofemployees"].minimum, found["numberofemployees"].maximum) == (0, 1_000_000)
    assert (found["revenue"].precision, found["revenue"].maximum) == (2, 1e14)
    assert (found["birthdate"].format, found["birthdate"].date_behavior) == ("DateOnly", "DateOnly")


def test_options_of_every_kind_of_choice_are_read() -> None:
    found = attributes()
    assert found["leadsourcecode"].options == (Option(8, "Web"),)
    assert found["x_global"].options == (Option(1, "One"),)
    assert found["x_unlabelled"].options == (Option(3, "3"),)
    assert found["donotemail"].options == (Option(1, "Do Not Allow"), Option(0, "Allow"))
    assert found["statecode"].options == (Option(0, "Open"),)
    assert not found["statecode"].creatable


def test_labels_come_in_the_language_asked_for_or_else_in_the_users() -> None:
    assert attributes(1031)["leadsourcecode"].options == (Option(8, "Netz"),)
    assert attributes(1031)["leadsourcecode"].label == "Leadsourcecode"


def test_lookups_name_their_targets_and_companion_columns_are_left_out() -> None:
    found = attributes()
    assert (found["ownerid"].type, found["ownerid"].targets) == ("Owner", ("systemuser", "team"))
    assert found["ownerid"].required == "SystemRequired"
    assert "owneridname" not in found


def test_missing_rights_on_metadata_are_named() -> None:
    refusal = json.dumps({"error": {"code": "0x80040220", "message": "missing prvReadEntity"}})
    body = f"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n{refusal}\r\n" * 15
    response = answer(200, f"{body}--b--\r\n".encode(), {"Content-Type": "multipart/mixed; boundary=b"})
    with pytest.raises(AccessRefused, match="prvReadEntity"):
        client(playing(response)).attributes(Entity.LEAD)


def test_change_tracking_is_read_from_the_table() -> None:
    server = playing(answer(200, {"ChangeTrackingEnabled": True}), answer(200, {"ChangeTrackingEnabled": False}))
    made = client(server)
    assert made.change_tracking_enabled(Entity.LEAD)
    assert not made.change_tracking_enabled(Entity.CONTACT)
    assert server.requests[1].path == "/api/data/v9.2/EntityDefinitions(LogicalName='contact')"
    assert query(server.requests[0]) == {"$select": "ChangeTrackingEnabled"}


def test_who_we_are_comes_in_lower_case() -> None:
    body = {"@odata.context": "x", "UserId": "AB", "BusinessUnitId": "CD", "OrganizationId": "EF"}
    assert client(playing(answer(200, body))).who_am_i() == WhoAmI("ab", "cd", "ef")


def test_the_version_is_a_text() -> None:
    assert client(playing(answer(200, {"Version": "9.2.25063.00157"}))).version() == "9.2.25063.00157"


def test_an_application_that_is_no_user_is_refused_with_a_remedy() -> None:
    refusal = odata_error(403, "0x80072560", "The user is not a member of the organization.")
    with pytest.raises(AccessRefused, match="security role"):
        client(playing(refusal)).who_am_i()


def test_a_login_page_instead_of_an_answer_is_malformed() -> None:
    page = answer(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
    with pytest.raises(AnswerMalformed):
        client(playing(page, page)).who_am_i()


def test_privileges_are_named_with_their_widest_depth() -> None:
    held = [("prvReadLead", "Basic"), ("prvReadLead", "Global"), ("prvWriteLead", "Local"), ("prvReadLead", "Deep")]
    entries = [{"PrivilegeName": name, "Depth": depth, "PrivilegeId": "x", "New": 1} for name, depth in held]
    server = playing(answer(200, {"@odata.context": "…", "RolePrivileges": entries}))
    assert client(server).privileges("11111111-1111-1111-1111-111111111111") == {
        "prvreadlead": "Global", "prvwritelead": "Local",
    }  # fmt: skip
    assert server.requests[0].path.endswith(
        "/systemusers(11111111-1111-1111-1111-111111111111)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
    )


@pytest.mark.parametrize(
    "refusal",
    [odata_error(404, "", "No HTTP resource was found"), odata_error(404, "0x80060888"), odata_error(501, "")],
)
def test_a_service_that_does_not_tell_privileges_is_known_by_none_and_not_asked_again(refusal: HttpResponse) -> None:
    server = playing(refusal)
    assert client(server).privileges("11111111-1111-1111-1111-111111111111") is None
    assert len(server.requests) == 1


def test_columns_under_column_security_are_marked() -> None:
    found = attributes()
    assert (found["emailaddress1"].secured, found["description"].secured) == (False, True)
