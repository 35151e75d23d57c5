"""The built site, served, and one browser for all tests of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    ViewportSize,
)

from tools.browser import NOT_FOUND, find_chromium, open_browser
from tools.serve import HTML, serving

REQUIRED = bool(os.environ.get("DEEPOPT_REQUIRE_BROWSER"))
# A page still moving makes a click miss.
SETTLE = """async () => {
    const pictures = [...document.images];
    pictures.forEach(picture => picture.loading = 'eager');
    await Promise.all(pictures.map(picture => picture.decode().catch(() => {})));
    await document.fonts.ready;
}"""
FORGET = "if (origin !== 'null') { localStorage.clear(); sessionStorage.clear(); }"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
MAX_BYTES = 600_000  # gzip, pictures included
THEME_SAYS = ("log: [PST]", "log: [SBT]")  # what its scripts tell of their work


@dataclass
class Visit:
    """A page that has been loaded to its end, and what happened meanwhile."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    finished: list[Request] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heard: dict[str, Callable[[Any], object]] = {
            "request": lambda request: self.requests.append(request.url),
            "requestfailed": lambda request: self.failed.append(request.url),
            "requestfinished": lambda request: self.finished.append(request),
            "response": self.note_error,
            "pageerror": lambda error: self.console.append(str(error)),
            "console": self.listen,
        }
        for event, hear in self.heard.items():
            self.page.on(event, hear)  # type: ignore[call-overload]

    def note_error(self, answer: Response) -> None:
        """Note an answer that is an error."""
        if answer.status >= 400:
            self.failed.append(answer.url)

    def listen(self, message: ConsoleMessage) -> None:
        """Note what a script or the browser says, but for the theme's chatter."""
        said = f"{message.type}: {message.text}"
        if not said.startswith(THEME_SAYS):
            self.console.append(said)

    def problems(self) -> list[str]:
        """Say what was loaded or said that should not be, from the first byte to now.

        Asked last, when the network has long been idle, it waits for nothing.
        """
        self.page.wait_for_load_state("networkidle")
        own = (self.address, "data:")
        problems = [f"foreign: {r}" for r in self.requests if not r.startswith(own)]
        sizes = [request.sizes() for request in self.finished]
        size = sum(s["responseBodySize"] + s["responseHeadersSize"] for s in sizes)
        if size > MAX_BYTES:
            problems.append(f"heavy: {size:,} bytes over the wire")
        problems += [f"failed: {url}" for url in self.failed]
        return problems + [f"console: {text}" for text in self.console]

    def leave(self) -> None:
        """Leave nothing behind for the next visit in the same tab."""
        self.page.goto("about:blank")
        for event, hear in self.heard.items():
            self.page.remove_listener(event, hear)
        self.page.set_viewport_size(DESKTOP)
        self.page.emulate_media(color_scheme="light")


class Site:
    """The site in a browser."""

    def __init__(self, address: str, browser: Browser) -> None:
        self.address, self.browser = address, browser
        self.tab: Page | None = None
        self.visits: list[Visit] = []
        self.contexts: list[BrowserContext] = []

    def visit(self, name: str) -> Visit:
        """Load a page as if for the first time, in the tab of all such visits.

        A tab of its own for each would take half a second to start: nothing is stored
        instead.
        """
        if self.tab is None:
            context = self.new_context()
            context.add_init_script(FORGET)
            self.tab = context.new_page()
        visit = Visit(self.tab, self.address)
        self.visits.append(visit)
        self.load(visit.page, name)
        return visit

    def open(self, name: str) -> Page:
        """Load a page in a window that is closed with the test."""
        self.contexts.append(self.new_context())
        page = self.contexts[-1].new_page()
        self.load(page, name)
        return page

    def new_context(self) -> BrowserContext:
        return self.browser.new_context(
            viewport=DESKTOP,
            color_scheme="light",
            reduced_motion="reduce",
        )

    def load(self, page: Page, name: str) -> None:
        """Load a page, every picture included."""
        page.goto(f"{self.address}/{name}", wait_until="load")
        page.evaluate(SETTLE)

    def leave_pages(self) -> None:
        """Close what the test opened."""
        while self.contexts:
            self.contexts.pop().close()
        while self.visits:
            try:
                self.visits.pop().leave()
            except Error:  # the tab has crashed: the next visit opens another
                self.tab = None


@pytest.fixture(scope="session")
def running_site() -> Iterator[Site]:
    if not (HTML / "chapters").is_dir():
        give_up("the book is not built (make book)")
    if find_chromium() is None:
        give_up(NOT_FOUND)
    with serving(stored=False) as address, open_browser() as browser:
        yield Site(address, browser)


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    yield running_site
    running_site.leave_pages()


def give_up(reason: str) -> None:
    """Skip with a sentence, or fail where the browser tests are compulsory."""
    if REQUIRED:
        pytest.fail(f"DEEPOPT_REQUIRE_BROWSER is set, but {reason}")
    pytest.skip(reason)
