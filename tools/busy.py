"""Count the claims about time that a busy machine left open, as a plugin of pytest.

`deepopt_lib.core.when_quiet` says so in a line, in a cell or in a test. That line is
kept with the report, so that it comes back from a worker too, and all are told at the
end and appended to a file, from which ``make test`` tells them once more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

SAID = "not confirmed: the machine is busy"
FILE = ".cache/unconfirmed.txt"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep with the report what its cell, or its test, did not confirm."""
    report = yield
    if report.when == "call":
        lines = _printed(item, report).splitlines()
        found = [(SAID, line) for line in lines if line.startswith(SAID)]
        report.user_properties.extend(found)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many claims are open, and where."""
    open_claims = list(_open(terminalreporter.stats))
    a_worker = hasattr(terminalreporter.config, "workerinput")  # tells nobody
    if a_worker or not open_claims:
        return
    count = len(open_claims)
    terminalreporter.section(f"{count} timing claim{'s' * (count > 1)} {SAID}")
    for line in open_claims:
        terminalreporter.line(line)
    path = terminalreporter.config.rootpath / FILE
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf8") as file:
        file.writelines(f"{line}\n" for line in open_claims)


def _printed(item: Any, report: pytest.TestReport) -> str:
    """Return what the cell of a notebook printed, or what a test did."""
    outputs = getattr(item, "test_outputs", None) or ()
    return report.capstdout + "".join(o.get("text", "") for o in outputs)


def _open(stats: dict[str, list[Any]]) -> Iterator[str]:
    for reports in stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == SAID:
                    yield f"{report.nodeid}{str(line).removeprefix(SAID)}"
