"""Each mistake in the other sections of leadsync.yaml gets a sentence of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import FIELDS, mistakes, write


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            "polices: {on_invalid: field}",
            (
                ":7: polices: found the unknown key 'polices'; expected one of: fields, language,"
                " metadata_minutes, marketo, limits, filter, backfill, policies, requests, creation, lifecycle,"
                " alerts, batches, retention; did you mean 'policies'?"
            ),
        ),
        (
            "policies: {on_invalid: fail}",
            ":7: policies.on_invalid: found 'fail'; expected one of: record, field; did you mean 'field'?",
        ),
        (
            "policies: {first_link: newest}",
            ":7: policies.first_link: found 'newest'; expected one of: by_type, marketo, dynamics",
        ),
        (
            "policies: {brake: {deletes: {count: 5}}}",
            ":7: policies.brake.deletes.share: found nothing; expected the key 'share'",
        ),
        (
            "policies: {brake: {deletes: {count: -1, share: 0.1}}}",
            ":7: policies.brake.deletes.count: found -1; expected at least 0",
        ),
        (
            'limits: {marketo: {share: "0.5"}}',
            ":7: limits.marketo.share: found '0.5'; expected a number, without quotes",
        ),
        ("limits: {marketo: {share: 1.5}}", ":7: limits.marketo.share: found 1.5; expected at most 1.0"),
        ("limits: {marketo: {share: 0}}", ":7: limits.marketo.share: found 0; expected more than 0.0"),
        (
            "limits: {marketo: {share: .nan}}",
            ":7: limits.marketo.share: found NaN; expected a finite number",
        ),
        (
            "limits: {dynamics: {calls: true}}",
            ":7: limits.dynamics.calls: found true; expected a whole number, without quotes",
        ),
        (
            "limits: {dynamics: {calls: 12.5}}",
            ":7: limits.dynamics.calls: found 12.5; expected a whole number, without quotes",
        ),
        ("batches: {marketo: 301}", ":7: batches.marketo: found 301; expected at most 300"),
        ("batches: null", ":7: batches: found null; expected keys with values"),
        *(
            (
                f"marketo: {{web_address: '{address}'}}",
                (
                    f":7: marketo.web_address: found '{address}'; expected https:// and a host, nothing behind it:"
                    " https://app-sj01.marketo.com"
                ),
            )
            for address in ("javascript:alert(1)", "http://app.example", "https://app.example/x", "https://a@b.example")
        ),
        ("alerts: {email: {to: [ann]}}", ":7: alerts.email.to.0: found 'ann'; expected an e-mail address"),
        ("marketo: {overlap_hours: 1}", ":7: marketo.overlap_hours: found 1; expected at least 24"),
        (
            "marketo: {overlap_hours: 240}\nretention: {echo_days: 20}",
            ":8: retention.seen_days: found 8; expected at least 11, longer than marketo.overlap_hours (240)",
        ),
        (
            "marketo: {system_fields: {id: microsoftType}}",
            (
                ":7: marketo.system_fields: found microsoftType, microsoftType, microsoftCreatedDate,"
                " microsoftIsDeleted, microsoftMergedInto, microsoftBackfilledAt; expected six different fields"
            ),
        ),
        (
            "marketo: {system_fields: {id: Microsoft Id}}",
            (
                ":7: marketo.system_fields.id: found 'Microsoft Id'; expected a Marketo REST name: letters,"
                " digits and underscores, a letter first"
            ),
        ),
        (
            "language: 1033\nlanguage: 1053",
            ":8: language: found the key a second time (first in line 7); expected each key once",
        ),
    ],
)
def test_a_wrong_section_gets_its_own_sentence(tmp_path: Path, section: str, sentence: str) -> None:
    assert mistakes(write(tmp_path, f"{FIELDS}{section}\n")) == [f"leadsync.yaml{sentence}"]
