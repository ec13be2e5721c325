"""Actions and functions, and the types they use, as `$metadata` lists them (section 15, V8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.sandbox.dynamics.schema import Schema

_NOT_NULL = ' Nullable="false"'
_BULK = {"CreateMultiple": "mscrm.CreateMultipleResponse", "UpdateMultiple": "", "UpsertMultiple": ""}


@dataclass(frozen=True, slots=True)
class Operation:
    """One action or function. `parameters` are pairs of name and type; `bound` names the type it belongs to."""

    name: str
    kind: str
    parameters: tuple[tuple[str, str], ...] = ()
    returns: str = ""
    bound: str = ""

    def definition(self, schema: Schema) -> str:
        """The element in the schema; types of tables that this org lacks become the base type."""
        first = (("entity" if "Collection" not in self.bound else "entities", self.bound),) if self.bound else ()
        mark = ' IsBound="true"' if self.bound else ""
        parts = [f'<{self.kind} Name="{self.name}"{mark}>']
        for name, kind in (*first, *self.parameters):
            needed = kind in {"Edm.Boolean", "Edm.Int32"} or name in {"entity", "Target"}
            parts.append(f'<Parameter Name="{name}" Type="{_known(schema, kind)}"{_NOT_NULL if needed else ""} />')
        if self.returns:
            parts.append(f'<ReturnType Type="{_known(schema, self.returns)}" Nullable="false" />')
        return "".join([*parts, f"</{self.kind}>"])

    def imported(self) -> str:
        """The element in the container, for what is not bound."""
        if self.bound:
            return ""
        return f'<{self.kind}Import Name="{self.name}" {self.kind}="Microsoft.Dynamics.CRM.{self.name}" />'


def _known(schema: Schema, kind: str) -> str:
    inner = kind.removeprefix("Collection(").removesuffix(")")
    name = inner.removeprefix("mscrm.")
    if name in schema.tables or not inner.startswith("mscrm.") or name[0].isupper() or name == "crmbaseentity":
        return kind
    return kind.replace(inner, "mscrm.crmbaseentity")


def _complex(name: str, *properties: tuple[str, str], opened: bool = False) -> str:
    inner = "".join(f'<Property Name="{key}" Type="{kind}" />' for key, kind in properties)
    return f'<ComplexType Name="{name}"{_OPEN if opened else ""}>{inner}</ComplexType>'


def _enum(name: str, *members: str) -> str:
    inner = "".join(f'<Member Name="{member}" Value="{value}" />' for value, member in enumerate(members))
    return f'<EnumType Name="{name}">{inner}</EnumType>'


def _flags(name: str, members: Mapping[str, int]) -> str:
    inner = "".join(f'<Member Name="{member}" Value="{value}" />' for member, value in members.items())
    return f'<EnumType Name="{name}" IsFlags="true">{inner}</EnumType>'


_OPEN = ' OpenType="true"'
_PRIVILEGES = "Collection(mscrm.RolePrivilege)"
_PRIVILEGE_FUNCTIONS = (  # name, bound to, parameters
    ("RetrieveUserPrivileges", "systemuser", ()),
    ("RetrieveUserPrivilegeByPrivilegeId", "systemuser", (("PrivilegeId", "Edm.Guid"),)),
    ("RetrieveUserPrivilegeByPrivilegeName", "systemuser", (("PrivilegeName", "Edm.String"),)),
    ("RetrieveUserSetOfPrivilegesByIds", "systemuser", (("PrivilegeIds", "Collection(Edm.Guid)"),)),
    ("RetrieveUserSetOfPrivilegesByNames", "systemuser", (("PrivilegeNames", "Collection(Edm.String)"),)),
    ("RetrieveTeamPrivileges", "team", ()),
)
_ACCESS_RIGHTS = {
    "None": 0,
    "ReadAccess": 1,
    "WriteAccess": 2,
    "AppendAccess": 4,
    "AppendToAccess": 16,
    "CreateAccess": 32,
    "DeleteAccess": 65536,
    "ShareAccess": 262144,
    "AssignAccess": 524288,
}
TYPES = "".join(
    [
        _enum("EndpointAccessType", "Default", "Internet", "Intranet"),
        _enum("OrganizationState", "Enabled", "Disabled"),
        _enum("PrivilegeDepth", "Basic", "Local", "Deep", "Global", "RecordFilter"),
        _flags("AccessRights", _ACCESS_RIGHTS),
        _complex(
            "RolePrivilege",
            ("Depth", "mscrm.PrivilegeDepth"),
            ("PrivilegeId", "Edm.Guid"),
            ("BusinessUnitId", "Edm.Guid"),
            ("PrivilegeName", "Edm.String"),
            ("RecordFilterId", "Edm.Guid"),
            ("RecordFilterUniqueName", "Edm.String"),
        ),
        *(_complex(f"{name}Response", ("RolePrivileges", _PRIVILEGES)) for name, _, _ in _PRIVILEGE_FUNCTIONS),
        _complex("RetrievePrincipalAccessResponse", ("AccessRights", "mscrm.AccessRights")),
        _complex(
            "OrganizationDetail",
            ("OrganizationId", "Edm.Guid"),
            ("FriendlyName", "Edm.String"),
            ("OrganizationVersion", "Edm.String"),
            ("UniqueName", "Edm.String"),
            ("UrlName", "Edm.String"),
            ("TenantId", "Edm.String"),
            ("State", "mscrm.OrganizationState"),
            opened=True,
        ),
        _complex(
            "EntityRecordCountCollection",
            ("Count", "Edm.Int32"),
            ("Keys", "Collection(Edm.String)"),
            ("Values", "Collection(Edm.Int64)"),
        ),
        _complex(
            "PagingInfo",
            ("PageNumber", "Edm.Int32"),
            ("Count", "Edm.Int32"),
            ("ReturnTotalRecordCount", "Edm.Boolean"),
            ("PagingCookie", "Edm.String"),
        ),
        _complex("QueryBase", opened=True),
        _complex(
            "WhoAmIResponse", ("BusinessUnitId", "Edm.Guid"), ("UserId", "Edm.Guid"), ("OrganizationId", "Edm.Guid")
        ),
        _complex("RetrieveAvailableLanguagesResponse", ("LocaleIds", "Collection(Edm.Int32)")),
        _complex("RetrieveProvisionedLanguagesResponse", ("RetrieveProvisionedLanguages", "Collection(Edm.Int32)")),
        _complex("RetrieveVersionResponse", ("Version", "Edm.String")),
        _complex("RetrieveCurrentOrganizationResponse", ("Detail", "mscrm.OrganizationDetail")),
        _complex(
            "RetrieveTotalRecordCountResponse", ("EntityRecordCountCollection", "mscrm.EntityRecordCountCollection")
        ),
        _complex("CreateMultipleResponse", ("Ids", "Collection(Edm.Guid)")),
        _complex("BulkDeleteResponse", ("JobId", "Edm.Guid")),
    ]
)
OPERATIONS = (
    Operation("WhoAmI", "Function", (), "mscrm.WhoAmIResponse"),
    Operation("RetrieveAvailableLanguages", "Function", (), "mscrm.RetrieveAvailableLanguagesResponse"),
    Operation("RetrieveProvisionedLanguages", "Function", (), "mscrm.RetrieveProvisionedLanguagesResponse"),
    Operation("RetrieveVersion", "Function", (), "mscrm.RetrieveVersionResponse"),
    Operation(
        "RetrieveCurrentOrganization",
        "Function",
        (("AccessType", "mscrm.EndpointAccessType"),),
        "mscrm.RetrieveCurrentOrganizationResponse",
    ),
    Operation(
        "RetrieveTotalRecordCount",
        "Function",
        (("EntityNames", "Collection(Edm.String)"),),
        "mscrm.RetrieveTotalRecordCountResponse",
    ),
    Operation(
        "RetrieveDuplicates",
        "Function",
        (
            ("BusinessEntity", "mscrm.crmbaseentity"),
            ("MatchingEntityName", "Edm.String"),
            ("PagingInfo", "mscrm.PagingInfo"),
        ),
        "Collection(mscrm.crmbaseentity)",
    ),
    *(
        Operation(name, "Function", parameters, f"mscrm.{name}Response", f"mscrm.{kind}")
        for name, kind, parameters in _PRIVILEGE_FUNCTIONS
    ),
    *(
        Operation(
            "RetrievePrincipalAccess",
            "Function",
            (("Target", "mscrm.crmbaseentity"),),
            "mscrm.RetrievePrincipalAccessResponse",
            f"mscrm.{kind}",
        )
        for kind in ("systemuser", "team")
    ),
    Operation(
        "Merge",
        "Action",
        (
            ("Target", "mscrm.crmbaseentity"),
            ("Subordinate", "mscrm.crmbaseentity"),
            ("UpdateContent", "mscrm.crmbaseentity"),
            ("PerformParentingChecks", "Edm.Boolean"),
        ),
    ),
    Operation(
        "BulkDelete",
        "Action",
        (
            ("QuerySet", "Collection(mscrm.QueryBase)"),
            ("JobName", "Edm.String"),
            ("SendEmailNotification", "Edm.Boolean"),
            ("ToRecipients", "Collection(mscrm.crmbaseentity)"),
            ("CCRecipients", "Collection(mscrm.crmbaseentity)"),
            ("RecurrencePattern", "Edm.String"),
            ("StartDateTime", "Edm.DateTimeOffset"),
        ),
        "mscrm.BulkDeleteResponse",
    ),
    Operation(
        "QualifyLead",
        "Action",
        (
            ("CreateAccount", "Edm.Boolean"),
            ("CreateContact", "Edm.Boolean"),
            ("CreateOpportunity", "Edm.Boolean"),
            ("OpportunityCurrencyId", "mscrm.transactioncurrency"),
            ("OpportunityCustomerId", "mscrm.crmbaseentity"),
            ("SourceCampaignId", "mscrm.campaign"),
            ("Status", "Edm.Int32"),
            ("ProcessInstanceId", "mscrm.crmbaseentity"),
        ),
        "Collection(mscrm.crmbaseentity)",
        "mscrm.lead",
    ),
    *(
        Operation(name, "Action", (("Targets", f"Collection(mscrm.{table})"),), returns, f"Collection(mscrm.{table})")
        for table in ("account", "contact", "lead")
        for name, returns in _BULK.items()
    ),
)
