"""Each mistake in an entry of the field map of leadsync.yaml gets a sentence of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import lead_with, mistakes


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            "city: {dynamics: address1_city, type: string, optionl: true}",
            (
                "city.optionl: found the unknown key 'optionl'; expected one of: dynamics, type,"
                " direction, winner, consent, shows, outbound_on_create_only, outbound_on_update_only,"
                " inbound_write_once, default_on_create, aliases, optional, setup;"
                " did you mean 'optional'?"
            ),
        ),
        (
            "city: {type: string}",
            "city.dynamics: found nothing; expected the key 'dynamics'",
        ),
        (
            "city: {dynamics: address1_city, type: strng}",
            (
                "city.type: found 'strng'; expected one of: string, email, phone, url, text, integer,"
                " decimal, money, boolean, date, datetime, choice, multi_choice, lookup; did you mean 'string'?"
            ),
        ),
        (
            "city: {dynamics: address1_city, type: string, direction: outbond}",
            ("city.direction: found 'outbond'; expected one of: both, inbound, outbound; did you mean 'outbound'?"),
        ),
        (
            "city: {dynamics: address1_city, type: string, winner: newest}",
            ("city.winner: found 'newest'; expected one of: by_type, marketo, dynamics, never_blank, opt_out_wins"),
        ),
        (
            "city: {dynamics: Address1_City, type: string}",
            (
                "city.dynamics: found 'Address1_City'; expected a Dynamics logical name:"
                " lower-case letters, digits and underscores, a letter first"
            ),
        ),
        (
            "city: {dynamics: address1_city, type: string, optional: yes}",
            "city.optional: found 'yes'; expected true or false, without quotes",
        ),
        (
            "city: address1_city",
            "city: found 'address1_city'; expected keys with values",
        ),
        (
            "rating: {dynamics: leadqualitycode, type: choice, aliases: {Hot: warm}}",
            "rating.aliases.Hot: found 'warm'; expected a list: [one, two]",
        ),
        (
            "rating: {dynamics: leadqualitycode, type: choice, aliases: {Hot: [1]}}",
            "rating.aliases.Hot.0: found 1; expected a text",
        ),
        (
            "firstName: {dynamics: nickname, type: string}",
            ("firstName: found the Marketo field firstName a second time (first in line 3); expected each key once"),
        ),
        (
            "FIRSTNAME: {dynamics: nickname, type: string}",
            (
                "FIRSTNAME: found the Marketo field FIRSTNAME a second time"
                " (first as firstName); expected each Marketo field once"
            ),
        ),
        (
            "organisation: {dynamics: companyname, type: string}",
            (
                "organisation.dynamics: found companyname, which company writes already;"
                " expected one outbound field per attribute; make the other `direction: inbound`"
            ),
        ),
        (
            "id: {dynamics: new_marketoid, type: integer, direction: outbound}",
            ("id: found the name 'id'; expected another field; both ids are kept by the link itself"),
        ),
        (
            "Job Title: {dynamics: jobtitle, type: string}",
            (
                "Job Title: found the name 'Job Title'; expected a Marketo REST name:"
                " letters, digits and underscores, a letter first"
            ),
        ),
        (
            "microsoftType: {dynamics: new_type, type: string}",
            (
                "microsoftType: found the system field microsoftType; expected no entry:"
                " the sync itself keeps this field"
            ),
        ),
        (
            "microsoftCreatedDate: {dynamics: createdon, type: datetime}",
            ("microsoftCreatedDate: found both from createdon; expected direction inbound from createdon (R9)"),
        ),
        (
            "city: {dynamics: address1_city, type: string, consent: true}",
            ("city.consent: found consent on a string field; expected consent only on boolean fields"),
        ),
        (
            "city: {dynamics: address1_city, type: string, winner: opt_out_wins}",
            ("city.winner: found opt_out_wins on a string field; expected opt_out_wins only on boolean fields"),
        ),
        (
            "doNotCall: {dynamics: donotphone, type: boolean, winner: never_blank}",
            (
                "doNotCall.winner: found never_blank on a boolean field; expected another"
                " winner: an empty boolean is false, never blank (D62)"
            ),
        ),
        (
            "city: {dynamics: address1_city, type: string, direction: inbound, winner: marketo}",
            (
                "city.winner: found a winner on an inbound field; expected no winner: only one"
                " side may change this field"
            ),
        ),
        (
            "owner: {dynamics: ownerid, type: lookup}",
            ("owner.direction: found both; expected inbound: a look-up is read as its name and never written (D56)"),
        ),
        (
            "city: {dynamics: address1_city, type: string, aliases: {Rome: [Roma]}}",
            ("city.aliases: found aliases on a string field; expected aliases only on choice and multi_choice fields"),
        ),
        (
            "rating: {dynamics: leadqualitycode, type: choice, aliases: {Hot: [top], Warm: [Top]}}",
            ("rating.aliases: found 'Top' for both 'Hot' and 'Warm'; expected each spelling for one label"),
        ),
        (
            "notes: {dynamics: description, type: text, setup: Notes}",
            (
                "notes.setup: found setup of a text area; expected no `setup`: Marketo's API"
                " cannot create text areas, an admin can"
            ),
        ),
        (
            "source: {dynamics: leadsourcecode, type: choice, direction: inbound, outbound_on_create_only: true}",
            (
                "source.outbound_on_create_only: found an outbound setting on an inbound field;"
                " expected direction both or outbound, or not this key"
            ),
        ),
        (
            "topic: {dynamics: subject, type: string, default_on_create: '{compny}'}",
            (
                "topic.default_on_create: found the unknown field {compny}; expected names of"
                " other fields of the same entity in braces"
            ),
        ),
        (
            "topic: {dynamics: subject, type: string, default_on_create: '{topic}'}",
            (
                "topic.default_on_create: found the unknown field {topic}; expected names of"
                " other fields of the same entity in braces"
            ),
        ),
        (
            "topic: {dynamics: subject, type: string, default_on_create: 'a { b'}",
            (
                "topic.default_on_create: found 'a { b'; expected field names in pairs of"
                " braces, as in '{firstName} {lastName}'"
            ),
        ),
    ],
)
def test_a_wrong_entry_gets_its_own_sentence(tmp_path: Path, entry: str, sentence: str) -> None:
    assert mistakes(lead_with(tmp_path, entry)) == [f"leadsync.yaml:5: fields.lead.{sentence}"]
