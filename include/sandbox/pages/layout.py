"""The frame around every page: head, style, navigation, security headers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from include.sandbox.pages.markup import Child, Markup, element, joined
from include.sandbox.service import Response

NAMES = {"marketo": "Marketo", "dynamics": "Dynamics"}

_STYLE = """
:root{color-scheme:light dark;--ground:#fff;--ink:#1c2127;--soft:#5b6570;--line:#d5dae0;--panel:#f5f7f9;
  --accent:#0b57a4;--on-accent:#fff;--good:#e5f5e9;--bad:#fdeaea;--bad-ink:#97171c}
@media(prefers-color-scheme:dark){:root{--ground:#15181c;--ink:#e6e9ed;--soft:#a0aab5;--line:#39414a;
  --panel:#1e2329;--accent:#7db7f5;--on-accent:#10151a;--good:#163a22;--bad:#451c1e;--bad-ink:#ffb4b4}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main{max-width:72rem;margin:0 auto;padding:.75rem 1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;align-items:center;border-bottom:1px solid var(--line)}
header strong{font-size:1.1rem}
header form{margin-left:auto}
a{color:var(--accent)}
a:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible,textarea:focus-visible,
  summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.5rem}
time{white-space:nowrap}
h1{font-size:1.5rem;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.5rem 0}
.soft{color:var(--soft)}
.note{padding:.6rem .9rem;border-radius:.4rem;background:var(--good)}
.bad{background:var(--bad);color:var(--bad-ink);overflow-wrap:anywhere;white-space:pre-wrap}
.row{display:flex;flex-wrap:wrap;gap:.75rem;align-items:end}
.row>*{flex:0 1 auto}
.row .wide{flex:1 1 16rem}
.fields{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:.75rem 1rem}
.fields>*{min-width:0;align-self:end}
label{display:block;font-size:.875rem;color:var(--soft);overflow-wrap:anywhere}
label.check{display:flex;gap:.5rem;align-items:center;color:var(--ink);min-height:2.6rem}
input,select,textarea{width:100%;padding:.45rem .6rem;font-size:1rem;font-family:inherit;color:var(--ink);
  background:var(--ground);  border:1px solid var(--soft);border-radius:.35rem;min-height:2.6rem}
input[type=checkbox]{width:1.2rem;min-height:1.2rem}
textarea{min-height:5rem;resize:vertical}
button{padding:.45rem 1.1rem;font:inherit;min-height:2.6rem;border:1px solid var(--accent);border-radius:.35rem;
  background:var(--accent);color:var(--on-accent);cursor:pointer}
button.quiet{background:none;color:var(--accent)}
button.danger{background:none;color:var(--bad-ink);border-color:currentColor}
summary{cursor:pointer;padding:.4rem 0;color:var(--accent)}
.panel{background:var(--panel);padding:.75rem 1rem;border-radius:.4rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
th{font-size:.875rem;color:var(--soft);font-weight:600}
td{overflow-wrap:break-word}
td.num{text-align:right}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code{font-size:.9em;overflow-wrap:anywhere}
@media(max-width:44rem){thead{position:absolute;left:-99rem}
  tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
  td{display:block;direction:ltr;border:0;padding:.1rem 0;overflow-wrap:anywhere}
  td:empty{display:none}
  td::before{content:attr(data-title);color:var(--soft);font-size:.875rem;margin-right:.5rem}
}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_OWN_FORMS = "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", f"default-src 'none'; style-src 'sha256-{_DIGEST}'; {_OWN_FORMS}"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer browsers would send forms with the origin "null"
    ("Cache-Control", "no-store"),
]


def framed(
    service: str, title: str, content: Child, *, status: int = 200, navigation: Child = None, cookie: str | None = None
) -> Response:
    """A whole page."""
    name = f"{NAMES[service]} sandbox"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} – {name}"),
        element("style", Markup(_STYLE)),
    )
    top = element(
        "header", element("a", "To the content", href="#content", class_="skip"), element("strong", name), navigation
    )
    body = element("body", top, element("main", element("h1", title, dir="auto"), content, id="content"))
    text = f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
    headers = [*_HEADERS, *([("Set-Cookie", cookie)] if cookie else [])]
    return Response(status, text.encode("utf-8", "replace"), headers)


def moved(path: str, cookie: str | None = None) -> Response:
    """See another of these pages now; `path` is never what somebody sent."""
    headers = [("Location", path), ("Cache-Control", "no-store"), *([("Set-Cookie", cookie)] if cookie else [])]
    return Response(303, b"", headers)


def table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[Child]]) -> Markup:
    """A table; on a narrow screen each row is a block. `caption` names it to a screen reader."""
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    lines = [element("tr", *(_cell(title, cell) for title, cell in zip(titles, cells, strict=True))) for cells in rows]
    return element("div", element("table", head, element("tbody", *lines), aria_label=caption), class_="scroll")


def _cell(title: str, content: Child) -> Markup:
    return element("td", content, dir="auto", data_title=title or None)


def moment(text: str | None) -> Markup | None:
    """A time stamp that is not broken at the end of a line."""
    return element("time", text.replace("T", " ").replace("Z", " UTC"), datetime=text) if text else None


def facts(pairs: Sequence[tuple[str, Child]]) -> Markup:
    """Names with values."""
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in pairs))


def note(text: str, *, bad: bool = False) -> Markup:
    """A message that a screen reader says."""
    return element("p", text, class_="note bad" if bad else "note", role="alert" if bad else "status")
