"""Pairs of records that belong together: a Marketo person and a Dynamics lead or contact.

The two records of a linked pair are equal in canonical form on every field of the default map.
Pair number *i* of a seed is the same in every slice, on every machine and Python version: all
choices come from one SHAKE-128 digest of the seed and the number, none from `random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.sandbox.people.companies import LOCALES, Company, companies, employers, notes
from include.sandbox.people.dice import Dice
from include.sandbox.people.locales import Locale
from include.sandbox.service import Json

Record = dict[str, Json]

FIRST_PERSON_ID = 1001
KINDS = ("linked", "person only", "record only", "unlinked twins")

LEAD_SOURCES = {
    1: "Advertisement",
    2: "Employee Referral",
    3: "External Referral",
    4: "Partner",
    5: "Public Relations",
    6: "Seminar",
    7: "Trade Show",
    8: "Web",
    9: "Word of Mouth",
    10: "Other",
}
RATINGS = {1: "Hot", 2: "Warm", 3: "Cold"}
CONTACT_METHODS = {1: "Any", 2: "Email", 3: "Phone", 4: "Fax", 5: "Mail"}
# (statecode, its label, statuscode, its label). Qualified is left out: it means a conversion.
LEAD_STATES = (
    *((0, "Open", 1, "New"),) * 6,
    *((0, "Open", 2, "Contacted"),) * 4,
    (2, "Disqualified", 4, "Lost"),
    (2, "Disqualified", 5, "Cannot Contact"),
    (2, "Disqualified", 6, "No Longer Interested"),
    (2, "Disqualified", 7, "Canceled"),
)
CONTACT_STATES = (*((0, "Active", 1, "Active"),) * 24, (1, "Inactive", 2, "Inactive"))

# Marketo field → Dynamics column, where both store the same text.
TEXTS = {
    "salutation": "salutation",
    "firstName": "firstname",
    "middleName": "middlename",
    "lastName": "lastname",
    "email": "emailaddress1",
    "title": "jobtitle",
    "phone": "telephone1",
    "mobilePhone": "mobilephone",
    "address": "address1_line1",
    "city": "address1_city",
    "state": "address1_stateorprovince",
    "country": "address1_country",
    "postalCode": "address1_postalcode",
    "mktoPersonNotes": "description",
    "microsoftAddress2": "address1_line2",
    "microsoftAddress3": "address1_line3",
    "microsoftHomePhone": "telephone2",
}
LEAD_TEXTS = {"fax": "fax", "company": "companyname", "microsoftTopic": "subject"}
FLAGS = {
    "doNotCall": "donotphone",
    "unsubscribed": "donotbulkemail",
    "microsoftDoNotEmail": "donotemail",
    "microsoftDoNotFax": "donotfax",
    "microsoftDoNotSendMarketingMaterial": "donotsendmm",
}

_METHOD = ("microsoftPreferredMethodOfContact", "preferredcontactmethodcode")
_WEIGHTED = tuple(locale for locale in LOCALES for _ in range(locale.weight))
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_HOURS = 57_000  # to the middle of 2026


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair. `person` or `record` is None where the kind says so; `table` is lead or contact."""

    index: int
    kind: str
    table: str
    person: Record | None
    record: Record | None
    company: Company


def people(
    seed: int, count: int, *, start: int = 0, linked: float = 1.0, contacts: float = 0.4, with_ids: bool = True
) -> Iterator[Pair]:
    """Pairs `start` to `start + count - 1` of a seed, one at a time.

    Args:
        seed: Any whole number; another seed is another population.
        count: How many pairs.
        start: The first pair's index.
        linked: Share of linked pairs; the others are a person alone, a record alone, or two
            records with one e-mail address and no link.
        contacts: Share of contacts; the others are leads.
        with_ids: Whether persons carry the Marketo id `FIRST_PERSON_ID + index`.
    """
    key = f"leadsync-people:{seed}:".encode()
    owners = account_ids(seed)
    for index in range(start, start + count):
        yield _pair(Dice(key, index), index, linked, contacts, with_ids, owners)


def accounts(seed: int) -> Iterator[Record]:
    """The account rows that the contacts of a seed belong to."""
    created = _stamp(_EPOCH)
    for company, guid in zip(companies(), account_ids(seed), strict=True):
        yield {
            "accountid": guid,
            "name": company.name,
            "address1_line1": company.street,
            "address1_city": company.city.name,
            "address1_stateorprovince": company.city.state,
            "address1_country": company.city.country,
            "websiteurl": f"https://www.{company.domain}",
            "statecode": 0,
            "statuscode": 1,
            "createdon": created,
            "modifiedon": created,
        }


def account_ids(seed: int) -> tuple[str, ...]:
    """The account keys of a seed, in the order of `companies()`."""
    key = f"leadsync-accounts:{seed}:".encode()
    return tuple(Dice(key, company.number).guid for company in companies())


def _pair(dice: Dice, index: int, linked: float, contacts: float, with_ids: bool, owners: tuple[str, ...]) -> Pair:
    is_linked, is_contact, other = dice.chance(linked), dice.chance(contacts), dice.below(5)
    kind = "linked" if is_linked else KINDS[(1, 1, 2, 2, 3)[other]]
    company = dice.pick(employers(dice.pick(_WEIGHTED)))
    texts = _texts(dice, index, company)
    created = _EPOCH + timedelta(hours=dice.below(_HOURS), seconds=dice.below(3600))
    changed = created + timedelta(minutes=dice.below(40_000))
    table = "contact" if is_contact else "lead"
    record: Record = {f"{table}id": dice.guid, "createdon": _stamp(created), "modifiedon": _stamp(changed)}
    person: Record = {"createdAt": _stamp(created + timedelta(minutes=5)), "updatedAt": _stamp(changed)}
    if with_ids:
        person["id"] = FIRST_PERSON_ID + index
    _put_texts(person, record, texts, TEXTS)
    _put_flags(dice, person, record)
    _put_choice(
        dice, person, record, ("microsoftPreferredMethodOfContact", "preferredcontactmethodcode"), CONTACT_METHODS
    )
    if is_contact:
        # The company of a contact is its account, not a field of the default map.
        record["parentcustomerid"] = owners[company.number]
        person["company"] = company.name
    else:
        _put_lead(dice, person, record, texts, company)
    _put_state(dice.pick(CONTACT_STATES if is_contact else LEAD_STATES), person, record)
    if kind == "linked":
        _link(person, record, table)
    else:
        _unlink(person)
    if kind == "unlinked twins":
        person["title"] = dice.pick(company.locale.titles)
    return Pair(
        index,
        kind,
        table,
        None if kind == "record only" else person,
        None if kind == "person only" else record,
        company,
    )


def _texts(dice: Dice, index: int, company: Company) -> dict[str, str | None]:
    locale = company.locale
    given, family = dice.pick(locale.given), dice.pick(locale.family)
    number = dice.below(180) + 1

    def maybe(share: float, text: str) -> str | None:
        return text if dice.chance(share) else None

    return {
        "salutation": maybe(0.6, dice.pick(locale.salutations)),
        "firstName": maybe(0.96, given[0]),
        "middleName": maybe(0.12, dice.pick(locale.middle)),
        "lastName": family[0],
        "email": f"{given[1]}.{family[1]}{index}@{company.domain}",
        "title": maybe(0.85, dice.pick(locale.titles)),
        "phone": maybe(0.8, dice.digits(locale.phone)),
        "mobilePhone": maybe(0.45, dice.digits(locale.mobile)),
        "fax": maybe(0.15, dice.digits(locale.phone)),
        "address": maybe(0.7, locale.street.format(street=dice.pick(locale.streets), number=number)),
        "city": maybe(0.9, company.city.name),
        "state": company.city.state if dice.chance(0.7) else None,
        "country": maybe(0.95, company.city.country),
        "postalCode": maybe(0.75, dice.digits(company.city.postal)),
        "mktoPersonNotes": maybe(0.3, dice.pick(notes(locale))),
        "microsoftAddress2": maybe(0.2, dice.pick(locale.second_lines)),
        "microsoftAddress3": maybe(0.04, dice.pick(locale.second_lines)),
        "microsoftHomePhone": maybe(0.1, dice.digits(locale.phone)),
    }


def _put_texts(person: Record, record: Record, texts: Mapping[str, Json], pairs: Mapping[str, str]) -> None:
    for field, column in pairs.items():
        text = texts[field]
        if text is not None:
            person[field] = text
            record[column] = text


def _put_flags(dice: Dice, person: Record, record: Record) -> None:
    for field, column in FLAGS.items():
        value = dice.chance(0.07)
        record[column] = value
        # Marketo's boolean is null until somebody sets it; a null reads as false (DECISIONS 7).
        if value or dice.chance(0.5):
            person[field] = value


def _put_choice(
    dice: Dice, person: Record, record: Record, names: tuple[str, str], options: Mapping[int, str], share: float = 0.8
) -> None:
    number = 1 + dice.below(len(options))
    if dice.chance(share):
        person[names[0]] = options[number]
        record[names[1]] = number
    else:
        record[names[1]] = None  # said, since some of these columns have a default


def _put_lead(dice: Dice, person: Record, record: Record, texts: dict[str, str | None], company: Company) -> None:
    locale: Locale = company.locale
    texts["company"] = company.name if dice.chance(0.97) else None
    texts["microsoftTopic"] = f"{dice.pick(locale.topics)} – {company.name}"
    _put_texts(person, record, texts, LEAD_TEXTS)
    _put_choice(dice, person, record, ("leadSource", "leadsourcecode"), LEAD_SOURCES)
    _put_choice(dice, person, record, ("rating", "leadqualitycode"), RATINGS, 0.9)
    whole, cents, has_revenue = dice.below(60_000), dice.below(100), dice.chance(0.5)
    if has_revenue:
        # Thousands mostly, and amounts with cents: 34.66 must come back as 34.66.
        revenue = whole * 1000 if cents < 60 else whole + cents / 100
        person["annualRevenue"] = revenue
        record["revenue"] = revenue


def _put_state(state: tuple[int, str, int, str], person: Record, record: Record) -> None:
    record["statecode"], person["leadStatus"] = state[0], state[1]
    record["statuscode"], person["microsoftStatusReason"] = state[2], state[3]


def _link(person: Record, record: Record, table: str) -> None:
    person["microsoftId"] = record[f"{table}id"]
    person["microsoftType"] = table.capitalize()
    person["microsoftCreatedDate"] = record["createdon"]
    person["microsoftIsDeleted"] = False


def _unlink(person: Record) -> None:
    for field in ("leadStatus", "microsoftStatusReason"):
        del person[field]


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
