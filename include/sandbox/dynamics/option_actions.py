"""Actions on choices, and publishing (vendor reference: InsertOptionValue and its like, PublishXml)."""

from __future__ import annotations

from collections.abc import Mapping

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.metadata_bodies import label_of, wrong
from include.sandbox.dynamics.metadata_writes import change
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.payload import parse_parameters
from include.sandbox.dynamics.schema import Column, Option, Table
from include.sandbox.service import Json, Response

_COMMON = ("EntityLogicalName", "AttributeLogicalName", "OptionSetName", "Value", "Label", "Description")
_PARAMETERS = frozenset(
    {*_COMMON, "SolutionUniqueName", "ExternalValue", "MergeLabels", "StateCode", "Color", "ParentValues"}
)
_FIRST, _MOST = 100_000_000, 2**31


def _choice(call: Call, body: Mapping[str, Json]) -> tuple[Table, Column]:
    table = call.schema.tables.get(str(body.get("EntityLogicalName")))
    column = table.columns.get(str(body.get("AttributeLogicalName"))) if table is not None else None
    if table is None or column is None or not column.options:
        raise wrong("EntityLogicalName and AttributeLogicalName name no choice.")
    return table, column


def insert_option(call: Call) -> Response:
    """`InsertOptionValue`, and `InsertStatusValue` with a `StateCode`: 200 with the number of the new option."""
    action = call.path
    body = parse_parameters(call, action, _PARAMETERS)
    table, column = _choice(call, body)
    text, others = label_of(body.get("Label"))
    value = body.get("Value")
    if value is None:
        value = max([_FIRST - 1, *(option.value for option in column.options)]) + 1
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise wrong(f"The value '{value}' of an option does not fit.")
    arguments: dict[str, Json] = {"entity": table.name, "attribute": column.name, "value": value}
    arguments |= {"label": text or str(value), "labels": others}
    if body.get("StateCode") is not None:
        arguments["state"] = body["StateCode"]
    change(call, "WriteAttribute", [("add_option", arguments)])
    context = f"{call.root}$metadata#{NAMESPACE}{action}Response"
    return call.json(200, {"@odata.context": context, "NewOptionValue": value})


def update_option(call: Call) -> Response:
    """`UpdateOptionValue`: another label for an option; further languages stay with `MergeLabels`."""
    body = parse_parameters(call, "UpdateOptionValue", _PARAMETERS)
    table, column = _choice(call, body)
    option = _existing(column, body)
    text, others = label_of(body.get("Label"))
    kept = {str(lcid): label for lcid, label in option.labels} if body.get("MergeLabels") is True else {}
    changed = {**_entry(option), "label": text or option.label, "labels": kept | others}
    _replace(call, table, column, [changed if known is option else _entry(known) for known in column.options])
    return Response(204)


def delete_option(call: Call) -> Response:
    """`DeleteOptionValue`: rows keep the number."""
    body = parse_parameters(call, "DeleteOptionValue", _PARAMETERS)
    table, column = _choice(call, body)
    gone = _existing(column, body)
    _replace(call, table, column, [_entry(known) for known in column.options if known is not gone])
    return Response(204)


def _existing(column: Column, body: Mapping[str, Json]) -> Option:
    option = column.option(body.get("Value"))
    if option is None:
        raise wrong(f"The option {body.get('Value')} of '{column.name}' does not exist.")
    return option


def _entry(option: Option) -> dict[str, Json]:
    labels = {str(lcid): label for lcid, label in option.labels}
    return {
        "value": option.value,
        "label": option.label,
        "state": option.state,
        "default_status": option.default_status,
        "labels": labels,
    }


def _replace(call: Call, table: Table, column: Column, options: list[dict[str, Json]]) -> None:
    arguments = {"entity": table.name, "attribute": column.name, "changes": {"options": options}}
    change(call, "WriteAttribute", [("set_metadata", arguments)])


def publish(call: Call) -> Response:
    """`PublishXml` and `PublishAllXml`: everything is published already."""
    body = parse_parameters(call, call.path, ("ParameterXml",)) if call.body else {}
    if call.path == "PublishXml" and not isinstance(body.get("ParameterXml"), str):
        raise wrong("Required field 'ParameterXml' is missing")
    return Response(204)
