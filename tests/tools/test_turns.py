"""Workers share the machine, but for the one whose cell times something."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tools.turns import TIMES, turn


def at_once(folder: Path, kinds: list[bool]) -> list[tuple[bool, int]]:
    """Hold turns in threads; return how many were inside with each of them."""
    inside: set[int] = set()
    seen: list[tuple[bool, int]] = []

    def hold(i: int, alone: bool) -> None:
        with turn(folder, alone=alone):
            inside.add(i)
            time.sleep(0.05)
            seen.append((alone, len(inside)))
            time.sleep(0.05)
            inside.remove(i)

    threads = [
        threading.Thread(target=hold, args=each) for each in list(enumerate(kinds))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return seen


def test_those_that_time_are_alone_and_the_others_are_not(tmp_path: Path) -> None:
    assert at_once(tmp_path, [False, False]) == [(False, 2)] * 2
    assert at_once(tmp_path, [True, True]) == [(True, 1)] * 2
    seen = at_once(tmp_path, [False, True, False, True])
    assert [count for alone, count in seen if alone] == [1, 1]


def test_nobody_slips_past_one_who_waits(tmp_path: Path) -> None:
    order: list[str] = []

    def hold(name: str, alone: bool, seconds: float) -> None:
        with turn(tmp_path, alone=alone):
            order.append(name)
            time.sleep(seconds)

    turns = [("first", False, 0.2), ("timed", True, 0.0), ("late", False, 0.0)]
    threads = [threading.Thread(target=hold, args=each) for each in turns]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join(10)
    assert order == ["first", "timed", "late"]


@pytest.mark.parametrize(
    ("source", "times"),
    [
        ("least = core.least_seconds(calls)", True),
        ("with core.when_quiet(least):\n    assert a < b", True),
        ("with core.Watch() as machine:\n    pass", True),
        ("show.source(core.Watchful)", False),
        ("fit(model)", False),
    ],
)
def test_cells_that_time_are_known_by_what_they_call(source: str, times: bool) -> None:
    assert bool(TIMES.search(source)) is times
