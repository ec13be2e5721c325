"""Compare every pin of `requirements/*.lock` with a copy of pypa/advisory-database, without network.

`python -m scripts.audit DATABASE`, where DATABASE is a work tree or a git directory of that repository. Prints each
advisory that touches a pin and what `requirements/audit.toml` says of it. Exit status: 0 when all of them are accepted
there, 1 when one is not, 2 when the database cannot be read. docs/dependencies.md has the policy.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
FOLDER = "vulns"
"""Where the database keeps its advisories: one folder per package, one OSV document in YAML per file."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # text stays text: 1.10 is a version, no number
Document = Mapping[str, Any]


class UnreadableDatabaseError(Exception):
    """The path holds no advisories, or one of them cannot be read; the text says which."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An advisory that touches a pin.

    `ranges`: the affected versions in words. `fixed`: the versions that end a range; empty when none does.
    """

    package: NormalizedName
    version: str
    id: str
    aliases: tuple[str, ...]
    ranges: tuple[str, ...]
    fixed: tuple[str, ...]


def pins(requirements: Path = REQUIREMENTS) -> set[tuple[NormalizedName, str]]:
    """Every package and version of the lock files; a package may stand there with more than one version."""
    texts = [file.read_text("utf-8") for file in sorted(requirements.glob("*.lock"))]
    return {(canonicalize_name(name), version) for text in texts for name, version in _PIN.findall(text)}


def _git(database: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", f"--git-dir={database}", *arguments], capture_output=True, check=True)  # noqa: S607 - the person's own git
    except (OSError, subprocess.CalledProcessError) as error:
        told = error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else ""
        raise UnreadableDatabaseError(f"{database}: {told or error}") from error
    return done.stdout


def _from_git(database: Path, names: set[NormalizedName]) -> Iterator[tuple[str, bytes]]:
    listed = _git(database, "ls-tree", "-d", "-z", "--name-only", "HEAD", f"{FOLDER}/").decode().split("\0")
    folders = [each for each in listed if canonicalize_name(each.rpartition("/")[2]) in names]
    if not any(listed):
        raise UnreadableDatabaseError(f"{database}: no folder {FOLDER} in its newest commit")
    if not folders:
        return
    with tarfile.open(fileobj=io.BytesIO(_git(database, "archive", "--format=tar", "HEAD", *folders))) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.endswith(".yaml"):
                yield member.name, content.read()


def _from_folder(database: Path, names: set[NormalizedName]) -> Iterator[tuple[str, bytes]]:
    for folder in sorted((database / FOLDER).iterdir()):
        if canonicalize_name(folder.name) in names:
            for file in sorted(folder.glob("*.yaml")):
                yield str(file), file.read_bytes()


def advisories(database: Path, names: set[NormalizedName]) -> Iterator[Document]:
    """The OSV documents of these packages, without those that were withdrawn.

    Raises:
        UnreadableDatabaseError: the path is neither a work tree nor a git directory of the database, or a file in it
            is no OSV document.
    """
    read = _from_folder if (database / FOLDER).is_dir() else _from_git
    for name, content in read(database, names):
        try:
            document = yaml.load(content, _LOADER)  # noqa: S506 - it makes text, lists and mappings only
        except yaml.YAMLError as error:
            raise UnreadableDatabaseError(f"{name}: {error}") from error
        if not isinstance(document, dict) or "id" not in document:
            raise UnreadableDatabaseError(f"{name}: not an OSV document")
        if not document.get("withdrawn"):
            yield document


def _order(text: str) -> Version:
    return Version("0.dev0" if text == "0" else text)  # OSV: 0 comes before every version


def _events(ranges: Iterable[Mapping[str, Any]]) -> Iterator[list[tuple[str, str]]]:
    for each in ranges:
        if each.get("type") == "ECOSYSTEM":
            events = [(kind, str(version)) for event in each.get("events", []) for kind, version in event.items()]
            yield sorted((event for event in events if event[0] != "limit"), key=lambda event: _order(event[1]))


def _is_within(version: Version, events: Sequence[tuple[str, str]]) -> bool:
    """The algorithm of the OSV schema: the last event at or before a version decides."""
    inside = False
    for kind, text in events:
        at = _order(text)
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def hit(name: NormalizedName, pinned: str, document: Document) -> Hit | None:
    """What this advisory says of the pin; None when it is not affected.

    Raises:
        UnreadableDatabaseError: a version of the advisory is none by PEP 440.
    """
    signs = {"introduced": ">=", "fixed": "<", "last_affected": "<="}
    ranges: list[str] = []
    fixed: list[str] = []
    affected = False
    for entry in document.get("affected", []):
        package = entry.get("package", {})
        if package.get("ecosystem") != "PyPI" or canonicalize_name(str(package.get("name"))) != name:
            continue
        try:
            for events in _events(entry.get("ranges", [])):
                affected = affected or _is_within(Version(pinned), events)
                ranges += [signs[kind] + text for kind, text in events]
                fixed += [text for kind, text in events if kind == "fixed"]
        except (InvalidVersion, KeyError) as error:
            raise UnreadableDatabaseError(f"{document['id']}: {error}") from error
        affected = affected or pinned in map(str, entry.get("versions", []))
    if not affected:
        return None
    aliases = tuple(map(str, document.get("aliases", [])))
    return Hit(name, pinned, str(document["id"]), aliases, tuple(ranges), tuple(fixed))


def judge(found: Hit, known: Iterable[Mapping[str, str]]) -> tuple[bool, str]:
    """Whether `audit.toml` accepts it, and in what words."""
    for entry in known:
        if canonicalize_name(entry["package"]) == found.package and entry["id"] in {found.id, *found.aliases}:
            if reason := entry.get("accepted"):
                return True, f"accepted as {entry['id']}: {reason}"
            return False, f"not accepted: {entry['id']} is listed with {entry['affected']}"
    return False, "not listed"


def main(arguments: Sequence[str] | None = None, requirements: Path = REQUIREMENTS) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.audit", description="Compare the pins with advisories.")
    parser.add_argument("database", type=Path, help="work tree or git directory of pypa/advisory-database")
    database = parser.parse_args(arguments).database
    known = tomllib.loads((requirements / "audit.toml").read_text("utf-8"))["advisories"].get("known", [])
    pinned = sorted(pins(requirements))
    try:
        documents = list(advisories(database, {name for name, _ in pinned}))
        hits = [found for pin in pinned for each in documents if (found := hit(*pin, each))]
    except (UnreadableDatabaseError, OSError) as error:
        print(f"the database cannot be read: {error}", file=sys.stderr)
        return 2
    judged = [(found, *judge(found, known)) for found in hits]
    for found, _, words in judged:
        print(f"{found.package} {found.version}: {found.id} ({', '.join(found.aliases) or 'no alias'})")
        print(f"  affected: {', '.join(found.ranges) or 'versions by name'}; fixed in: {', '.join(found.fixed) or '-'}")
        print(f"  audit.toml: {words}")
    newest = max((str(each.get("modified", "")) for each in documents), default="")[:10] or "an unknown day"
    print(f"{len(pinned)} pins, {len(documents)} advisories of their packages, the newest changed on {newest}")
    print(f"{len(judged)} touch a pin, {sum(not accepted for _, accepted, _ in judged)} of them not accepted")
    return int(not all(map(itemgetter(1), judged)))


if __name__ == "__main__":
    sys.exit(main())
