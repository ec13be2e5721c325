"""Every pinned package has a licence that may be used, and no pin is affected by an advisory that nobody accepted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)
_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})
Policy = Mapping[str, Any]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return tomllib.loads((Path(__file__).resolve().parents[2] / "requirements" / "audit.toml").read_text("utf-8"))


def pins(root: Path) -> dict[NormalizedName, str]:
    texts = [file.read_text("utf-8") for file in (root / "requirements").glob("*.lock")]
    return {canonicalize_name(name): version for text in texts for name, version in _PIN.findall(text)}


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


def affected(versions: Mapping[NormalizedName, str], policy: Policy) -> Iterator[str]:
    for entry in policy["advisories"].get("known", []):
        version = versions.get(canonicalize_name(entry["package"]))
        if entry.get("accepted") or not version:
            continue
        if SpecifierSet(entry["affected"]).contains(version, prereleases=True):
            yield f"{entry['package']} {version}: {entry['id']}"


def test_every_package_that_is_pinned_and_installed_has_a_licence_that_may_be_used(
    project_root: Path, policy: Policy
) -> None:
    installed = {canonicalize_name(each.metadata["Name"]): declared(each.metadata) for each in distributions()}
    pinned = {name: installed[name] for name in installed.keys() & pins(project_root).keys()}
    assert len(pinned) > 150
    assert list(refused(pinned, policy)) == []
    assert set(policy["licences"]["packages"]) <= set(pinned)  # no exception outlives its package
    assert all(len(why) > 20 for why in policy["licences"]["packages"].values())


def test_no_pin_is_affected_by_an_advisory_that_nobody_accepted(project_root: Path, policy: Policy) -> None:
    assert list(affected(pins(project_root), policy)) == []
    compared = policy["advisories"]["compared_on"]
    assert bool(compared) == bool(policy["advisories"]["database"])
    assert not compared or date.fromisoformat(compared) <= datetime.now(UTC).date()


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
    old = {canonicalize_name("some-thing"): "1.2.2"}
    entry = {"id": "CVE-1", "package": "Some_Thing", "affected": "<1.2.3"}
    known = {**policy, "advisories": {"known": [entry]}}
    assert list(affected(old, known)) == ["Some_Thing 1.2.2: CVE-1"]
    assert list(affected({canonicalize_name("some-thing"): "1.2.3"}, known)) == []
    entry["accepted"] = "we do not call it"
    assert list(affected(old, known)) == []
