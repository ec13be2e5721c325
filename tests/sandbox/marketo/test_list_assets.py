from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, code, ids

ASSET = "/rest/asset/v1"
NOTHING = ["No assets found for the given search criteria."]


def make(marketo: Caller, name: str, **more: str) -> dict[str, Any]:
    form = {"name": name, "folder": '{"type":"Folder","id":12}', **more}
    (made,) = answer(marketo.send("POST", f"{ASSET}/staticLists.json", form=form))["result"]
    return dict(made)


def test_a_list_is_made_found_filled_and_deleted_as_recorded(marketo: Caller) -> None:
    """M50: the calls and answers of a recording of 2021, member by member."""
    nothing = marketo.get(f"{ASSET}/staticList/byName.json", name="(test) High Value")
    assert list(nothing) == ["success", "errors", "requestId", "warnings"]
    assert (nothing["success"], nothing["errors"], nothing["warnings"]) == (True, [], NOTHING)
    (folder,) = marketo.get(f"{ASSET}/folder/byName.json", name="Group Lists")["result"]
    assert folder == {
        "name": "Group Lists", "description": None, "createdAt": "2026-03-01T10:00:00Z+0000",
        "updatedAt": "2026-03-01T10:00:00Z+0000", "url": None, "folderId": {"id": 12, "type": "Folder"},
        "folderType": "List", "parent": {"id": 5, "type": "Folder"}, "path": "/Lead Database/Default/Group Lists",
        "isArchive": False, "isSystem": True, "accessZoneId": 1, "workspace": "Default", "id": 12,
    }  # fmt: skip
    made = make(marketo, "(test) High Value")
    assert list(made) == ["id", "name", "createdAt", "updatedAt", "folder", "computedUrl", "workspace"]
    assert (made["folder"], made["createdAt"]) == ({"id": 12, "type": "Folder"}, "2026-03-01T10:00:00Z+0000")
    assert made["computedUrl"].endswith(f"/#ST{made['id']}A1")
    found = marketo.get(f"{ASSET}/staticList/byName.json", name="(test) High Value")
    assert (list(found)[:5], found["warnings"], found["result"]) == (
        ["success", "errors", "requestId", "warnings", "result"], [], [made],
    )  # fmt: skip
    person, path = marketo.create(), f"/rest/v1/lists/{made['id']}/leads.json"
    assert marketo.post(path, {"input": [{"id": person}]})["result"] == [{"id": person, "status": "added"}]
    old = answer(marketo.send("POST", f"/rest/v1/list/{made['id']}/leads.json", form={"_method": "GET"}))
    assert ids(old["result"]) == [person]
    gone = marketo.post(f"{ASSET}/staticList/{made['id']}/delete.json")
    assert gone["result"] == [{"id": made["id"]}]
    assert code(marketo.get(path)) == "1013"
    assert marketo.get(f"/rest/v1/leads/{person}/listMembership.json")["result"] == []


def test_a_description_appears_when_there_is_one(marketo: Caller) -> None:
    """Vendor page Static Lists."""
    made = make(marketo, "Sync", description="for tests")
    assert (list(made)[:3], made["description"]) == (["id", "name", "description"], "for tests")


def test_a_list_is_renamed_and_described_anew(marketo: Caller) -> None:
    """Vendor page Static Lists: update."""
    made, other = make(marketo, "Sync"), make(marketo, "Other")
    path = f"{ASSET}/staticList/{made['id']}.json"
    marketo.clock.advance(60)
    (changed,) = answer(marketo.send("POST", path, form={"name": "Sync 2", "description": "x"}))["result"]
    assert (changed["name"], changed["description"]) == ("Sync 2", "x")
    assert changed["updatedAt"] == "2026-03-01T10:01:00Z+0000"
    assert code(answer(marketo.send("POST", path, form={"name": other["name"]}))) == "709"
    assert marketo.get(path)["result"] == [changed]


def test_refusals_of_the_asset_api_carry_its_envelope(marketo: Caller) -> None:
    """M10, section 3.2: 701, 702, 709, 710, 711."""
    make(marketo, "Sync")
    refused = answer(marketo.send("POST", f"{ASSET}/staticLists.json", form={"folder": "12"}))
    assert refused["errors"] == [{"code": "701", "message": "name cannot be blank"}]
    assert list(refused) == ["success", "errors", "requestId", "warnings"]
    for form, expected in (
        ({"name": "Sync", "folder": "12"}, "709"), ({"name": "A"}, "701"), ({"name": "A", "folder": "x"}, "710"),
        ({"name": "A", "folder": '{"id":12,"type":"Drawer"}'}, "711"),
    ):  # fmt: skip
        assert code(answer(marketo.send("POST", f"{ASSET}/staticLists.json", form=form))) == expected
    assert code(marketo.post(f"{ASSET}/staticList/999/delete.json")) == "702"
    assert marketo.get(f"{ASSET}/staticList/999.json")["warnings"] == NOTHING


def test_lists_are_browsed_by_folder_time_and_slice(marketo: Caller) -> None:
    """Vendor page Static Lists: browse."""
    numbers = []
    for number in range(5):
        numbers.append(make(marketo, f"List {number}")["id"])
        marketo.clock.advance(60)
    other = make(marketo, "Elsewhere", folder='{"id":77,"type":"Folder"}')["id"]
    path = f"{ASSET}/staticLists.json"
    assert ids(marketo.get(path)["result"]) == [*numbers, other]
    assert ids(marketo.get(path, maxReturn=2, offset=3)["result"]) == [numbers[3], numbers[4]]
    assert ids(marketo.get(path, folder='{"id":77,"type":"Folder"}')["result"]) == [other]
    window = {"earliestUpdatedAt": "2026-03-01T10:01:00Z", "latestUpdatedAt": "2026-03-01T10:02:00Z"}
    assert ids(marketo.get(path, **window)["result"]) == numbers[1:3]
    assert code(marketo.get(path, earliestUpdatedAt="yesterday")) == "704"
    assert "result" not in marketo.get(path, offset=10)


def test_a_list_in_a_program_carries_its_name(marketo: Caller) -> None:
    """Section 6.3."""
    program = answer(
        marketo.send("POST", f"{ASSET}/programs.json", form={
            "name": "Onboarding", "folder": '{"id":15,"type":"Folder"}', "type": "Default", "channel": "Email Blast"})
    )["result"][0]["id"]  # fmt: skip
    made = make(marketo, "In program", folder=f'{{"id":{program},"type":"Program"}}')
    assert made["folder"] == {"id": program, "type": "Program"}
    assert ids(marketo.get("/rest/v1/lists.json", programName="Onboarding")["result"]) == [made["id"]]


@pytest.mark.parametrize("way", ["form", "query"])
def test_folders_are_made_renamed_browsed_and_deleted(marketo: Caller, way: str) -> None:
    """Vendor page Folders."""
    values = {"name": "Sync", "parent": '{"id":12,"type":"Folder"}', "description": "x"}
    sent = {"form": values} if way == "form" else {"query": values}
    (made,) = answer(marketo.send("POST", f"{ASSET}/folders.json", **sent))["result"]
    assert (made["path"], made["folderType"]) == ("/Lead Database/Default/Group Lists/Sync", "List")
    path = f"{ASSET}/folder/{made['id']}"
    (changed,) = answer(marketo.send("POST", f"{path}.json", form={"type": "Folder", "name": "Sync 2"}))["result"]
    assert (changed["name"], changed["description"]) == ("Sync 2", "x")
    below = marketo.get(f"{ASSET}/folders.json", root='{"id":4,"type":"Folder"}', maxDepth=3)["result"]
    assert [one["name"] for one in below] == ["Lead Database", "Default", "Group Lists", "Sync 2"]
    make(marketo, "Inside", folder=f'{{"id":{made["id"]},"type":"Folder"}}')
    assert len(marketo.get(f"{path}/content.json", type="Folder")["result"]) == 1
    assert code(marketo.post(f"{path}/delete.json")) == "709"
    number = marketo.get(f"{ASSET}/staticList/byName.json", name="Inside")["result"][0]["id"]
    marketo.post(f"{ASSET}/staticList/{number}/delete.json")
    assert marketo.post(f"{path}/delete.json", {"type": "Folder"})["result"] == [{"id": made["id"]}]
    assert marketo.get(f"{path}.json", type="Folder")["warnings"] == NOTHING
    assert code(marketo.post(f"{ASSET}/folder/12/delete.json")) == "709"


@pytest.mark.parametrize("folder", ["12", '{"id": 12}', "{'id': 12, 'type': Folder}", '{"type":"FOLDER","id":"12"}'])
def test_a_folder_parameter_may_be_spelled_loosely(marketo: Caller, folder: str) -> None:
    """Published clients send single quotes and bare words."""
    assert make(marketo, "Sync", folder=folder)["folder"] == {"id": 12, "type": "Folder"}
