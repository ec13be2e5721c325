"""Every code under which something waits for somebody stands in docs/operations.md, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "include" / "leadsync"
WAITING = {"held", "failed"}
CHAPTER = "## What waits for somebody"


@cache
def trees() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py")))


@cache
def constants() -> dict[str, str]:
    """Texts that modules of the package give a name in capitals."""
    found: dict[str, str] = {}
    for node in (node for tree in trees() for node in tree.body if isinstance(node, ast.Assign)):
        (target,) = node.targets
        pair = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values = node.value.elts if pair and isinstance(node.value, ast.Tuple) else [node.value]
        for name, value in zip(names, values, strict=False):
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[name.id] = value.value
    return found


def text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return constants().get(node.id) if isinstance(node, ast.Name) else None


def members(node: ast.Dict) -> dict[str, ast.expr]:
    return {
        str(key.value): value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }


def codes() -> Iterator[str | None]:
    """Of events that are held, of requests that are held or failed, of facts that stand, of closed records."""
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Dict):
            given = members(node)
            if "code" in given and text_of(given.get("kind", ast.Constant(value=None))) == "held":
                yield text_of(given["code"])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, arguments = node.func.attr, [text_of(argument) for argument in node.args]
            if name in {"_event", "_settle"} and set(arguments[:2]) & WAITING:
                yield arguments[2]
            elif name == "_hold":
                yield arguments[1]
            elif name == "stands" and isinstance(node.args[1], ast.List):
                yield from (text_of(each) for each in node.args[1].elts)


def test_the_table_of_open_codes_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    chapter = page.partition(CHAPTER)[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE)
    assert len(listed) == len(set(listed))
    found = {code for code in codes() if code} | {"closed_record"}
    assert {"merge_proposed", "person_erased", "filter_unreadable", "several_candidates", "taken"} <= found
    assert set(listed) == found
