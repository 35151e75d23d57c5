"""Comparisons: the rules of the game, with simulated contestants."""

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from deepopt_lib.trials import (
    Choices,
    Comparison,
    Contestant,
    Rates,
    Report,
    Trained,
    Verdict,
    gain,
    run,
)
from deepopt_lib.trials.run import Job, Runner
from deepopt_lib.trials.store import Result

N = 400


class Pupils(NamedTuple):
    """Questions x, whose answers are all 1."""

    x_val: Any
    y_val: Any
    x_test: Any
    y_test: Any


ITEMS = Pupils(
    np.arange(100.0), np.ones(100, int), np.arange(100.0, 100 + N), np.ones(N, int)
)


def answers(seed: int, x: Any, share: float) -> Any:
    """Answer a share of the questions; who is asked twice answers alike."""
    rng = np.random.default_rng([seed, len(x)])
    return (rng.random(len(x)) < share).astype(int)


def good(seed: int, lr: float = 1.0) -> Trained:
    """Be right in 90 % of the cases at a rate of 1, less elsewhere."""
    share = 0.9 - 0.1 * abs(math.log10(lr))
    return Trained(lambda x: answers(seed, x, share), 10, {"bytes": seed + 5})


def fair(seed: int, lr: float = 1.0) -> Trained:
    share = 0.8 - 0.1 * abs(math.log10(lr))
    return Trained(lambda x: answers(seed + 7, x, share), 10)


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Return a list to which every run is added."""
    done: list[Job] = []
    before = Runner._named

    def noted(self: Runner, job: Job) -> Result:
        done.append(job)
        return before(self, job)

    monkeypatch.setattr(Runner, "_named", noted)
    return done


def compare(place: Path, **changes: Any) -> Report:
    given: dict[str, Any] = {
        "name": "a-test",
        "contestants": {"good": Contestant(good), "fair": Contestant(fair)},
        "items": ITEMS,
    }
    return Comparison(**given | changes).run(place, jobs=1)


def test_the_better_one_is_found(tmp_path: Path) -> None:
    report = compare(tmp_path)
    assert report.leader == "good"
    assert report.mean("good") == pytest.approx(90, abs=2)
    d = report.ahead("good", "fair")
    assert d.low < 10 < d.high
    assert d.low > 5
    assert report.ahead("fair", "good").mean == pytest.approx(-d.mean)
    assert gain(d, 10) is Verdict.REPRODUCED
    assert report.apart() == ["fair"]
    assert report.note("good", "bytes") == 7
    assert report.scores["good"].shape == (5, N)


def test_simulated_comparisons_err_as_promised(tmp_path: Path) -> None:
    """Three alike: in 5 % of the comparisons one of them is called different."""
    errors = 0
    for i in range(60):
        rng = np.random.default_rng(i)
        scores = {k: rng.random((5, 200)) < 0.8 for k in "abc"}
        report = Report(
            scores={k: v.astype(float) for k, v in scores.items()},
            failures={},
            notes={},
            best={},
            tried={},
            border={},
            costs={},
            budget="steps",
            higher=True,
            scale=100,
        )
        errors += bool(report.apart())
    assert errors <= 8  # 3 expected; more than 8 in 1 % of the cases


def test_the_best_rate_is_found_though_the_grid_lacks_it(tmp_path: Path) -> None:
    for rates in (Rates(0.001, 0.01), Rates(100, 1000)):
        grid = {"good": Contestant(good, {"lr": rates}), "fair": Contestant(fair)}
        report = compare(tmp_path, contestants=grid)
        assert report.best["good"]["lr"] == pytest.approx(1)
        assert report.tried == {"good": 5, "fair": 1}
        assert report.border == {"good": [], "fair": []}


def rising(seed: int, lr: float, kind: str = "a") -> Trained:
    return Trained(lambda x: answers(seed, x, min(0.9, 0.1 * math.log10(lr))), 10)


def test_what_is_best_on_the_border_says_so(tmp_path: Path) -> None:
    grid: dict[str, Any] = {"lr": Rates(1, 2), "kind": Choices("a", "b")}
    both = {"rising": Contestant(rising, grid), "fair": Contestant(fair)}
    report = compare(tmp_path, contestants=both)
    assert report.border["rising"] == ["lr"]
    assert "(border)" in report.table()[1][0][1]


def test_ends_that_nature_sets_may_win(tmp_path: Path) -> None:
    grid = {"lr": Rates(0.01, 0.1, high=0.1)}
    report = compare(
        tmp_path, contestants={"g": Contestant(good, grid), "fair": Contestant(fair)}
    )
    assert report.best["g"] == {"lr": 0.1}
    assert report.border["g"] == []


def spy(seed: int, lr: float) -> Trained:
    return Trained(lambda x: answers(seed, x, 0.5), 10)


def test_tuning_sees_no_test_item_and_no_seed_of_the_report(
    tmp_path: Path, runs: list[Job]
) -> None:
    grid = {"lr": Rates(1, 2, 4, low=1, high=4)}
    report = compare(
        tmp_path, contestants={"spy": Contestant(spy, grid), "fair": Contestant(fair)}
    )
    found = {(j.seed, j.setting["lr"], j.test) for j in runs if j.name == "spy"}
    tuned = {(seed, lr, False) for seed in (100, 101) for lr in (1, 2, 4)}
    best = report.best["spy"]["lr"]
    assert found == tuned | {(seed, best, True) for seed in range(5)}


def test_a_second_time_costs_one_run(tmp_path: Path, runs: list[Job]) -> None:
    first = compare(tmp_path)
    assert len(runs) == 10
    second = compare(tmp_path)
    assert len(runs) == 11
    for name, scores in first.scores.items():
        np.testing.assert_array_equal(scores, second.scores[name])
    assert first.notes == second.notes
    assert len(json.loads((tmp_path / "a-test.json").read_text())["runs"]) == 10


def test_what_is_kept_no_longer_than_needed(tmp_path: Path) -> None:
    compare(tmp_path, seeds=(0, 1, 2, 3))
    compare(tmp_path, seeds=(2, 3))
    assert len(json.loads((tmp_path / "a-test.json").read_text())["runs"]) == 4


def test_a_kept_result_that_is_wrong_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(tmp_path)
    path = tmp_path / "a-test.json"
    content = json.loads(path.read_text())
    zeros = compare(tmp_path / "other", contestants={"a": ZERO, "b": ZERO})
    assert zeros.mean("a") == 0
    wrong = json.loads((tmp_path / "other/a-test.json").read_text())["runs"]
    bits = next(iter(wrong.values()))["scores"]
    for entry in content["runs"].values():
        entry["scores"] = bits
    path.write_text(json.dumps(content))
    with pytest.raises(RuntimeError, match="is not what is computed now"):
        compare(tmp_path)
    monkeypatch.setenv("DEEPOPT_TRIALS", "check")
    with pytest.raises(RuntimeError, match="is not what is computed now"):
        compare(tmp_path)
    monkeypatch.setenv("DEEPOPT_TRIALS", "again")
    assert compare(tmp_path).mean("good") > 80


def test_all_is_computed_again_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[Job]
) -> None:
    compare(tmp_path)
    for mode, total in (("again", 20), ("check", 30)):
        monkeypatch.setenv("DEEPOPT_TRIALS", mode)
        compare(tmp_path)
        assert len(runs) == total


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for text in ("", "{}", '{"runs": 3', "[1]"):
        (tmp_path / "a-test.json").write_text(text)
        with pytest.raises(ValueError, match=r"a-test\.json is damaged"):
            compare(tmp_path)


def test_two_processes_find_the_same(tmp_path: Path) -> None:
    one = compare(tmp_path / "one")
    contestants = {"good": Contestant(good), "fair": Contestant(fair)}
    two = Comparison("a-test", contestants, ITEMS).run(tmp_path / "two", jobs=2)
    for name, scores in one.scores.items():
        np.testing.assert_array_equal(scores, two.scores[name])


def stopping(seed: int) -> Trained:
    if seed == 3:
        raise KeyboardInterrupt
    return good(seed)


def test_a_comparison_that_is_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SECONDS", 0.0)
    both = {"stopping": Contestant(stopping), "fair": Contestant(fair)}
    with pytest.raises(KeyboardInterrupt):
        compare(tmp_path, contestants=both)
    kept = json.loads((tmp_path / "a-test.json").read_text())["runs"].values()
    assert [entry["run"] for entry in kept if "stopping" in entry["run"]]
    assert len(kept) == 3


@pytest.mark.parametrize(
    ("stored", "now", "expected"),
    [
        ([True, False, True, True], [True, True, True, False], 0.0),
        ([True, False, True, True], [True, False, False, True], 0.25),
        ([2.0, 4.0], [2.0, 5.5], 0.25),
        ([math.inf], [math.inf], 0.0),
        ([math.nan], [1e12], 0.0),  # who diverges ends anywhere
        ([-1e9], [math.inf], 0.0),
        ([1.0, math.nan], [1.0, 3.0], math.inf),
        ([3.0], [math.nan], math.inf),
        ([0.0], [0.0], 0.0),
    ],
)
def test_how_far_a_result_has_moved(stored: Any, now: Any, expected: float) -> None:
    assert run._moved(np.array(stored), np.array(now)) == expected


def zero(seed: int) -> Trained:
    return Trained(lambda x: 0 * x.astype(int), 10)


def exploding(seed: int, lr: float) -> Trained:
    return Trained(math.nan if lr > 1 or seed == 2 else 3.0 + seed, 10)


def steady(seed: int, lr: float) -> Trained:
    return Trained(4.0 + 1.1 * seed, 10)


ZERO = Contestant(zero)


def test_what_is_no_number_is_a_failure(tmp_path: Path) -> None:
    grid = {"lr": Rates(0.5, 1, 2)}
    contestants = {
        "exploding": Contestant(exploding, grid),
        "steady": Contestant(steady, {"lr": Rates(0.5, 1, 2)}),
    }
    report = compare(
        tmp_path, contestants=contestants, items=None, higher=False, worst=50, scale=1
    )
    assert report.best["exploding"]["lr"] <= 1
    assert report.failures == {"exploding": 1, "steady": 0}
    assert report.scores["exploding"].tolist() == [[3], [4], [50], [6], [7]]
    assert report.leader == "steady"
    assert "(1 failed)" in report.table()[1][0][3]


def test_lower_is_better(tmp_path: Path) -> None:
    contestants = {
        "low": Contestant(steady, {"lr": Choices(1.0)}),
        "high": Contestant(higher, None),
    }
    report = compare(
        tmp_path, contestants=contestants, items=None, higher=False, worst=9, scale=1
    )
    assert report.leader == "low"
    assert report.ahead("low", "high").mean == pytest.approx(2)


def higher(seed: int) -> Trained:
    return Trained(6.0 + 1.1 * seed, 10)


def dear(seed: int) -> Trained:
    return Trained(lambda x: answers(seed, x, 0.5), 10.3)


def test_budgets_must_be_equal_unless_that_is_the_point(tmp_path: Path) -> None:
    both = {"dear": Contestant(dear), "fair": Contestant(fair)}
    with pytest.raises(ValueError, match="budgets differ: 'fair' has 10 steps, 'dear'"):
        compare(tmp_path, contestants=both)
    report = compare(tmp_path, contestants=both, unequal="its price is the question")
    assert report.table(costs=True)[1][1][3] == "10"


def other(seed: int) -> Trained:
    return Trained(lambda x: answers(seed, x, 0.5)[:50], 10)


def number(seed: int) -> Trained:
    return Trained(3.0, 10)


@pytest.mark.parametrize(
    ("contestant", "message"),
    [(other, "could not be broadcast|scored on other items"), (number, "a function")],
)
def test_contestants_with_other_items(
    contestant: Any, message: str, tmp_path: Path
) -> None:
    both = {"other": Contestant(contestant), "fair": Contestant(fair)}
    with pytest.raises(ValueError, match=message) as error:
        compare(tmp_path, contestants=both)
    assert error.value.__notes__ == ["in the run other, seed 0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (0,)}, "one seed shows no spread"),
        ({"seeds": ()}, "one seed shows no spread"),
        ({"seeds": (1, 1)}, "seeds must differ"),
        ({"tuning": (5, 5)}, "tuning must differ"),
        ({"seeds": (0, 100)}, r"seeds \[100\] are for tuning and for the report"),
        ({"seeds": (0, -1)}, "one of seeds must be"),
        ({"name": "A test"}, "name must be of a-z"),
        ({"contestants": {"good": Contestant(good)}}, "it takes two contestants"),
        ({"higher": False}, "worst must be given"),
    ],
)
def test_rules_of_the_game(changes: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        compare(tmp_path, **changes)
    assert not os.listdir(tmp_path)


def test_a_grid_needs_a_seed_to_tune_with(tmp_path: Path) -> None:
    both = {"a": Contestant(good, {"lr": Rates(1, 2)}), "b": Contestant(fair)}
    with pytest.raises(ValueError, match="tuning must name a seed"):
        compare(tmp_path, contestants=both, tuning=())


def test_empty_and_wrong_grids() -> None:
    with pytest.raises(ValueError, match="grid must not be empty"):
        Contestant(good, {})
    wrong: Any = {"lr": [0.1, 1]}
    with pytest.raises(ValueError, match=r"grid\['lr'\] must be Rates or Choices"):
        Contestant(good, wrong)


def test_the_table(tmp_path: Path) -> None:
    header, rows = compare(tmp_path).table(reference="fair")
    assert header == ["method", "best setting", "tried", "score", "ahead of fair", "p"]
    assert rows[0][4].startswith("+")
    assert rows[1][4:] == ["", ""]
    assert len(rows) == 2
