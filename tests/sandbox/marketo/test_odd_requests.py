"""No request, however odd, breaks the service: every answer is one of the documented kinds, never 611."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.marketo.caller import Caller

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["email", "id", "ada@example.test", "1", "2026-03-01T00:00:00Z", "string", "amount", "Default"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
MEMBERS = {
    "/rest/v1/leads.json": ["action", "lookupField", "partitionName", "input"],
    "/rest/v1/leads/delete.json": ["input"],
    "/rest/v1/leads/push.json": ["programName", "programStatus", "source", "reason", "lookupField", "input"],
    "/rest/v1/leads/submitForm.json": ["formId", "programId", "input"],
    "/rest/v1/leads/1/merge.json": ["leadId", "leadIds"],
    "/rest/v1/programs/1001/members/status.json": ["statusName", "input"],
    "/rest/v1/programs/1001/members/delete.json": ["input"],
    "/rest/v1/programs/1001/members.json": ["input"],
    "/rest/v1/leads/programs/1001/status.json": ["status", "input"],
    "/rest/v1/companies.json": ["action", "dedupeBy", "input"],
    "/rest/v1/opportunities/roles.json": ["action", "dedupeBy", "input"],
    "/rest/v1/salespersons/delete.json": ["deleteBy", "input"],
    "/rest/v1/lists/1001/leads.json": ["input"],
    "/rest/v1/leads/partitions.json": ["input"],
    "/rest/v1/leads/schema/fields.json": ["input"],
    "/rest/v1/leads/schema/fields/email.json": ["input"],
    "/rest/v1/activities/external.json": ["input"],
    "/rest/v1/activities/external/type.json": ["apiName", "name", "triggerName", "filterName", "primaryAttribute",
                                               "attributes"],
    "/rest/v1/activities/external/type/orderPlaced/attributes/create.json": ["attributes"],
    "/rest/v1/activities/external/type/orderPlaced/attributes/update.json": ["attributes"],
    "/rest/v1/activities/external/type/orderPlaced/attributes/delete.json": ["attributes"],
    "/bulk/v1/leads/export/create.json": ["fields", "filter", "format", "columnHeaderNames"],
}  # fmt: skip
RECORD_MEMBERS = [
    "id", "email", "firstName", "leadScore", "unsubscribed", "dateOfBirth", "mktoAcquisitionDate", "annualRevenue",
    "leadPartitionId", "externalCompanyId", "company", "partitionName", "apiName", "name", "displayName", "dataType",
    "description", "isHidden", "leadId", "activityDate", "activityTypeId", "primaryAttributeValue", "attributes",
    "value", "createdAt", "staticListId", "startAt", "endAt", "leadFormFields", "visitorData", "cookie", "marketoGUID",
    "externalOpportunityId", "role", "externalSalesPersonId",
]  # fmt: skip
RECORDS = st.dictionaries(st.sampled_from(RECORD_MEMBERS), VALUES, max_size=5)
PARTS = VALUES | RECORDS | st.lists(RECORDS, max_size=3)
GETS = {
    "/rest/v1/leads.json": ["filterType", "filterValues", "fields", "batchSize", "nextPageToken"],
    "/rest/v1/lists.json": ["id", "name", "programName", "workspaceName", "batchSize", "nextPageToken"],
    "/rest/v1/lists/1001/leads.json": ["fields", "batchSize", "nextPageToken"],
    "/rest/v1/lists/1001/leads/ismember.json": ["id"],
    "/rest/v1/leads/schema/fields.json": ["batchSize", "nextPageToken"],
    "/rest/v1/activities.json": ["nextPageToken", "activityTypeIds", "leadIds", "listId", "assetIds", "batchSize"],
    "/rest/v1/activities/leadchanges.json": ["nextPageToken", "fields", "listId", "leadIds"],
    "/rest/v1/activities/pagingtoken.json": ["sinceDatetime"],
    "/rest/asset/v1/staticLists.json": ["offset", "maxReturn", "folder", "earliestUpdatedAt"],
    "/rest/asset/v1/folders.json": ["root", "maxDepth", "offset", "maxReturn"],
    "/rest/asset/v1/folder/byName.json": ["name", "root"],
    "/rest/v1/programs/1001/members.json": ["filterType", "filterValues", "fields", "startAt", "endAt", "batchSize"],
    "/rest/v1/leads/programs/1001.json": ["fields", "batchSize", "nextPageToken"],
    "/rest/v1/leads/1/programMembership.json": ["filterValues", "batchSize", "nextPageToken", "latestUpdatedAt"],
    "/rest/v1/companies.json": ["filterType", "filterValues", "fields", "batchSize", "nextPageToken"],
    "/rest/v1/companies/schema/fields.json": ["batchSize", "nextPageToken"],
    "/bulk/v1/leads/export.json": ["status", "nextPageToken"],
}
WORDS = st.sampled_from(
    ["", "id", "email", "1", "-1", "0", "12,13", "9" * 30, "2026-03-01", "0001-01-01", "9999-12-31"]
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder: Path = tmp_path_factory.mktemp("odd")
    caller = Caller(folder, options={"limits": False})
    caller.make_list()
    caller.create(email="ada@example.test")
    caller.emulator.control("create_program", {"name": "Onboarding"})
    kind = {
        "apiName": "orderPlaced", "name": "Order", "triggerName": "t", "filterName": "f",
        "primaryAttribute": {"apiName": "no", "name": "No"}, "attributes": [{"apiName": "amount", "name": "Amount"}],
    }  # fmt: skip
    caller.post("/rest/v1/activities/external/type.json", kind)
    caller.post("/rest/v1/activities/external/type/orderPlaced/approve.json")
    yield caller
    caller.emulator.close()


QUICK = settings(max_examples=30, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ASSET_POSTS = {
    "/rest/asset/v1/staticLists.json": ["name", "folder", "description"],
    "/rest/asset/v1/folders.json": ["name", "parent", "description"],
    "/rest/asset/v1/folder/40.json": ["name", "isArchive"],
    "/rest/asset/v1/programs.json": ["name", "folder", "type", "channel"],
    "/rest/v1/leads/1/associate.json": ["cookie"],
    "/rest/v1/leads/1/merge.json": ["leadId", "leadIds", "mergeInCRM"],
}


@pytest.mark.parametrize("path", list(ASSET_POSTS))
@given(data=st.data())
@QUICK
def test_odd_forms_get_a_documented_answer(service: Caller, path: str, data: st.DataObject) -> None:
    """M15, M49."""
    words = WORDS | st.text(max_size=8) | st.sampled_from(['{"id":12,"type":"Folder"}', '{"id":40}', "Default"])
    form = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(ASSET_POSTS[path], words)))
    check(json.loads(service.send("POST", path, form=form).body))


def check(found: dict[str, Any]) -> None:
    assert found["success"] or found["errors"][0]["code"] not in {"611", "500"}, found


@pytest.mark.parametrize("path", list(MEMBERS))
@given(data=st.data())
@QUICK
def test_odd_bodies_get_a_documented_answer(service: Caller, path: str, data: st.DataObject) -> None:
    """M17, M35."""
    body = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS[path], PARTS)) | PARTS)
    response = service.send("POST", path, body=body)
    check(json.loads(response.body))


@pytest.mark.parametrize("path", list(GETS))
@given(data=st.data())
@QUICK
def test_odd_parameters_get_a_documented_answer(service: Caller, path: str, data: st.DataObject) -> None:
    """M15, M30, M58."""
    words = WORDS | st.text(max_size=8) | st.just(service.since())
    query = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(GETS[path], words)))
    check(json.loads(service.send("POST", path, "_method=GET", form=query).body))
