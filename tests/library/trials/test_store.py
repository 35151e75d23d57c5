"""What is kept of a run, and how it is read again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.trials import pack, unpack
from deepopt_lib.trials.store import Result, Store, folder


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 10000])
def test_scores_come_back(n: int) -> None:
    rng = np.random.default_rng(n)
    singles = rng.standard_normal(n).astype(np.float32).astype(float)
    for scores in (rng.random(n) < 0.5, singles):
        again = unpack(pack(scores))
        assert again.dtype == scores.dtype
        np.testing.assert_array_equal(again, scores)


def test_a_single_number_is_kept_exactly() -> None:
    assert unpack(pack(np.array([0.1])))[0] == 0.1
    assert unpack(pack(np.array([0.1, 0.1])))[0] == np.float32(0.1)


def test_a_boolean_takes_a_bit() -> None:
    assert len(pack(np.zeros(10000, bool))) < 10000 / 8 * 4 / 3 + 20


@pytest.mark.parametrize(
    "text", ["", "bits", "bits 9 AA==", "floats 1 AA==", "other 1 AA==", "bits 1 ?"]
)
def test_damaged_scores(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(text)


def test_where_a_page_keeps_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "chapters" / "practice"
    inner.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert folder() is None
    for place in (inner, inner.parent):
        monkeypatch.chdir(place)
        assert folder() == tmp_path / "chapters" / "trials"


def test_without_a_place_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(None, "x")
    store.put("k", "a run", Result(np.ones(3, bool), 5, {"bytes": 2}))
    assert "k" in store
    assert store["k"].cost == 5
    store.save()
    assert not list(tmp_path.iterdir())


def test_a_run_is_kept_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, "x")
    result: Any = Result(np.array([0.5, np.nan]), 5, {"bytes": 2})
    store.put("k", "a run", result)
    store.put("unused", "another", result)
    assert store["k"].notes == {"bytes": 2}
    store.save(whole=False)
    assert "unused" in Store(tmp_path, "x")
    store.save()
    again = Store(tmp_path, "x")
    assert "unused" not in again
    np.testing.assert_array_equal(again["k"].scores, result.scores)
