"""What a Marketo and a Dynamics without extras say of the default fields (marketo-api §4.4, dataverse-api §14)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from include.leadsync.model import DynamicsAttribute, Entity, MarketoField, Option

_MARKETO = {
    "string": "salutation firstName middleName lastName title city state country postalCode company leadSource rating"
    " leadStatus",
    "email": "email",
    "phone": "phone mobilePhone fax",
    "text": "address mktoPersonNotes",
    "currency": "annualRevenue",
    "boolean": "doNotCall unsubscribed",
    "integer": "leadScore priority relativeScore relativeUrgency",
}
_TEXTS = {
    "salutation": 100,
    "firstname": 50,
    "middlename": 50,
    "lastname": 50,
    "emailaddress1": 100,
    "jobtitle": 100,
    "telephone1": 50,
    "telephone2": 50,
    "mobilephone": 20,
    "fax": 50,
    "address1_line1": 250,
    "address1_line2": 250,
    "address1_line3": 250,
    "address1_city": 80,
    "address1_stateorprovince": 50,
    "address1_country": 80,
    "address1_postalcode": 20,
    "companyname": 100,
    "subject": 300,
}
_FLAGS = "donotphone donotbulkemail donotemail donotsendmm donotfax"
_CHOICES = {
    "leadsourcecode": ("Advertisement", "Employee Referral", "Web"),
    "leadqualitycode": ("Hot", "Warm", "Cold"),
    "preferredcontactmethodcode": ("Any", "Email", "Phone"),
}


def marketo_fields(*more: MarketoField) -> list[MarketoField]:
    """Marketo's own fields that the default map names, and `more`."""
    names = [(name, kind) for kind, listed in _MARKETO.items() for name in listed.split()]
    own = [
        MarketoField(number, name, name, kind, None if kind in {"text", "currency", "boolean", "integer"} else 255)
        for number, (name, kind) in enumerate(names, start=1)
    ]
    return [*own, MarketoField(131, "updatedAt", "Updated At", "datetime", read_only=True), *more]


def column(name: str, kind: str, **facts: Any) -> DynamicsAttribute:
    return DynamicsAttribute(Entity.LEAD, name, kind, name, **facts)


def _columns() -> list[DynamicsAttribute]:
    return [
        *(column(name, "String", max_length=length) for name, length in _TEXTS.items()),
        *(column(name, "Boolean") for name in _FLAGS.split()),
        *(
            column(name, "Picklist", options=tuple(Option(n, label) for n, label in enumerate(labels, start=1)))
            for name, labels in _CHOICES.items()
        ),
        column("description", "Memo", max_length=2000),
        column("revenue", "Money", precision=2),
        column("statecode", "State", options=(Option(0, "Open"), Option(1, "Qualified"))),
        column("statuscode", "Status", options=(Option(1, "New"), Option(2, "Contacted"))),
        column("createdon", "DateTime", date_behavior="UserLocal", creatable=False, updatable=False),
    ]


def dynamics_attributes(*more: DynamicsAttribute) -> dict[Entity, list[DynamicsAttribute]]:
    """Columns of both tables; `more` is added to, or takes the place of, lead columns."""
    lead = {attribute.name: attribute for attribute in (*_columns(), *more)}
    contact = [replace(attribute, entity=Entity.CONTACT) for attribute in _columns()]
    return {Entity.LEAD: list(lead.values()), Entity.CONTACT: contact}
