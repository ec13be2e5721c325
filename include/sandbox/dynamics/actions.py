"""Actions by name, other than those on many rows at once (section 15)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from include.sandbox.dynamics.addresses import Key
from include.sandbox.dynamics.bulk_delete import bulk_delete
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.merging import merge
from include.sandbox.dynamics.metadata_writes import create_tables
from include.sandbox.dynamics.option_actions import delete_option, insert_option, publish, update_option
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.qualifying import qualify_lead
from include.sandbox.dynamics.schema import Table
from include.sandbox.service import Response

UNBOUND_ACTIONS: Mapping[str, Callable[[Call], Response]] = {
    "Merge": merge,
    "BulkDelete": bulk_delete,
    "CreateEntities": create_tables,
    "InsertOptionValue": insert_option,
    "InsertStatusValue": insert_option,
    "UpdateOptionValue": update_option,
    "DeleteOptionValue": delete_option,
    "PublishXml": publish,
    "PublishAllXml": publish,
}
BOUND_ACTIONS: Mapping[tuple[str, str], Callable[[Call, Table, Key], Response]] = {
    ("lead", f"{NAMESPACE}QualifyLead"): qualify_lead,
}
