"""The checks of mpi_worker.py on ranks that are threads, and what ends a job."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Array, Params, checksum, read_arrays
from deepopt_lib.optim import Optimizer, adam, momentum
from deepopt_lib.parallel import (
    DataParallel,
    LocalSGD,
    PowerSGD,
    Ranks,
    SharedError,
    Strategy,
    ZeRO1,
    fit,
)
from deepopt_lib.parallel.agreement import agreed_step, facts
from deepopt_lib.parallel.errors import sentence
from tests.library.parallel import mpi_worker
from tests.library.parallel.threads import run_ranks

pytestmark = pytest.mark.usefixtures("quick")


def on(n: int, work: Any) -> list[Any]:
    """Return what ``work`` returns on each rank; raise the error of one that fails."""
    found = run_ranks(n, work)
    for one in found:
        if isinstance(one, BaseException) and "Broken" not in type(one).__name__:
            raise one
    return found


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("check", mpi_worker.CHECKS)
def test_ranks_together(check: Any, n: int) -> None:
    on(n, check)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_resumed_run_ends_with_the_same_bits(n: int, tmp_path: Path) -> None:
    on(n, lambda ranks: mpi_worker.check_resumed(ranks, str(tmp_path)))


def test_only_rank_0_shows_progress(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TQDM_DISABLE")
    bars = []

    def bar(epochs: Any, *words: Any, disable: bool, **more: Any) -> Any:
        bars.append(disable)
        return epochs

    monkeypatch.setattr("deepopt_lib.training.loop.tqdm", bar)
    on(3, lambda ranks: mpi_worker.train(ranks, DataParallel(adam(0.1)), epochs=1))
    assert sorted(bars) == [False, True, True]


class Stubborn:
    """A rule that has a step on the first ranks alone."""

    elementwise = True

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def __repr__(self) -> str:
        return "Stubborn()"

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        if self.ranks.rank == self.ranks.size - 1:
            raise KeyError("no step")
        return g, s


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_that_is_not_shared_aborts_the_job(
    n: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """One rank has it: the others would wait for ever. Alone it is just raised."""
    comms = {}

    def work(ranks: Ranks) -> None:
        comms[ranks.rank] = ranks.comm
        strategy = LocalSGD(Optimizer(Stubborn(ranks), 0.1))
        mpi_worker.train(ranks, strategy)

    found = run_ranks(n, work)
    assert isinstance(found[-1], KeyError)
    assert comms[0].job.aborted[:1] == ([1] if n > 1 else [])
    said = capfd.readouterr().err
    assert ("rank 1 of 2: KeyError: 'no step'" in said) == (n > 1)
    assert ("Traceback" in said) == (n > 1)


def test_sentences() -> None:
    assert sentence(ValueError("w is 3")) == "w is 3"
    assert sentence(ValueError()) == "ValueError"
    assert sentence(OSError(28, "No space")) == "[Errno 28] No space"
    assert sentence(KeyError("w")) == "KeyError: 'w'"
    assert sentence(MemoryError()) == "MemoryError"


def test_an_error_keeps_its_cause() -> None:
    def work(ranks: Ranks) -> Any:
        def one() -> None:
            if ranks.rank == 1:
                raise KeyError("w")

        with pytest.raises(SharedError, match=r"^rank 1: KeyError: 'w'$") as caught:
            ranks.together(one)
        return type(caught.value.__cause__)

    assert on(2, work) == [type(None), KeyError]


def test_a_span_is_contiguous_and_even() -> None:
    def work(ranks: Ranks) -> list[slice]:
        return [ranks.span(n) for n in (0, 1, 2, 3, 7, 12)]

    spans = on(3, work)
    for n, each in zip((0, 1, 2, 3, 7, 12), zip(*spans, strict=True), strict=True):
        assert np.concatenate([np.arange(n)[s] for s in each]).tolist() == [*range(n)]
        sizes = [s.stop - s.start for s in each]
        assert max(sizes) - min(sizes) <= 1


def test_a_rank_without_a_sample_adds_nothing() -> None:
    """Four ranks, and two samples in the last batch: loss and steps of one process."""

    def work(ranks: Ranks) -> Any:
        return mpi_worker.train(ranks, DataParallel(adam(0.1)), epochs=2)

    one, four = on(1, work)[0], on(4, work)[0]
    np.testing.assert_allclose(four.loss, one.loss, rtol=1e-12)
    mpi_worker.close(four.params, one.params, 1e-9)


@pytest.mark.parametrize("n", [1, 3])
def test_one_sample_for_each_rank_is_enough(n: int) -> None:
    few = {"x": mpi_worker.X[:n], "y": mpi_worker.Y[:n], "batch_size": n}
    runs = on(n, lambda r: mpi_worker.train(r, DataParallel(adam(0.1)), **few))
    assert all(len(run.loss) == 3 for run in runs)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_is_not_finite_has_its_name(bad: int) -> None:
    """The first gradient, the last one, or the loss alone; not what is finite."""
    parts = [1.0, 1.0, 1.0]
    names = ["the gradient of a", "the gradient of b", "the loss"]

    def step(ranks: Ranks, a: float, b: float, loss: float) -> Any:
        grads = {"a": np.array([1.0, a]), "b": np.array([b])}
        return agreed_step(ranks, 5, np.arange(3), lambda: (loss, grads))

    assert on(2, lambda ranks: step(ranks, *parts)[0]) == [1.0, 1.0]
    parts[bad] = np.inf

    def work(ranks: Ranks) -> None:
        step(ranks, *(parts if ranks.rank else (1.0, 1.0, 1.0)))

    said = f"^step 5: {names[bad]} is NaN or infinite on rank 1$"
    with pytest.raises(SharedError, match=said):
        on(2, work)


def test_what_a_rank_tells_of_its_checkpoint(tmp_path: Path) -> None:
    params: Params = {"w": np.ones(2)}
    rng = np.random.default_rng(0)

    def told(path: Any) -> list[Any]:
        found = facts(params, np.ones(2), np.ones(2), rng, path)
        return [found["checkpoint"], found["whether the checkpoint exists"]]

    path = tmp_path / "x"
    assert told(None) == [None, False]
    assert told(path) == [str(path), False]
    path.write_text("")
    assert told(path) == [str(path), True]


def test_checkpoints_are_a_thousand_steps_apart() -> None:
    assert inspect.signature(fit).parameters["every"].default == 1000


# What a checkpoint of several ranks holds.


def stored(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays, text = read_arrays(str(path))
    return arrays, json.loads(text)


def names(path: Path) -> set[str]:
    return set(stored(path)[0])


WHOLE = {f"params/layer{i}.{k}" for i in (1, 2) for k in "Wb"} | {"extras/loss"}


def test_the_names_in_a_checkpoint(path: Path) -> None:
    """Of one process, and beside it what each rank has alone."""
    moments = {f"{k.replace('params', 'state')}/{i}" for k in WHOLE for i in "01"}
    moments -= {f"extras/loss/{i}" for i in "01"}
    exact = DataParallel(adam(0.1))
    cases: list[tuple[Strategy, set[str]]] = [
        (exact, WHOLE | moments),
        (ZeRO1(adam(0.1)), WHOLE | moments),
    ]
    for strategy, expected in cases:
        on(2, lambda ranks: mpi_worker.train(ranks, strategy, checkpoint=path))  # noqa: B023
        assert names(path) == expected
        assert "ranks" not in stored(path)[1]["same"]
        assert stored(path)[1]["same"]["evaluate"] is False
        path.unlink()
    coded = DataParallel(momentum(0.1), PowerSGD(1))
    on(2, lambda ranks: mpi_worker.train(ranks, coded, checkpoint=path))
    extras = {f"extras/error {r} layer{i}.W" for r in (0, 1) for i in (1, 2)}
    extras |= {f"extras/shared layer{i}.W" for i in (1, 2)}
    assert names(path) == extras | {k for k in names(path) if "extras" not in k} | {
        "extras/loss"
    }
    assert stored(path)[1]["same"]["ranks"] == 2
    assert stored(path)[1]["same"]["what ranks send"] == repr(coded.exchange)


def test_ranks_apart_belong_to_their_number(path: Path) -> None:
    """Between two averages each rank has parameters of its own; after one it has not.

    What the file says of the run as a whole is the average.
    """

    def train(n: int, period: int, epochs: int) -> list[Any]:
        return on(
            n,
            lambda ranks: mpi_worker.train(
                ranks, LocalSGD(momentum(0.1), period), checkpoint=path, epochs=epochs
            ),
        )

    run = train(2, 4, 1)[0]  # five steps
    assert f"{checksum(run.params):08x}"
    for k, w in run.params.items():
        assert (stored(path)[0][f"params/{k}"] == w).all()
    own = {f"extras/own {r} {i}" for r in (0, 1) for i in range(8)}
    assert {k for k in names(path) if "own" in k} == own
    for n in (1, 3):
        with pytest.raises(SharedError, match=f"ranks is 2 there, {n} here"):
            train(n, 4, 2)
    train(2, 4, 2)
    path.unlink()
    train(2, 5, 1)
    assert not any("own" in k for k in names(path))
    runs = train(3, 5, 2)
    assert len({checksum(run.params) for run in runs}) == 1


def test_no_rank_but_the_first_writes(path: Path) -> None:
    """The others may be on a machine where the folder is not."""
    writes = []

    def work(ranks: Ranks) -> None:
        from deepopt_lib.parallel.worker import RankWorker

        RankWorker(DataParallel(adam(0.1)), ranks).write(
            lambda: writes.append(ranks.rank)
        )

    on(3, work)
    assert writes == [0]


# Powers and sizes.


def test_powersgd_codes_what_becomes_smaller_and_nothing_else() -> None:
    """Two factors of rank 2 of (4, 4) are as many numbers as the matrix itself."""
    params: Params = {
        "even": np.ones((4, 4)),
        "smaller": np.ones((4, 5)),
        "kernel": np.ones((3, 3, 1, 4)),
        "vector": np.ones(100),
    }
    s = PowerSGD(2).init(params)
    assert list(s.shared) == list(s.error) == ["smaller", "kernel"]
    assert s.shared["smaller"].shape == (5, 2)
    assert s.shared["kernel"].shape == (4, 2)
