"""Cells as the browser runs them: what they show, and what stands in there."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tools.live.session import Session
from tools.live.stand_in import FONT, NotHereError, one_by_one, refuse
from tools.notebooks import ROOT

CELLS = [
    "from myst_nb import glue\nfrom deepopt_lib import core, trials\n"
    "from deepopt_lib.book import plot, show\nplot.style()\n"
    "glue('n', 3, display=False)",
    "glue('shown', 'text')",
    "show.table(['a'], [(1.5,)])",
    "ax = plot.figure('Title $x$', 'x', 'y')\nax.plot([0, 1])\n_ = ax.set_xlim(0, 1)",
    "fig, axes = plot.panels(2, 'Two')\nfig",
    "watch = core.Watch()\nwith watch: pass\n"
    "with core.when_quiet(watch):\n    assert 1 > 2\n"
    "import time\nassert time.thread_time is time.perf_counter\n"
    "calls = []\n"
    "least = core.least_seconds({'nothing': lambda: calls.append(1)}, rounds=1)\n"
    "assert least['nothing'] == 1e-4 and len(calls) == 2\n"
    "from deepopt_lib.compress import sparse\n"
    "assert sparse.least_seconds is core.least_seconds\n"
    "watch.noise >= 0",
    "from safetensors.numpy import save_file\nsave_file({}, 'x')",
    "import subprocess\nsubprocess.run(['true'])",
    "from tqdm.auto import tqdm\n"
    "with tqdm([1, 2], 'runs', total=2) as bar:\n    bar.update()\nlist(tqdm([1, 2]))",
    "def one(seed):\n    return trials.Trained(1.0 * seed, 1)\n\n"
    "def two(seed):\n    return trials.Trained(2.0 * seed, 1)\n\n"
    "each = {f.__name__: trials.Contestant(f) for f in (one, two)}\n"
    "how = {'tuning': (), 'scale': 1, 'unequal': 'so'}\n"
    "race = trials.Comparison('none', each, **how).run(jobs=1)\n"
    "race.mean('two') > race.mean('one')",
]
PROGRAM = """
import json, sys
from tools.live.session import Session
session = Session()
session.start()
print(json.dumps([json.loads(session.run(cell)) for cell in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def outputs() -> list[list[dict[str, Any]]]:
    """Run in a process of its own: stand-ins would stay in this one."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(CELLS), text=True,
        capture_output=True, cwd=ROOT, check=True,
    )  # fmt: skip
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_glue_is_kept_and_shown_if_asked_to(
    outputs: list[list[dict[str, Any]]],
) -> None:
    assert outputs[0] == [{"kind": "glue", "name": "n", "text": "3"}]
    assert outputs[1] == [
        {"kind": "text/plain", "text": "'text'"},
        {"kind": "glue", "name": "shown", "text": "'text'"},
    ]


def test_a_table_is_its_markdown(outputs: list[list[dict[str, Any]]]) -> None:
    text = "| a |\n| --: |\n| 1.5 |"
    assert outputs[2] == [{"kind": "text/markdown", "text": text}]


def test_a_figure_is_shown_once_at_both_widths(
    outputs: list[list[dict[str, Any]]],
) -> None:
    for shown in (outputs[3], outputs[4]):
        [figure] = shown
        assert set(figure) == {"kind", "text", "narrow"}
        assert figure["kind"] == "image/svg+xml"
        assert figure["text"].startswith("<svg") and figure["narrow"] != figure["text"]


def test_a_claim_about_time_is_not_judged(outputs: list[list[dict[str, Any]]]) -> None:
    said, value = outputs[5]
    assert said["kind"] == "stream" and "not confirmed" in said["text"]
    assert value == {"kind": "text/plain", "text": "True"}


@pytest.mark.parametrize("cell, what", [(6, "safetensors"), (7, "another program")])
def test_what_the_browser_has_not_says_so(
    outputs: list[list[dict[str, Any]]], cell: int, what: str
) -> None:
    [error] = outputs[cell]
    assert error["name"] == "NotHereError"
    assert f"NotHereError: {what} is not there" in error["text"]


def test_a_bar_shows_nothing(outputs: list[list[dict[str, Any]]]) -> None:
    assert outputs[8] == [{"kind": "text/plain", "text": "[1, 2]"}]


def test_a_comparison_finds_the_code_of_its_cell(
    outputs: list[list[dict[str, Any]]],
) -> None:
    assert outputs[9] == [{"kind": "text/plain", "text": "True"}]


def run(*cells: str) -> list[dict[str, Any]]:
    session = Session()
    for cell in cells:
        text = session.run(cell)
    found: list[dict[str, Any]] = json.loads(text)
    return found


def test_cells_share_their_names() -> None:
    assert run("a = 2", "a + 1") == [{"kind": "text/plain", "text": "3"}]
    assert run("__name__") == [{"kind": "text/plain", "text": "'__main__'"}]


def test_equal_constants_of_two_statements_are_two_objects() -> None:
    cell = "def a(x=(3, 1)): pass\ndef b(x=(3, 1)): pass\n"
    cell += "a.__defaults__[0] is b.__defaults__[0]"
    assert run(cell) == [{"kind": "text/plain", "text": "False"}]


@pytest.mark.parametrize("cell", ["", "# nothing", "None", "a = 1", "1;", "def f(): 1"])
def test_no_value_shows_nothing(cell: str) -> None:
    assert run(cell) == []


def test_what_is_printed_comes_first() -> None:
    said, value = run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n7")
    assert said == {"kind": "stream", "text": "out\nerr\n"}
    assert value["text"] == "7"


def test_a_traceback_begins_at_the_cell_and_shows_its_line() -> None:
    said, error = run("x = 1\nprint('before')\nassert x > 1")
    assert said["text"] == "before\n"
    assert error["name"] == "AssertionError"
    assert "session.py" not in error["text"]
    assert 'File "<cell 1>", line 3' in error["text"]
    assert "assert x > 1" in error["text"]
    [wrong] = run("a b")
    assert wrong["name"] == "SyntaxError"


def test_a_font_is_told_property_by_property() -> None:
    style = (
        "font: italic normal 700 9.5px 'DejaVu Sans', sans-serif; text-anchor: middle"
    )
    assert FONT.sub(one_by_one, style) == (
        "font-size: 9.5px; font-family: 'DejaVu Sans', sans-serif; font-style: italic; "
        "font-weight: 700; text-anchor: middle"
    )
    assert FONT.sub(one_by_one, "font: 10px a") == "font-size: 10px; font-family: a"


def test_what_is_not_there_names_itself() -> None:
    with pytest.raises(NotHereError, match="a pool is not there in a browser"):
        refuse("a pool")(1, two=2)
