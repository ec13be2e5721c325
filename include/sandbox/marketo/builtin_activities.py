"""The built-in activity types as types.json lists them (facts/marketo-api.md 8.4; M64).

One line a type: id | name | primary attribute, or nothing | attributes, each `Name:type` (string unless said) |
description (the name unless said).

Sources: types 1 to 12 name by name, order and spelling included, from a recorded types.json (airbyte's sample, 2023);
13, 22, 24, 25, 32 from section 8.4; the others from recorded rows of the same sample and Adobe's list of activity
events. Assumptions: data types that are not recorded follow the recorded values; a type whose primary attribute no
source names has none; descriptions other than of 1 to 13 are the names.
"""

from __future__ import annotations

from include.sandbox.service import Json

_TYPES = """
1|Visit Webpage|Webpage ID|Client IP Address,Query Parameters,Referrer URL,Search Engine,Search Query,User Agent,Webpage URL|User visits a web page
2|Fill Out Form|Webform ID|Client IP Address,Form Fields:text,Query Parameters,Referrer URL,User Agent,Webpage ID:integer|User fills out and submits a form on web page
3|Click Link|Link ID|Client IP Address,Query Parameters,Referrer URL,User Agent,Webpage ID:integer|User clicks link on a page
6|Send Email|Mailing ID|Campaign Run ID:integer,Choice Number:integer,Has Predictive:boolean,Step ID:integer,Test Variant:integer|Send Marketo Email to a person
7|Email Delivered|Mailing ID|Campaign Run ID:integer,Choice Number:integer,Has Predictive:boolean,Step ID:integer,Test Variant:integer|Marketo Email is delivered to a lead/contact
8|Email Bounced|Mailing ID|Campaign Run ID:integer,Category,Choice Number:integer,Details,Email,Has Predictive:boolean,Step ID:integer,Subcategory,Test Variant:integer|Marketo Email is bounced for a lead
9|Unsubscribe Email|Mailing ID|Campaign Run ID:Integer,Client IP Address,Form Fields:text,Has Predictive:boolean,Query Parameters,Referrer URL,Test Variant:integer,User Agent,Webform ID:integer,Webpage ID:integer|Person unsubscribed from Marketo Emails
10|Open Email|Mailing ID|Bot Activity Pattern,Campaign Run ID:integer,Choice Number:integer,Device,Has Predictive:boolean,Is Bot Activity:boolean,Is Mobile Device:boolean,Platform,Step ID:integer,Test Variant:integer,User Agent|User opens Marketo Email
11|Click Email|Mailing ID|Bot Activity Pattern,Campaign Run ID:integer,Choice Number:integer,Device,Is Bot Activity:boolean,Is Mobile Device:boolean,Is Predictive:boolean,Link,Link ID,Platform,Step ID:integer,Test Variant:integer,User Agent|User clicks on a link in a Marketo Email
12|New Lead||Created Date:date,Form Name,Lead Source,List Name,SFDC Type,Source Type,API Method Name,Modifying User,Request Id|New person/record is added to the lead database
13|Change Data Value|Attribute Name|New Value,Old Value,Reason,Source,API Method Name,Modifying User,Request Id|Changed attribute value for a person/record
19|Sync Lead to SFDC||Assign To|
21|Convert Lead||Assign To,Converted Status,Send Notification Email|
22|Change Score|Score Name|Change Value,New Value:integer,Old Value:integer,Reason|
23|Change Owner||Old Owner,Owner|
24|Add to List|List ID|Source|
25|Remove from List|List ID|Source|
26|SFDC Activity||Activity Owner,Description,Due Date:date,Is Task:boolean,Priority,Status,Subject|
27|Email Bounced Soft|Mailing ID|Campaign Run ID:integer,Category,Choice Number:integer,Details,Email,Step ID:integer,Subcategory|
28|Sync Lead Updates to SFDC|||
29|Delete Lead from SFDC||Delete in Marketo:boolean|
30|SFDC Activity Updated||Activity Owner,Description,Due Date:date,Is Task:boolean,Priority,Status,Subject|
31|SFDC Merge Leads||Merged,Winning Values|
32|Merge Leads|Lead ID|Merge IDs,Merge Fields,Merged in Sales:boolean,Merge Source,Master Updated:boolean|
34|Add to Opportunity|Oppty ID|Is Primary:boolean,Role|
35|Remove from Opportunity|Oppty ID||
36|Update Opportunity|Oppty ID||
37|Delete Lead|Lead ID||
38|Send Alert|Mailing ID|Send To List,Send To Owner|
39|Send Sales Email|Artifact ID|Sent by|
40|Open Sales Email|Artifact ID|Sent by,Template ID:integer|
41|Click Sales Email|Artifact ID|Link,Sent by,Template ID:integer|
42|Add to SFDC Campaign|Campaign ID|Status|
43|Remove from SFDC Campaign|Campaign ID|Status|
44|Change Status in SFDC Campaign|Campaign ID|New Status,Old Status|
45|Receive Sales Email|Artifact ID|Received by|
46|Interesting Moment|Type|Date:datetime,Source|
47|Request Campaign|Campaign ID|Source|
48|Sales Email Bounced|||
100|Change Lead Partition|New Partition ID|Old Partition ID:integer,Reason|
101|Change Revenue Stage|Model ID|New Stage ID:integer,Old Stage ID:integer,Reason|
104|Change Status in Progression|Program ID|Acquired By:boolean,New Status,New Status ID:integer,Old Status,Old Status ID:integer,Program Member ID:integer,Reason,Success:boolean|
108|Change Segment|Segmentation ID|New Segment ID:integer|
110|Call Webhook|Webhook|Error Type|
113|Add to Nurture|Program ID|Track ID:integer,Track Name|
114|Change Nurture Track|Program ID|New Track ID:integer,Previous Track ID:integer,Previous Track Name,Track Name|
115|Change Nurture Cadence|Program ID|New Nurture Cadence,Previous Nurture Cadence|
123|Change Program Member Data|Program ID|Attribute Display Name,Attribute Name,New Value,Old Value,Reason,Source|
145|Push Lead to Marketo|Program ID|Reason,Source|
155|Execute Campaign|Campaign ID|Qualified:boolean,Used Parent Campaign Token Context:boolean|
300|Sync Lead to Microsoft||Assign To,Sync As|
400|Share Content||Share Message,Social App Type ID:integer,Social Network,Webpage ID:integer|
401|Vote in Poll||Social Network,Vote Choice,Webpage ID:integer|
402|Sign Up for Referral Offer||Social App Type ID:integer,Social Network,Webpage ID:integer|
403|Achieve Goal In Referral||Social App Type ID:integer,Social Network,Webpage ID:integer|
405|Click Shared Link||Sharer ID:integer,Social App Type ID:integer,Social Network,Webpage ID:integer|
406|Win Sweepstakes||Drawing Date:date,Social Network,Webpage ID:integer|
407|Enter Sweepstakes||Social Network,Webpage ID:integer|
408|Disqualify Sweepstakes||Disqualified Reason,Social Network,Webpage ID:integer|
409|Earn Entry In Social App||Social App Type ID:integer,Social Network,Webpage ID:integer|
410|Refer to Social App||Referred Type,Social App Type ID:integer,Social Network,Webpage ID:integer|
"""  # noqa: E501

_TEXT_PRIMARY = frozenset({"Type", "Webhook"})


def _attribute(text: str) -> dict[str, Json]:
    name, _, kind = text.partition(":")
    return {"name": name, "dataType": kind or "string"}


def _record(line: str) -> dict[str, Json]:
    number, name, primary, attributes, description = line.split("|")
    body: dict[str, Json] = {"id": int(number), "name": name, "description": description or name}
    if primary:
        kind = "string" if primary in _TEXT_PRIMARY else "integer"
        body["primaryAttribute"] = {"name": primary, "dataType": kind}
    body["attributes"] = [_attribute(text) for text in attributes.split(",") if text]
    return body


BUILTIN_TYPES: list[dict[str, Json]] = [_record(line) for line in _TYPES.split("\n") if line]
