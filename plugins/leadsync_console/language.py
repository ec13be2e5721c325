"""The words of the pages in six languages: one catalog each, flat, the same keys and placeholders in all."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

FALLBACK = "en"
NAMES = {
    "en": "English",
    "zh-Hans": "简体中文",
    "sv": "Svenska",
    "pt-BR": "Português (Brasil)",
    "es": "Español",
    "ko": "한국어",
}
"""Tag → its own name, in the order of the menu."""

COOKIE = "leadsync_lang"
_FOLDER = Path(__file__).parent / "languages"
_MAIN = {"zh": "zh-Hans", "pt": "pt-BR"}

Words = Callable[..., str]


@cache
def catalog(tag: str) -> dict[str, str]:
    """Key → text of one language."""
    content: dict[str, str] = yaml.safe_load((_FOLDER / f"{tag}.yaml").read_text("utf-8"))
    return content


def words(tag: str) -> Words:
    """A function from a key, and values for its placeholders, to a text.

    A key that no catalog has comes back as its last part: codes and states that a newer engine adds show as they are.
    """
    mine, english = catalog(tag), catalog(FALLBACK)

    def say(key: str, /, **values: object) -> str:
        text = mine.get(key) or english.get(key)
        return text.format(**values) if text is not None else key.rpartition(".")[2]

    return say


def chosen(query: str | None, cookie: str | None, accepted: str | None) -> str:
    """The language of a request: what its address asks for, else its cookie, else what its browser prefers."""
    for asked in (query, cookie):
        if asked in NAMES:
            return str(asked)
    return _preferred(accepted or "") or FALLBACK


def _preferred(header: str) -> str | None:
    """The best of an Accept-Language header; traditional Chinese is another language than simplified."""
    wanted: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, rest = part.strip().partition(";")
        quality = rest.strip().removeprefix("q=") if rest else "1"
        weight = float(quality) if quality.replace(".", "", 1).isdigit() else 0.0
        if weight > 0:
            wanted.append((-weight, tag.strip()))
    for _, tag in sorted(wanted, key=lambda pair: pair[0]):
        found = _match(tag)
        if found:
            return found
    return None


def _match(tag: str) -> str | None:
    main, *rest = tag.lower().replace("_", "-").split("-")
    if main == "zh" and {"hant", "tw", "hk", "mo"} & set(rest):
        return None
    return next((name for name in NAMES if name == _MAIN.get(main, main)), None)
