"""A page that runs in the browser, in Chromium: fresh results beside the stored ones.

Opt-in, because Pyodide is 40 MB: it is run where `make book LIVE=1` has fetched it, or
with DEEPOPT_LIVE=1, which does.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.site.axe import violations
from tests.site.conftest import Site, Visit
from tools.live.__main__ import build
from tools.live.runtime import KEPT, Runtime
from tools.serve import HTML, serving

ASKED = bool(os.environ.get("DEEPOPT_LIVE"))
STATUS = ".run-status[role=status]"
OPEN = "document.querySelectorAll('details').forEach(one => { one.open = true })"
MINUTES = 5
PAGE = "chapters/principles/momentum.html"
NOT = "chapters/performance.html"
pytestmark = [
    pytest.mark.skipif(
        not (ASKED or KEPT.is_dir()),
        reason="Pyodide (40 MB) is not in .cache/pyodide: DEEPOPT_LIVE=1 fetches it",
    ),
    pytest.mark.xdist_group("run"),  # the site is copied once
]


@pytest.fixture(scope="module")
def address(
    running_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Serve a copy of the site with what LIVE=1 adds."""
    folder = tmp_path_factory.mktemp("run") / "html"
    if (HTML / "run").is_dir():  # built with LIVE=1
        with serving() as address:
            yield address
        return
    shutil.copytree(HTML, folder)
    build(folder, Runtime())
    with serving(folder) as address:
        yield address
    shutil.rmtree(folder)


@pytest.fixture
def visit(address: str, running_site: Site) -> Iterator[Visit]:
    context = running_site.new_context()
    yield Visit(context.new_page(), address)
    context.close()


def run(page: Page) -> str:
    """Run the whole page; return what is said at the end."""
    page.get_by_role("button", name=re.compile("^Run (this page|all again)$")).click()
    bar = page.locator(".run-bar")
    expect(bar).to_have_attribute(
        "data-state", re.compile("done|stopped"), timeout=MINUTES * 60_000
    )
    return page.locator(STATUS).inner_text()


def test_a_page_runs_and_what_it_shows_is_what_is_stored(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{visit.address}/{PAGE}")
    stored = page.locator("[data-output] table").all_inner_texts()
    cells = page.locator("[data-cell]").count()
    assert len(stored) > 5
    said = run(page)
    same, compared, numbers, glued = map(
        int, re.findall(r"(\d+) of (\d+) results .* (\d+) of (\d+) numbers", said)[0]
    )
    assert (same, numbers) == (compared, glued) and compared > len(stored)
    assert page.locator("[data-output] table").all_inner_texts() == stored
    assert page.locator(".run-same").count() == same
    drawn = page.locator("[data-output] .drawn-light img").all()
    assert drawn and all((i.get_attribute("src") or "")[:5] == "blob:" for i in drawn)
    page.evaluate(OPEN)
    assert page.get_by_role("button", name=re.compile("^Run cell")).count() == cells
    assert change(page) == ["2.5"]
    own = (visit.address, f"blob:{visit.address}", "data:")
    assert [url for url in visit.requests if not url.startswith(own)] == []
    # A stored picture may still be on its way when the fresh one comes.
    assert [url for url in visit.failed if "/_images/" not in url] == []
    assert visit.console == []
    assert violations(page) == []


def change(page: Page) -> list[str]:
    """Change the code of the last cell, by keyboard; return what it shows then."""
    page.evaluate(
        "document.querySelectorAll('details').forEach(d => { d.open = true })"
    )
    edit = page.get_by_role("button", name=re.compile("^Edit cell")).last
    edit.focus()
    page.keyboard.press("Enter")
    field = page.get_by_label(re.compile("^Code of cell"))
    expect(field).to_be_focused()
    field.fill("show.table(['half of five'], [(5 / 2,)])")
    page.keyboard.press("Control+Enter")
    mark = page.locator(".run-mark", has_text="of your code")
    expect(mark).to_contain_text("not what is stored")
    return page.locator("[data-output]:has(> .run-mark)").filter(
        has_text="half of five"
    ).locator("td").first.all_inner_texts()  # fmt: skip


def test_stop_forgets_and_the_page_can_run_again(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{visit.address}/{PAGE}")
    page.get_by_role("button", name="Run this page").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Run this page")).to_be_enabled()


def test_a_page_that_cannot_says_why_and_loads_nothing(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{visit.address}/{NOT}")
    said = page.locator(".run-bar").inner_text()
    assert said.startswith("This page does not run in the browser: it measures")
    assert page.locator(".run-bar button").count() == 0
    page.wait_for_load_state("networkidle")
    assert not [url for url in visit.requests if "pyodide" in url]


def test_before_the_button_is_pressed_a_page_loads_two_small_scripts(
    visit: Visit,
) -> None:
    visit.page.goto(f"{visit.address}/{PAGE}")
    visit.page.wait_for_load_state("networkidle")
    mine = {Path(url).name for url in visit.requests if "/run/" in url}
    assert mine == {"run.js", "show.js", "run.css"}
