"""The stopwatch, on a clock that goes as the tests say."""

import math
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat

import pytest

from deepopt_lib import core
from deepopt_lib.core.timing import SERIES


class Clock:
    """Time that passes only when something is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def call(self, name: str, seconds: Iterator[float]) -> Callable[[], None]:
        def spend() -> None:
            self.log.append(name)
            self.now += next(seconds)

        return spend


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("deepopt_lib.core.timing.time.perf_counter", lambda: clock.now)
    monkeypatch.setattr("deepopt_lib.core.noise._loop", lambda numbers: None)
    monkeypatch.setattr(core.Watch, "sample", lambda self: False)
    monkeypatch.setattr(core.Watch, "noise", 0.125)
    return clock


def test_the_least_of_each_in_turns_after_a_first_call(clock: Clock) -> None:
    a = clock.call("a", chain([0.25], [4.0, 2.0, 3.0], repeat(2.5)))
    b = clock.call("b", chain([0.25], [8.0, 8.0, 5.0], repeat(6.0)))
    assert core.least_seconds({"a": a, "b": b}, rounds=3) == {"a": 2.0, "b": 5.0}
    assert clock.log == ["a", "b"] * (1 + 3 + 3)  # a second series lowers nothing


def test_goes_on_while_times_fall(clock: Clock) -> None:
    falling = clock.call(
        "a", chain([9.0], [8.0, 8.0, 7.0, 7.0, 6.875, 6.875], repeat(9.0))
    )
    assert core.least_seconds({"a": falling}, rounds=2) == {"a": 6.875}
    assert len(clock.log) == 1 + 3 * 2  # 6.875 is less than 2 % below 7


def test_gives_up_on_a_machine_that_never_settles(clock: Clock) -> None:
    halves = clock.call("a", (2.0**-k for k in count()))
    assert core.least_seconds({"a": halves}, rounds=1) == {"a": 2.0**-SERIES}


def test_two_percent_less_is_settled(clock: Clock) -> None:
    a = clock.call("a", chain([100.0, 50.0, 49.0], repeat(60.0)))
    assert core.least_seconds({"a": a}, rounds=1) == {"a": 49.0}
    assert len(clock.log) == 1 + 2


def test_seven_rounds_a_series_and_six_series_at_most(clock: Clock) -> None:
    core.least_seconds({"a": clock.call("a", repeat(1.0))})
    assert len(clock.log) == 1 + 2 * 7
    core.least_seconds({"b": clock.call("b", (2.0**-k for k in count()))}, rounds=1)
    assert clock.log.count("b") == 1 + 6


def test_what_is_done_before_a_call_is_not_timed(clock: Clock) -> None:
    flush = clock.call("flush", repeat(100.0))
    a = clock.call("a", repeat(1.0))
    assert core.least_seconds({"a": a}, rounds=2, before=flush) == {"a": 1.0}
    assert clock.log == ["a", *["flush", "a"] * 4]


def test_after_the_loop_the_first_call_is_not_timed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop runs ahead of the first round alone: then the caches are its own."""
    ran = chain([True], repeat(False))
    monkeypatch.setattr(core.Watch, "sample", lambda self: next(ran))
    a = clock.call("a", chain([0.25, 0.5], repeat(1.0)))
    b = clock.call("b", chain([0.25], repeat(2.0)))
    assert core.least_seconds({"a": a, "b": b}, rounds=2) == {"a": 1.0, "b": 2.0}
    assert clock.log == ["a", "b", "a", *["a", "b"] * 4]


def test_the_noise_comes_with_the_times(clock: Clock) -> None:
    found = core.least_seconds({"a": clock.call("a", repeat(1.0))})
    assert isinstance(found, core.Timings)
    assert found.noise == 0.125


def test_the_machine_is_watched_while_the_calls_are_made() -> None:
    """On the real clock: an idle process is quiet or not, but it is watched."""
    assert 0 <= core.least_seconds({"a": int}, rounds=1).noise < math.inf


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="got none"):
        core.least_seconds({})
    for rounds in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=f"rounds .* got {rounds}"):
            core.least_seconds({"a": int}, rounds=rounds)  # type: ignore[arg-type]
