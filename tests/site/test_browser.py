"""Every page in a real browser: requests, console, math, solutions, phone, axe."""

from __future__ import annotations

import pytest

from tests.site import looks
from tests.site.axe import violations
from tests.site.conftest import DESKTOP, Site
from tests.site.pages import chapter_names, page_names
from tests.site.play import stuck_player, unhidden_solutions
from tools.serve import HTML

CHAPTERS = chapter_names()
# "index.html" is a redirect. The longest come first: a worker that took one up last
# would keep the other waiting.
PAGES = sorted(
    (name for name in page_names() if name != "index.html"),
    key=lambda name: -(HTML / name).stat().st_size,
)
pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built (make book)")


@pytest.mark.parametrize("name", PAGES)
def test_page(site: Site, name: str) -> None:
    """Load a page once, use it, give it every size and mode: no problem."""
    visit = site.visit(name)
    page, problems = visit.page, []
    problems += looks.first(page, name)
    problems += looks.figures(page, name, DESKTOP)
    problems += looks.live_figures(page, name)
    if name in CHAPTERS:
        problems += unhidden_solutions(page)
        problems += looks.wide(page, name)
    if 'class="do-player' in (HTML / name).read_text("utf8"):
        problems += stuck_player(page)
    problems += looks.narrow(page, name)
    problems += violations(page)
    problems += visit.problems()
    assert not problems, "\n" + "\n".join(problems)


def test_address_of_the_site_leads_to_the_first_page(site: Site) -> None:
    page = site.new_context().new_page()
    page.goto(f"{site.address}/")
    page.wait_for_url("**/chapters/index.html")
    page.context.close()
