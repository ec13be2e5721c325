"""No request, however odd, breaks the service: every answer is one of the documented kinds, never 611.

Each example is a seed, and plain dice make its requests: Hypothesis would take longer to think of one than the
service to answer it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.sandbox.service import Json
from tests.sandbox.marketo.caller import Caller

FAMILIAR = ("email", "id", "ada@example.test", "1", "2026-03-01T00:00:00Z", "string", "amount", "Default")
NUMBERS: tuple[Json, ...] = (
    0, 1, -1, 12, 255, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**70, -(2**70),
    0.0, -0.0, 0.5, 1.0, -1.5, 1e-7, 5e-324, 2.0**53, 1e16, 1e300, -1.7976931348623157e308,
)  # fmt: skip
ALPHABETS = ((0x20, 0x7E), (0x00, 0x1F), (0x7F, 0x24F), (0x0, 0xD7FF), (0xE000, 0x10FFFF))
"""Letters, control characters, accents, and everything there is but halves of a character."""
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
WORDS = ("", "id", "email", "1", "-1", "0", "12,13", "9" * 30, "2026-03-01", "0001-01-01", "9999-12-31")
REQUESTS = 15
"""How many each example makes."""


class Dice:
    """Makes what requests are made of; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self, longest: int = 8) -> str:
        alphabets = [self.random.choice(ALPHABETS) for _ in range(self.random.randint(0, longest))]
        return "".join(chr(self.random.randint(*ends)) for ends in alphabets)

    def scalar(self) -> Json:
        kind = self.random.randrange(7)
        if kind < 2:
            return self.random.choice([None, True, False])
        if kind == 2:
            return (
                self.random.randint(-(2**70), 2**70) if self.random.random() < 0.5 else self.random.uniform(-1e9, 1e9)
            )
        return self.random.choice(NUMBERS) if kind == 3 else self.random.choice(FAMILIAR) if kind < 6 else self.text()

    def value(self, depth: int = 0) -> Json:
        """A value of JSON, of up to four levels."""
        kind = self.random.randrange(4)
        if kind < 2 or depth == 3:
            return self.scalar()
        inner = [self.value(depth + 1) for _ in range(self.random.randint(0, 2))]
        return inner if kind == 2 else {self.text(4): each for each in inner}

    def record(self) -> dict[str, Json]:
        return {name: self.value() for name in self.random.choices(RECORD_MEMBERS, k=self.random.randint(0, 5))}

    def part(self) -> Json:
        """What a member of a body may be, or a whole body."""
        kind = self.random.randrange(4)
        if kind < 2:
            return self.value() if kind else self.record()
        return [self.record() for _ in range(self.random.randint(0, 3))]

    def body(self, members: Sequence[str]) -> Json:
        return {name: self.part() for name in self.some(members)} if self.random.random() < 0.6 else self.part()

    def form(self, members: Sequence[str], words: Sequence[str]) -> dict[str, str]:
        return {
            name: self.random.choice(words) if self.random.random() < 0.85 else self.text()
            for name in self.some(members)
        }

    def some(self, members: Sequence[str]) -> list[str]:
        share = self.random.choice([0.3, 0.6, 0.9])
        return [name for name in members if self.random.random() < share]


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


ASSET_POSTS = {
    "/rest/asset/v1/staticLists.json": ["name", "folder", "description"],
    "/rest/asset/v1/folders.json": ["name", "parent", "description"],
    "/rest/asset/v1/folder/40.json": ["name", "isArchive"],
    "/rest/asset/v1/programs.json": ["name", "folder", "type", "channel"],
    "/rest/v1/leads/1/associate.json": ["cookie"],
    "/rest/v1/leads/1/merge.json": ["leadId", "leadIds", "mergeInCRM"],
}
odd = given(seed=st.integers(0, 2**32))
few = settings(max_examples=3, database=None, deadline=None)


@pytest.mark.parametrize("path", list(ASSET_POSTS))
@odd
@few
def test_odd_forms_get_a_documented_answer(service: Caller, path: str, seed: int) -> None:
    """M15, M49."""
    dice, words = Dice(seed), (*WORDS, '{"id":12,"type":"Folder"}', '{"id":40}', "Default")
    for _ in range(REQUESTS):
        form = dice.form(ASSET_POSTS[path], words)
        check(json.loads(service.send("POST", path, form=form).body), form)


def check(found: dict[str, Any], asked: object) -> None:
    assert found["success"] or found["errors"][0]["code"] not in {"611", "500"}, (asked, found)


@pytest.mark.parametrize("path", list(MEMBERS))
@odd
@few
def test_odd_bodies_get_a_documented_answer(service: Caller, path: str, seed: int) -> None:
    """M17, M35."""
    dice = Dice(seed)
    for _ in range(REQUESTS):
        body = dice.body(MEMBERS[path])
        check(json.loads(service.send("POST", path, body=body).body), body)


@pytest.mark.parametrize("path", list(GETS))
@odd
@few
def test_odd_parameters_get_a_documented_answer(service: Caller, path: str, seed: int) -> None:
    """M15, M30, M58."""
    dice, words = Dice(seed), (*WORDS, service.since())
    for _ in range(REQUESTS):
        query = dice.form(GETS[path], words)
        check(json.loads(service.send("POST", path, "_method=GET", form=query).body), query)
