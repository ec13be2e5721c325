"""Licences of the pins are allowed, no pin is in an advisory that nobody accepted, and `make audit` finds those."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from scripts.audit import main, pins

_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})
Policy = Mapping[str, Any]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return tomllib.loads((Path(__file__).resolve().parents[2] / "requirements" / "audit.toml").read_text("utf-8"))


def declared(metadata: PackageMetadata) -> list[str]:
    """The licences a package names, all of which count: its expression, else its classifiers, else its own words."""
    if "License-Expression" in metadata:
        return [str(metadata["License-Expression"])]
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    words = str(metadata["License"]).strip().splitlines() if "License" in metadata else []
    return [name for name in classifiers if name not in _NO_LICENCE] or words[:1] or ["nothing"]


def is_allowed(expression: str, policy: Policy) -> bool:
    """`A OR B`: either will do; `A AND B`: both must. Brackets are for the list of packages."""
    licences = policy["licences"]
    if (name := licences["spellings"].get(expression, expression)) in licences["allowed"]:
        return True
    if " OR " in name:
        return any(is_allowed(part, policy) for part in name.split(" OR "))
    return " AND " in name and all(is_allowed(part, policy) for part in name.split(" AND "))


def refused(packages: Mapping[NormalizedName, list[str]], policy: Policy) -> Iterator[str]:
    for name, expressions in packages.items():
        if name not in policy["licences"]["packages"]:
            yield from (f"{name}: {each}" for each in expressions if not is_allowed(each, policy))


def touched(pinned: Iterable[tuple[NormalizedName, str]], entry: Mapping[str, str]) -> Iterator[str]:
    for name, version in pinned:
        if name == canonicalize_name(entry["package"]) and SpecifierSet(entry["affected"]).contains(version, True):
            yield f"{name} {version}: {entry['id']}"


def affected(pinned: Iterable[tuple[NormalizedName, str]], policy: Policy) -> Iterator[str]:
    for entry in policy["advisories"].get("known", []):
        if not entry.get("accepted"):
            yield from touched(pinned, entry)


def dated(version: str) -> Iterator[date]:
    """The day that a version names, such as 2026.10.18 or 2.33.0.20261030; a version like 2026.6 names none."""
    for year, month, day in re.findall(r"(?:^|\.)(20\d\d)\.?(0?[1-9]|1[0-2])\.?(0?[1-9]|[12]\d|3[01])$", version):
        yield date(int(year), int(month), int(day))


def test_every_package_that_is_pinned_and_installed_has_a_licence_that_may_be_used(
    project_root: Path, policy: Policy
) -> None:
    installed = {canonicalize_name(each.metadata["Name"]): declared(each.metadata) for each in distributions()}
    pinned = {name: installed[name] for name, _ in pins(project_root / "requirements") if name in installed}
    assert len(pinned) > 150
    assert list(refused(pinned, policy)) == []
    assert set(policy["licences"]["packages"]) <= set(pinned)  # no exception outlives its package
    assert all(len(why) > 20 for why in policy["licences"]["packages"].values())


def test_no_pin_is_affected_by_an_advisory_that_nobody_accepted(project_root: Path, policy: Policy) -> None:
    assert list(affected(pins(project_root / "requirements"), policy)) == []


def test_every_advisory_is_of_a_pinned_package_says_its_source_and_is_accepted_only_while_it_touches_a_pin(
    project_root: Path, policy: Policy
) -> None:
    pinned = pins(project_root / "requirements")
    known = policy["advisories"]["known"]
    assert {canonicalize_name(entry["package"]) for entry in known} <= {name for name, _ in pinned}
    assert all(entry["source"] for entry in known)
    assert len({(entry["id"], entry["package"]) for entry in known}) == len(known)
    accepted = [entry for entry in known if "accepted" in entry]
    assert all(len(entry["accepted"]) > 40 and list(touched(pinned, entry)) for entry in accepted)


def test_the_pins_were_compared_after_the_youngest_of_them_that_carries_a_date(
    project_root: Path, policy: Policy
) -> None:
    days = [day for _, version in pins(project_root / "requirements") for day in dated(version)]
    assert len(days) > 3
    assert max(days) <= date.fromisoformat(policy["advisories"]["compared_on"])
    assert policy["advisories"]["database"]


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True), ("MIT License", True), ("MIT AND PSF-2.0", True), ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("nothing", False), ("Proprietary", False),
    ],
)  # fmt: skip
def test_a_licence_is_read_as_it_is_meant(expression: str, allowed: bool, policy: Policy) -> None:
    assert is_allowed(expression, policy) is allowed


def test_an_affected_pin_is_found_until_it_is_accepted_or_raised(policy: Policy) -> None:
    old = [(canonicalize_name("some-thing"), "1.2.2")]
    entry = {"id": "CVE-1", "package": "Some_Thing", "affected": "<1.2.3"}
    known = {**policy, "advisories": {"known": [entry]}}
    assert list(affected(old, known)) == ["some-thing 1.2.2: CVE-1"]
    assert list(affected([(canonicalize_name("some-thing"), "1.2.3")], known)) == []
    entry["accepted"] = "we do not call it"
    assert list(affected(old, known)) == []


ADVISORY = """
id: PYSEC-1
modified: "2026-01-02T00:00:00Z"
aliases: [CVE-1, GHSA-1]
affected:
- package: {ecosystem: PyPI, name: Some_Thing}
"""
RANGE = "  ranges:\n  - type: ECOSYSTEM\n    events: [%s]\n"
Audit = Callable[..., tuple[int, str]]


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Compares a lock that pins some-thing 1.10 with one advisory, or with the database at `database`."""

    def run(advisory: str = "", accepted: str = "", database: Path | None = None) -> tuple[int, str]:
        (tmp_path / "a.lock").write_text("some-thing==1.10 \\\n    --hash=sha256:0\nother[x]==2 ; python_version\n")
        (tmp_path / "audit.toml").write_text(f"[advisories]\n{accepted}")
        folder = tmp_path / "database" / "vulns" / "some-thing"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "PYSEC-1.yaml").write_text(advisory)
        status = main([str(database or tmp_path / "database")], tmp_path)
        out, err = capsys.readouterr()
        return status, out + err

    return run


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ('{introduced: "0"}, {fixed: 1.11}', True),
        ('{introduced: "0"}, {fixed: 1.10}', False),
        ("{introduced: 1.10}", True),
        ("{introduced: 1.11}", False),
        ('{introduced: "0"}, {last_affected: 1.10}', True),
        ('{introduced: "0"}, {last_affected: 1.9}', False),
        # Two lines of releases, in the order in which the database writes them.
        ('{introduced: 2.0}, {fixed: 2.0.6}, {introduced: "0"}, {fixed: 1.11}', True),
        ('{introduced: 2.0}, {fixed: 2.0.6}, {introduced: "0"}, {fixed: 1.10}', False),
    ],
)
def test_a_pin_is_affected_when_the_last_event_before_it_says_so(audit: Audit, events: str, affected: bool) -> None:
    status, told = audit(ADVISORY + RANGE % events)
    assert status == int(affected)
    assert ("some-thing 1.10: PYSEC-1 (CVE-1, GHSA-1)" in told) is affected


def test_a_hit_says_where_it_is_fixed_and_that_nobody_decided(audit: Audit) -> None:
    _, told = audit(ADVISORY + RANGE % '{introduced: "0"}, {fixed: 1.11}')
    assert "  affected: >=0, <1.11; fixed in: 1.11\n  audit.toml: not listed\n" in told
    assert "2 pins, 1 advisories of their packages, the newest changed on 2026-01-02" in told


def test_versions_by_name_count_and_other_ecosystems_packages_and_withdrawn_advisories_do_not(audit: Audit) -> None:
    named = ADVISORY + "  versions: [1.9, 1.10]\n"
    assert audit(named)[0] == 1
    assert audit(named.replace("1.10", "1.1"))[0] == 0
    assert audit(named.replace("PyPI", "npm"))[0] == 0
    assert audit(named.replace("Some_Thing", "else"))[0] == 0
    assert audit(named + 'withdrawn: "2026-01-03T00:00:00Z"\n')[0] == 0
    assert audit(ADVISORY + (RANGE % '{introduced: "0"}').replace("ECOSYSTEM", "GIT"))[0] == 0


@pytest.mark.parametrize("identity", ["PYSEC-1", "CVE-1"])
def test_an_accepted_advisory_is_shown_and_passes(audit: Audit, identity: str) -> None:
    entry = f'known = [{{ id = "{identity}", package = "Some-thing", affected = "<2"%s }}]'
    advisory = ADVISORY + RANGE % '{introduced: "0"}'
    status, told = audit(advisory, entry % ', accepted = "we do not call it"')
    assert (status, f"audit.toml: accepted as {identity}: we do not call it" in told) == (0, True)
    status, told = audit(advisory, entry % "")
    assert (status, f"audit.toml: not accepted: {identity} is listed with <2" in told) == (1, True)


def test_a_database_that_cannot_be_read_is_no_clean_bill(audit: Audit, tmp_path: Path) -> None:
    for database, advisory in ((tmp_path / "none", ""), (None, "no: [yaml"), (None, "- a list\n")):
        status, told = audit(advisory, database=database)
        assert (status, "the database cannot be read" in told) == (2, True)
    assert audit(ADVISORY + RANGE % "{introduced: nonsense}")[0] == 2


def test_a_bare_git_directory_is_read_like_a_work_tree(audit: Audit, tmp_path: Path) -> None:
    audit(ADVISORY + RANGE % '{introduced: "0"}')
    git = ["git", "-C", str(tmp_path / "database"), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--no-gpg-sign", "-m", "one advisory"]):
        subprocess.run([*git, *command], check=True)
    status, told = audit("", database=tmp_path / "database" / ".git")
    assert (status, "some-thing 1.10: PYSEC-1" in told) == (1, True)
