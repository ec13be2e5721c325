"""What companies, opportunities, roles, sales persons and named accounts look like.

Facts: marketo-api.md 6.3 and the vendor pages Companies, Opportunities, Opportunity Roles, Sales Persons and
Named Accounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from include.sandbox.marketo.catalog import TEXT_TYPES, Field
from include.sandbox.marketo.identity import Permission
from include.sandbox.service import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """One object type. `fixed` are fields that only the service or the first write sets."""

    path: str
    name: str
    display: str
    id_field: str
    dedupe: tuple[str, ...]
    searchable: tuple[str, ...]
    fields: tuple[Field, ...]
    fixed: frozenset[str]
    read: Permission
    write: Permission
    owned_by_crm: bool = True
    schema: bool = True
    """Whether it has schema endpoints."""

    @property
    def system(self) -> frozenset[str]:
        """Fields that the service keeps."""
        return frozenset({self.id_field, "createdAt", "updatedAt"})

    @property
    def closed(self) -> frozenset[str]:
        """Fields that no call may send: the key is sent, but never changed."""
        return self.fixed - frozenset(self.dedupe)

    def field(self, name: str) -> Field | None:
        """A field by its name."""
        return next((one for one in self.fields if one.name == name), None)

    def alias(self, name: str) -> tuple[str, ...]:
        """The fields that a filterType stands for; none when it is not searchable."""
        if name == "idField":
            return (self.id_field,)
        if name == "dedupeFields":
            return self.dedupe
        return (name,) if name in self.searchable else ()

    def described(self, *, crm: bool, created: str) -> dict[str, Json]:
        """The describe object, `crm` telling whether a native sync owns it."""
        compound = [list(self.dedupe)] if len(self.dedupe) > 1 else []
        fields = [
            {"name": one.name, "displayName": one.display, "dataType": one.data_type,
             **({"length": one.length} if one.length else {}), "updateable": one.name not in self.fixed,
             "crmManaged": crm and self.owned_by_crm}
            for one in self.fields
        ]  # fmt: skip
        return {
            "name": self.name, "displayName": self.display, "description": f"{self.display} object",
            "createdAt": created, "updatedAt": created, "idField": self.id_field, "dedupeFields": list(self.dedupe),
            "searchableFields": [*compound, *([name] for name in self.searchable)], "fields": fields,
        }  # fmt: skip


def _fields(text: str) -> tuple[Field, ...]:
    """One field a line: name | display name | type | length."""
    rows = (line.strip().split("|") for line in text.strip().split("\n"))
    return tuple(
        Field(0, name, display, kind, int(length) if length else None, html_encoded=kind in TEXT_TYPES)
        for name, display, kind, length in rows
    )


def _fixed(*names: str) -> frozenset[str]:
    return frozenset({"id", "marketoGUID", "createdAt", "updatedAt", *names})


_NUMBERED = """
id|Id|integer|
createdAt|Created At|datetime|
updatedAt|Updated At|datetime|
"""
_MARKED = """
marketoGUID|Marketo GUID|string|36
createdAt|Created At|datetime|
updatedAt|Updated At|datetime|
"""
_COMPANY = """
externalCompanyId|External Company Id|string|100
company|Company Name|string|255
site|Site|string|255
billingStreet|Billing Address|text|
billingCity|Billing City|string|255
billingState|Billing State|string|255
billingCountry|Billing Country|string|255
billingPostalCode|Billing Postal Code|string|255
website|Website|url|255
mainPhone|Main Phone|string|255
annualRevenue|Annual Revenue|currency|
numberOfEmployees|Num Employees|integer|
industry|Industry|string|255
sicCode|SIC Code|string|40
companyNotes|Company Notes|text|
externalSalesPersonId|External Sales Person Id|string|255
"""
_OPPORTUNITY = """
externalOpportunityId|External Opportunity Id|string|50
name|Name|string|255
description|Description|string|2000
type|Type|string|255
stage|Stage|string|255
amount|Amount|currency|
expectedRevenue|Expected Revenue|currency|
probability|Probability|integer|
quantity|Quantity|float|
fiscal|Fiscal|string|255
fiscalQuarter|Fiscal Quarter|integer|
fiscalYear|Fiscal Year|integer|
forecastCategoryName|Forecast Category Name|string|255
isClosed|Is Closed|boolean|
isWon|Is Won|boolean|
nextStep|Next Step|string|255
source|Source|string|255
lastActivityDate|Last Activity Date|date|
closeDate|Close Date|date|
externalCreatedDate|External Created Date|datetime|
externalCompanyId|External Company Id|string|100
externalSalesPersonId|External Sales Person Id|string|255
"""
_ROLE = """
externalOpportunityId|External Opportunity Id|string|50
leadId|Lead Id|integer|
role|Role|string|50
isPrimary|Is Primary|boolean|
externalCreatedDate|External Created Date|datetime|
"""
_SALES_PERSON = """
externalSalesPersonId|External Sales Person Id|string|255
email|Email|string|255
fax|Fax|string|255
firstName|First Name|string|255
lastName|Last Name|string|255
mobilePhone|Mobile Phone|string|255
phone|Phone|string|255
title|Title|string|255
"""
_NAMED_ACCOUNT = """
name|Name|string|255
accountOwnerId|Account Owner Id|integer|
annualRevenue|Annual Revenue|float|
city|City|string|255
country|Country|string|255
domainName|Domain Name|string|255
industry|Industry|string|255
logoUrl|Logo Url|string|255
membershipCount|Membership Count|integer|
numberOfEmployees|Number Of Employees|integer|
opptyAmount|Oppty Amount|float|
opptyCount|Oppty Count|integer|
score1|Score 1|integer|
sicCode|SIC Code|string|255
state|State|string|255
"""

KINDS: tuple[Kind, ...] = (
    Kind("companies", "Company", "Company", "id", ("externalCompanyId",), ("externalCompanyId", "id", "company"),
         _fields(_NUMBERED + _COMPANY.lstrip()), _fixed("externalCompanyId"),
         Permission.READ_COMPANY, Permission.WRITE_COMPANY),
    Kind("opportunities", "opportunity", "Opportunity", "marketoGUID", ("externalOpportunityId",),
         ("externalOpportunityId", "marketoGUID"), _fields(_MARKED + _OPPORTUNITY.lstrip()),
         _fixed("externalOpportunityId"), Permission.READ_OPPORTUNITY, Permission.WRITE_OPPORTUNITY),
    Kind("opportunities/roles", "opportunityRole", "Opportunity Role", "marketoGUID",
         ("externalOpportunityId", "leadId", "role"), ("marketoGUID", "leadId", "externalOpportunityId"),
         _fields(_MARKED + _ROLE.lstrip()), _fixed("externalOpportunityId", "leadId", "role"),
         Permission.READ_OPPORTUNITY, Permission.WRITE_OPPORTUNITY, schema=False),
    Kind("salespersons", "SalesPerson", "Sales Person", "id", ("externalSalesPersonId",),
         ("email", "id", "externalSalesPersonId"), _fields(_NUMBERED + _SALES_PERSON.lstrip()),
         _fixed("externalSalesPersonId"), Permission.READ_SALES_PERSON, Permission.WRITE_SALES_PERSON, schema=False),
    Kind("namedaccounts", "namedAccount", "Named Account", "marketoGUID", ("name",), ("name", "marketoGUID"),
         _fields(_MARKED + _NAMED_ACCOUNT.lstrip()), _fixed("name", "membershipCount", "opptyAmount", "opptyCount"),
         Permission.READ_NAMED_ACCOUNT, Permission.WRITE_NAMED_ACCOUNT, owned_by_crm=False),
)  # fmt: skip


def schema_of(fields: Iterable[Field]) -> list[dict[str, Json]]:
    """Fields as the schema endpoints show them."""
    return [
        {"displayName": one.display, "name": one.name, "description": None, "dataType": one.data_type,
         **({"length": one.length} if one.length else {}), "isHidden": False,
         "isHtmlEncodingInEmail": one.html_encoded, "isSensitive": False, "isCustom": False, "isApiCreated": False}
        for one in fields
    ]  # fmt: skip
