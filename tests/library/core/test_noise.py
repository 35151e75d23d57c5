"""The watch, on clocks that go as the tests say, and the claims that hang on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from deepopt_lib import core
from deepopt_lib.core.noise import _loop

BUSY = "not confirmed: the machine is busy"


class Clocks:
    """A clock and the processor's, which only the loop and the tests move on."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0
        self.loops = 0
        self.takes: Iterator[tuple[float, float]] = repeat((2.0**-10, 2.0**-10))

    def loop(self, numbers: object) -> None:
        wall, processor = next(self.takes)
        self.wall += wall
        self.processor += processor
        self.loops += 1


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr("deepopt_lib.core.noise._loop", clocks.loop)
    monkeypatch.setattr(time, "perf_counter", lambda: clocks.wall)
    monkeypatch.setattr(time, "thread_time", lambda: clocks.processor)
    return clocks


def watch(clocks: Clocks, *takes: tuple[float, float]) -> core.Watch:
    """Watch once, with loops that take so long; the first one is not timed."""
    clocks.takes = iter([(100.0, 1.0), *takes, *[takes[-1]] * 20])
    with core.Watch() as found:
        pass
    return found


def test_a_quiet_machine_has_no_noise(clocks: Clocks) -> None:
    assert watch(clocks, (0.25, 0.25)).noise == 0.0
    assert clocks.loops == 1 + 20


def test_what_others_take_is_noise_though_the_loop_is_steady(clocks: Clocks) -> None:
    assert watch(clocks, (0.5, 0.25)).noise == 1.0


def test_unsteady_is_noise_though_nobody_takes_the_processor(clocks: Clocks) -> None:
    """Median over least, so that a single slow loop is none."""
    assert watch(clocks, (0.25, 0.25), (0.375, 0.375)).noise == 0.5
    once = [(0.25, 0.25)] * 3 + [(1.0, 1.0), (0.25, 0.25)]
    assert watch(clocks, *once).noise == 0.0


def test_both_add_up(clocks: Clocks) -> None:
    assert watch(clocks, (0.25, 0.125), (0.375, 0.1875)).noise == 1.5


def test_a_processor_that_counts_faster_than_the_clock_is_quiet(clocks: Clocks) -> None:
    assert watch(clocks, (0.25, 0.5)).noise == 0.0


def test_a_processor_whose_ticks_are_too_long_to_count(clocks: Clocks) -> None:
    assert watch(clocks, (0.25, 0.0), (0.375, 0.0)).noise == 0.5


def test_a_sample_stands_for_the_time_since_the_last(clocks: Clocks) -> None:
    """A loop for 20 ms, and a hundred at the most."""
    with core.Watch() as found:
        assert clocks.loops == 1 + 10
        for passed, due in [(0.0, 0), (0.019, 0), (0.021, 1), (0.07, 3), (9.0, 100)]:
            before = clocks.loops
            clocks.wall += passed
            assert found.sample() == (due > 0)
            assert clocks.loops == before + due
            clocks.wall = found._last
        clocks.wall += 0.51
    assert clocks.loops == before + 100 + 25


def test_the_loop_reads_two_megabytes() -> None:
    numbers = core.Watch()._numbers
    assert numbers.nbytes == 2**21
    assert _loop(numbers) == 16 * 2**18 + 40_000 * 39_999 / 2


def test_the_loop_is_about_a_millisecond() -> None:
    """A least time, and a wide range: another processor may be slower or faster."""
    with core.Watch() as found:
        pass
    assert 1e-4 < min(found._wall) < 2e-2


def test_nothing_was_watched() -> None:
    with pytest.raises(ValueError, match="nothing was watched"):
        _ = core.Watch().noise
    assert repr(core.Watch()) == "Watch()"


QUIET = core.Timings({"a": 0.5}, 0.2)
LOUD = core.Timings({"a": 0.5}, 0.85)


def claim(holds: bool, *measured: Any, **margin: float) -> None:
    with core.when_quiet(*measured, **margin):
        assert holds, "a is not faster"


def test_quiet_and_true(capsys: Any) -> None:
    claim(True, QUIET)
    assert capsys.readouterr().out == ""


def test_quiet_and_false() -> None:
    with pytest.raises(AssertionError, match="a is not faster") as caught:
        claim(False, QUIET)
    assert caught.value.__notes__ == [
        "noise 20 %, margin 20 %; measured {'a': 0.5}",
    ]


@pytest.mark.parametrize("holds", [True, False])
def test_a_busy_machine_confirms_nothing(holds: bool, capsys: Any) -> None:
    claim(holds, LOUD)
    assert capsys.readouterr().out == f"{BUSY} (noise 85 %, margin 20 %)\n"


def test_the_noisiest_counts_and_one_line_is_said(capsys: Any) -> None:
    claim(False, QUIET, LOUD, QUIET)
    assert capsys.readouterr().out == f"{BUSY} (noise 85 %, margin 20 %)\n"


def test_the_margin_is_the_claims_own(capsys: Any) -> None:
    claim(True, LOUD, margin=0.9)
    with pytest.raises(AssertionError):
        claim(False, LOUD, margin=0.9)
    assert capsys.readouterr().out == ""
    claim(False, QUIET, margin=0.1)
    assert capsys.readouterr().out == f"{BUSY} (noise 20 %, margin 10 %)\n"


def test_a_watch_says_what_it_saw(clocks: Clocks) -> None:
    quiet = watch(clocks, (0.25, 0.25))
    with pytest.raises(AssertionError) as caught:
        claim(False, quiet)
    assert caught.value.__notes__ == [
        "noise 0 %, margin 20 %; measured Watch(noise=0.000)"
    ]


def test_other_errors_are_errors_on_a_busy_machine_too(capsys: Any) -> None:
    with pytest.raises(KeyError), core.when_quiet(LOUD):
        _ = LOUD["b"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("measured", "margin", "message"),
    [
        ([], 0.2, "needs at least one measurement, got none"),
        ([{"a": 1.0}], 0.2, r"must have a noise, got \{'a': 1.0\}"),
        ([QUIET, 0.3], 0.2, "must have a noise, got 0.3"),
        ([QUIET], 0.0, r"margin must be in \(0, 1\], got 0.0"),
        ([QUIET], 1.5, r"margin must be in \(0, 1\], got 1.5"),
        ([QUIET], True, r"margin must be in \(0, 1\], got True"),
        ([core.Timings({}, -0.1)], 0.2, r"noise must be in \[0, inf\), got -0.1"),
        ([core.Timings({}, float("inf"))], 0.2, "noise must be .* got inf"),
        ([core.Timings({}, float("nan"))], 0.2, "noise must be .* got nan"),
    ],
)
def test_bad_claims(measured: list[Any], margin: float, message: str) -> None:
    """Refused before the block is entered."""
    with (
        pytest.raises(ValueError, match=message),
        core.when_quiet(*measured, margin=margin),
    ):
        raise RuntimeError("entered")
