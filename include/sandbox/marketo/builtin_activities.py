"""The built-in activity types as types.json lists them (facts/marketo-api.md 8.4; M64).

One line a type: id | name | primary attribute, or nothing | attributes, each `Name:type` (string unless said).
Where no recording names the attributes of a type, the line has none (assumption: fewer, never invented ones).
"""

from __future__ import annotations

from include.sandbox.service import Json

_TYPES = """
1|Visit Webpage|Webpage ID|
2|Fill Out Form|Webform ID|
3|Click Link|Link ID|
6|Send Email|Mailing ID|
7|Email Delivered|Mailing ID|
8|Email Bounced|Mailing ID|
9|Unsubscribe Email|Mailing ID|
10|Open Email|Mailing ID|
11|Click Email|Mailing ID|
12|New Lead||Created Date:date,Form Name,Lead Source,List Name,SFDC Type,Source Type,API Method Name,Modifying User,Request Id
13|Change Data Value|Attribute Name|New Value,Old Value,Reason,Source,API Method Name,Modifying User,Request Id
19|Sync Lead to SFDC||
21|Convert Lead||
22|Change Score|Score Name|Change Value,New Value:integer,Old Value:integer,Reason
23|Change Owner||
24|Add to List|List ID|Source
25|Remove from List|List ID|Source
26|SFDC Activity||
27|Email Bounced Soft|Mailing ID|
28|Sync Lead Updates to SFDC||
29|Delete Lead from SFDC||
30|SFDC Activity Updated||
31|SFDC Merge Leads||
32|Merge Leads|Lead ID|Merge IDs,Merge Fields,Merged in Sales:boolean,Merge Source,Master Updated:boolean
34|Add to Opportunity|Opportunity ID|
35|Remove from Opportunity|Opportunity ID|
36|Update Opportunity|Opportunity ID|
37|Delete Lead|Lead ID|
38|Send Alert|Mailing ID|
39|Send Sales Email||
40|Open Sales Email||
41|Click Sales Email||
42|Add to SFDC Campaign||
43|Remove from SFDC Campaign||
44|Change Status in SFDC Campaign||
45|Receive Sales Email||
46|Interesting Moment|Type|
47|Request Campaign|Campaign ID|Source
48|Sales Email Bounced||
100|Change Lead Partition|New Partition ID|Source
101|Change Revenue Stage|Model ID|
104|Change Status in Progression|Program ID|
108|Change Segment|Segmentation ID|
110|Call Webhook|Webhook|
113|Add to Nurture|Program ID|
114|Change Nurture Track|Program ID|
115|Change Nurture Cadence|Program ID|
123|Change Program Member Data|Program ID|
145|Push Lead to Marketo|Program ID|Source,Reason
155|Execute Campaign|Campaign ID|
300|Sync Lead to Microsoft||Assign To,Sync As
"""  # noqa: E501

_DESCRIPTIONS = {
    "New Lead": "New person/record is added to the lead database",
    "Change Data Value": "Changed attribute value for a person/record",
}


def _attribute(text: str) -> dict[str, Json]:
    name, _, kind = text.partition(":")
    return {"name": name, "dataType": kind or "string"}


def _record(line: str) -> dict[str, Json]:
    number, name, primary, attributes = line.split("|")
    body: dict[str, Json] = {"id": int(number), "name": name, "description": _DESCRIPTIONS.get(name, name)}
    if primary:
        kind = "string" if name == "Interesting Moment" else "integer"
        body["primaryAttribute"] = {"name": primary, "dataType": kind}
    body["attributes"] = [_attribute(text) for text in attributes.split(",") if text]
    return body


BUILTIN_TYPES: list[dict[str, Json]] = [_record(line) for line in _TYPES.split("\n") if line]
BUILTIN_IDS = frozenset(body["id"] for body in BUILTIN_TYPES)
