"""QualifyLead: a lead becomes an account, a contact, an opportunity (section 15.1, V62)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.addresses import Key, find
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.derived import default_status
from include.sandbox.dynamics.documents import Row, exists
from include.sandbox.dynamics.errors import ServiceError, bad_payload, missing_row
from include.sandbox.dynamics.parameters import NAMESPACE, flag, row_reference, row_type
from include.sandbox.dynamics.payload import parse_parameters, reference_values
from include.sandbox.dynamics.reading import missing
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.values import parse_guid, stored
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Json, Response

_QUALIFIED = 1
_ACTION = "QualifyLead"
_PARAMETERS = frozenset(
    {"CreateAccount", "CreateContact", "CreateOpportunity", "OpportunityCurrencyId", "OpportunityCustomerId"}
    | {"SourceCampaignId", "Status", "ProcessInstanceId", "SuppressDuplicateDetection"}
)


@dataclass(slots=True)
class Qualification:
    """What the caller chose. References are pairs of table and id."""

    account: bool
    contact: bool
    opportunity: bool
    status: int
    currency: tuple[Table, str] | None = None
    customer: tuple[Table, str] | None = None
    campaign: str | None = None


def qualify_lead(call: Call, table: Table, key: Key) -> Response:
    """`POST leads(id)/Microsoft.Dynamics.CRM.QualifyLead`: 200 with one entry per created row."""
    body = parse_parameters(call, _ACTION, _PARAMETERS)
    with call.writing() as transaction:
        writer = RowWriter(call, transaction)
        lead = find(transaction.connection, table, key)
        if lead is None:
            raise missing(table, key)
        created = qualify(call, writer, lead, _chosen(call, writer, table, body))
    entries = [{"@odata.type": f"#{NAMESPACE}{row.table.name}", row.table.key: row.id} for row in created]
    context = f"{call.root}$metadata#Collection({NAMESPACE}crmbaseentity)"
    return call.json(200, {"@odata.context": context, "value": entries})


def _chosen(call: Call, writer: RowWriter, table: Table, body: Mapping[str, Json]) -> Qualification:
    account, contact, opportunity = (
        flag(_ACTION, body, f"Create{kind}") for kind in ("Account", "Contact", "Opportunity")
    )
    status = body.get("Status")
    if status is None:
        raise ServiceError(400, "0x80040203", "Required field 'Status' is missing")
    chosen = Qualification(account, contact, opportunity, int(stored(table, table.columns["statuscode"], status)))
    if body.get("OpportunityCurrencyId") is not None:
        chosen.currency = _row(call, writer, body, "OpportunityCurrencyId", ("transactioncurrency",))
    if body.get("OpportunityCustomerId") is not None:
        chosen.customer = _row(call, writer, body, "OpportunityCustomerId", ("account", "contact"))
    campaign = body.get("SourceCampaignId")
    if campaign is not None:
        chosen.campaign = parse_guid(str(campaign.get("campaignid", ""))) if row_type(campaign) == "campaign" else None
        if chosen.campaign is None:
            raise bad_payload(_ACTION, "Microsoft.OData.ODataException: 'SourceCampaignId' is no campaign.")
    return chosen


def _row(call: Call, writer: RowWriter, body: Mapping[str, Json], name: str, kinds: Iterable[str]) -> tuple[Table, str]:
    table, row_id = row_reference(call, writer.connection, _ACTION, body, name)
    if table.name not in kinds:
        detail = f"Microsoft.OData.ODataException: '{name}' must be of type {' or '.join(kinds)}."
        raise bad_payload(_ACTION, detail)
    if not exists(writer.connection, table, row_id):
        raise missing_row(table.name, row_id)
    return table, row_id


def qualify(call: Call, writer: RowWriter, lead: Row, chosen: Qualification) -> list[Row]:
    """Create what was chosen, link what is linked already, close the lead; returns the created rows.

    Raises 400 `0x80040519` for a closed lead, `0x80048408` for a status reason of another state, 403 without the
    right to create accounts (`0x80081018`) or other rows.
    """
    if lead.values.get("statecode") != 0:
        raise ServiceError(400, "0x80040519", "The lead is already closed.")
    status = _status(lead, chosen.status)
    if chosen.account and call.caller.depth("create", "account") is None:
        raise ServiceError(403, "0x80081018", "You do not have the right to create accounts from this lead.")
    created: list[Row] = []
    linked: dict[str, str | None] = {
        kind: lead.values.get(column)
        for kind, column in (("account", "parentaccountid"), ("contact", "parentcontactid"))
    }
    # Assumption: a lead that is linked to an account or contact keeps it, and that row is left as it is.
    if chosen.account and linked["account"] is None:
        created.append(_make(call, writer, lead, "account", {}))
        linked["account"] = created[-1].id
    if chosen.contact and linked["contact"] is None:
        created.append(_make(call, writer, lead, "contact", _company(call, linked["account"])))
        linked["contact"] = created[-1].id
    values: dict[str, Json] = {"statecode": _QUALIFIED, "statuscode": status}
    values |= {"parentaccountid": linked["account"], "parentcontactid": linked["contact"]}
    if chosen.opportunity:
        created.append(_make(call, writer, lead, "opportunity", _deal(call, chosen, linked)))
        values["qualifyingopportunityid"] = created[-1].id
    writer.change(lead, values)
    return created


def _status(lead: Row, status: int) -> int | None:
    # Assumption: -1 stands for the default status reason of the state (section 15.1 [I]).
    if status == -1:
        return default_status(lead.table, _QUALIFIED)
    option = lead.table.columns["statuscode"].option(status)
    if option is None or option.state != _QUALIFIED:
        text = f"{status} is not a valid status code for state code LeadState.Qualified on lead with Id {lead.id}."
        raise ServiceError(400, "0x80048408", text)
    return status


def _make(call: Call, writer: RowWriter, lead: Row, kind: str, extra: Mapping[str, Json]) -> Row:
    table = call.schema.tables[kind]
    values: dict[str, Json] = {}
    for source, name in catalog.lead_mappings()[kind].items():
        column, value = table.columns.get(name), lead.values.get(source)
        if column is not None and value is not None:
            values[name] = stored(table, column, value)
    if lead.values.get("transactioncurrencyid") is not None:
        values["transactioncurrencyid"] = lead.values["transactioncurrencyid"]
    # Assumption: the rows belong to the user who qualifies, as every row belongs to its creator (section 16.2).
    return writer.create_stored(table, {**values, "originatingleadid": lead.id, **extra})


def _company(call: Call, account: str | None) -> dict[str, Json]:
    if account is None:
        return {}
    contact = call.schema.tables["contact"]
    return reference_values(contact, contact.columns["parentcustomerid"], "account", account)


def _deal(call: Call, chosen: Qualification, linked: Mapping[str, str | None]) -> dict[str, Json]:
    table = call.schema.tables["opportunity"]
    values: dict[str, Json] = {"parentaccountid": linked["account"], "parentcontactid": linked["contact"]}
    if chosen.customer is not None:
        customer: tuple[str, str] | None = (chosen.customer[0].name, chosen.customer[1])
    else:
        # Assumption: without a choice the account is the customer, or else the contact.
        customer = next(((kind, row_id) for kind, row_id in linked.items() if row_id is not None), None)
    if customer is not None:
        values |= reference_values(table, table.columns["customerid"], *customer)
    if chosen.currency is not None:
        values["transactioncurrencyid"] = chosen.currency[1]
    if chosen.campaign is not None:
        values["campaignid"] = chosen.campaign
    return {name: value for name, value in values.items() if name in table.columns and value is not None}
