"""The machine's browser, headless, and what it noticed: requests, messages of its console, refused loads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, sync_playwright

PATIENCE = 60_000.0
"""Milliseconds after which a page has not merely been slow."""
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 375, "height": 812}
# Nothing but what a test asks for: no look at updates, no sync, no QUIC.
_ARGUMENTS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def running(executable: Path, folder: Path) -> Iterator[Browser]:
    """A browser with an empty profile; whatever it writes goes below `folder`."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, headless=True, chromium_sandbox=False, args=_ARGUMENTS
            )
            try:
                yield browser
            finally:
                browser.close()
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@dataclass
class Noticed:
    """What went wrong on our pages, and every host that was asked for something."""

    own: str
    hosts: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page of this context."""
        context.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        context.on("response", self._answered)
        context.on("console", lambda message: self._said(message.type, message.text, message.location))
        context.on("weberror", lambda error: self._said("error", str(error.error), {"url": f"{self.own}/leadsync"}))

    def _answered(self, response: Response) -> None:
        # A page that is refused on purpose is what a test is about; a part of a page never is.
        if response.status >= 400 and response.request.resource_type != "document" and "/leadsync" in response.url:
            self.faults.append(f"{response.status}: {response.url}")

    def _said(self, kind: str, text: str, location: Any) -> None:
        # Airflow's own pages are not ours to judge: its login page answers its first question with 401.
        told_by_answer = text.startswith("Failed to load resource")
        if kind in {"error", "warning"} and not told_by_answer and "/leadsync" in str(location.get("url")):
            self.faults.append(f"{kind}: {text} ({location.get('url')})")


def shoot(seen: Page | Locator, name: str) -> None:
    """Keep a picture for the docs when `make pictures` asks for them: the folder is in PICTURES."""
    if folder := os.environ.get("PICTURES"):
        seen.screenshot(path=Path(folder) / f"{name}.png")


UNLABELLED = """() => [...document.querySelectorAll('input, select, textarea, button')]
  .filter(one => one.type !== 'hidden')
  .filter(one => !(one.labels && one.labels.length) && !one.ariaLabel && !one.textContent.trim())
  .map(one => one.outerHTML)"""
"""Controls without a name for a screen reader."""

FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const once = (known, key, make) => known.has(key) ? known.get(key) : known.set(key, make()).get(key)
  const mixed = new Map(), grounds = new Map()
  const over = (top, under) => once(mixed, `${top} on ${under}`, () => {
    canvas.globalCompositeOperation = 'source-over'; canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = `rgb(${under.join()})`; canvas.fillRect(0, 0, 1, 1)
    canvas.fillStyle = top; canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
  })
  const ground = one => once(grounds, one, () =>
    over(getComputedStyle(one).backgroundColor, one.parentElement ? ground(one.parentElement) : [255, 255, 255]))
  const light = rgb => rgb.map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
  const seen = new Map()
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    if (!own || one.closest('svg') || !one.checkVisibility()) continue
    const under = ground(one), style = getComputedStyle(one)
    const [a, b] = [light(over(style.color, under)), light(under)].sort((x, y) => y - x)
    const ratio = (a + .05) / (b + .05)
    const text = one.textContent.trim().slice(0, 40)
    if (ratio < 4.5) seen.set(`${style.color} on ${under}`, `${ratio.toFixed(2)}: ${text}`)
  }
  return [...seen].map(([colours, what]) => `${colours} ${what}`)
}"""
"""Text with a contrast below 4.5 : 1 (WCAG 2.2, 1.4.3)."""

FOCUSED = """() => {
  const one = document.activeElement
  if (!one || one === document.body) return null
  const style = getComputedStyle(one), box = one.getBoundingClientRect()
  return {
    name: (one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.name || '').trim().split('\\n')[0],
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    inside: box.width > 0 && box.right > 0 && box.left < innerWidth,
  }
}"""
"""Name of what has the focus, whether a ring shows it, whether it is in sight; null when nothing has."""
