"""The built site, served, and one browser for all tests of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tools.browser import NOT_FOUND, find_chromium, open_browser
from tools.serve import HTML, serving

REQUIRED = bool(os.environ.get("DEEPOPT_REQUIRE_BROWSER"))
# "networkidle" was reached before the lazy pictures were asked for, so it cannot say
# that they have come: a page still moving makes a click miss.
SETTLE = """async () => {
    const pictures = [...document.images];
    pictures.forEach(picture => picture.loading = 'eager');
    await Promise.all(pictures.map(picture => picture.decode().catch(() => {})));
    await document.fonts.ready;
}"""


THEME_SAYS = ("log: [PST]", "log: [SBT]")  # what its scripts tell of their work


@dataclass
class Visit:
    """A page that has been loaded to its end, and what happened meanwhile."""

    page: Page
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    size: int = 0  # bytes over the wire

    def __post_init__(self) -> None:
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("requestfailed", lambda r: self.failed.append(r.url))
        self.page.on("requestfinished", self.weigh)
        self.page.on("pageerror", lambda e: self.console.append(str(e)))
        self.page.on("console", self.listen)

    def listen(self, message: ConsoleMessage) -> None:
        """Note what a script or the browser says, but for the theme's chatter."""
        said = f"{message.type}: {message.text}"
        if not said.startswith(THEME_SAYS):
            self.console.append(said)

    def weigh(self, request: Request) -> None:
        """Add what an answer weighs; note one that is an error."""
        answer = request.response()
        if answer is None or answer.status >= 400:
            self.failed.append(request.url)
        sizes = request.sizes()
        self.size += sizes["responseBodySize"] + sizes["responseHeadersSize"]


class Site:
    """The site in a browser."""

    def __init__(self, address: str, browser: Browser) -> None:
        self.address, self.browser = address, browser
        self.contexts: list[BrowserContext] = []

    def visit(self, name: str, *, width: int = 1280) -> Visit:
        """Load a page with a cold cache, every picture included."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="light"
        )
        self.contexts.append(context)
        visit = Visit(context.new_page())
        visit.page.goto(f"{self.address}/{name}", wait_until="load")
        visit.page.evaluate(SETTLE)
        visit.page.wait_for_load_state("networkidle")
        return visit

    def close_pages(self) -> None:
        """Close what the test opened."""
        while self.contexts:
            self.contexts.pop().close()


@pytest.fixture(scope="session")
def running_site() -> Iterator[Site]:
    if not (HTML / "chapters").is_dir():
        give_up("the book is not built (make book)")
    if find_chromium() is None:
        give_up(NOT_FOUND)
    with serving() as address, open_browser() as browser:
        yield Site(address, browser)


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    yield running_site
    running_site.close_pages()


def give_up(reason: str) -> None:
    """Skip with a sentence, or fail where the browser tests are compulsory."""
    if REQUIRED:
        pytest.fail(f"DEEPOPT_REQUIRE_BROWSER is set, but {reason}")
    pytest.skip(reason)
