"""The two commands, on ranks that are threads: what they say, and when."""

import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib import data, nn
from deepopt_lib.core import checksum
from deepopt_lib.optim import adamw, sgd
from deepopt_lib.parallel import (
    DataParallel,
    Gathered,
    LocalSGD,
    PowerSGD,
    Ranks,
    ScaledSign,
    Strategy,
    TopK,
    ZeRO1,
    cli,
    job,
    measure,
)
from tests.library.parallel.threads import run_ranks

QUICK = ["--hidden", 8, "--data", "digits", "--epochs", 1]
COMMANDS = {"train": cli.main, "measure": measure.main}


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


def run(monkeypatch: Any, n: int, command: str, *words: object) -> list[Any]:
    """Run a command as ``mpiexec -n N`` would, and return the status of each rank."""

    def work(ranks: Ranks) -> int:
        here.ranks = ranks
        return COMMANDS[command]([str(word) for word in words])

    here = threading.local()
    monkeypatch.setattr(job, "world", lambda: here.ranks)
    return run_ranks(n, work)


WRONG: dict[str, tuple[str, list[object]]] = {
    "ZeRO1 needs one elementwise rule": ("train", ["--zero", "--optimizer", "muon"]),
    "exclude each other": ("train", ["--zero", "--exchange", "sign"]),
    "--local-steps and --exchange exclude": (
        "train",
        ["--local-steps", 2, "--exchange", "sign"],
    ),
    "a batch needs a sample for each rank": ("train", ["--batch-size", 1]),
    "one checkpoint is of one seed, got [1, 2]": (
        "train",
        ["--seed", 1, 2, "--checkpoint", "x"],
    ),
    "Optimizer.lr must be": ("train", ["--lr", -1]),
    "PowerSGD.rank must be": ("train", ["--exchange", "powersgd", "--rank", 0]),
    "TopK.keep must be": ("train", ["--exchange", "topk", "--keep", 2]),
    "LocalSGD.period must be": ("train", ["--local-steps", 0]),
    "the gradient of layer1.W is NaN": ("train", ["--optimizer", "sgd", "--lr", 1e300]),
    "--least must be an int in [8, 2147483640], got 7": ("measure", ["--least", 7]),
    "--decades must be in [0, 9), got -1.0": ("measure", ["--decades", -1]),
    "--decades must be in [0, 9), got nan": ("measure", ["--decades", "nan"]),
    "the largest message must be an int in": ("measure", ["--decades", 8.9]),
    "--sizes must be an int >= 1, got 0": ("measure", ["--sizes", 0]),
    "--seconds must be in [0, inf), got -1.0": ("measure", ["--seconds", -1]),
    "--seconds must be in [0, inf), got inf": ("measure", ["--seconds", "inf"]),
}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("message", WRONG)
def test_one_rank_says_what_cannot_be_done(
    message: str, monkeypatch: Any, capfd: Any
) -> None:
    command, words = WRONG[message]
    usual = QUICK if command == "train" else []
    assert run(monkeypatch, 2, command, *usual, *words) == [2, 2]
    out, err = capfd.readouterr()
    assert err.count(message) == 1
    assert len(err.splitlines()) == 1
    assert out == ""
    name = {"train": "parallel", "measure": "parallel.measure"}[command]
    assert f"deepopt_lib.{name}: " in err


@pytest.mark.parametrize("n", [1, 3])
def test_it_is_rank_0_that_says_it(n: int, monkeypatch: Any, capfd: Any) -> None:
    assert run(monkeypatch, n, "train", *QUICK, "--batch-size", 0) == [2] * n
    assert capfd.readouterr().err.count("batch_size must be") == 1


def test_a_checkpoint_that_cannot_be_written(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    path = tmp_path / "no" / "x"
    assert run(monkeypatch, 2, "train", *QUICK, "--checkpoint", path) == [2, 2]
    assert capfd.readouterr().err.count("cannot write the checkpoint") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_place_for_the_report_is_found_before_the_work(
    command: str, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    """No folder, a folder in its place, a pipe: nothing is trained or replaced."""
    worked: list[Any] = []
    monkeypatch.setattr(cli, "fit", lambda *a, **k: worked.append(a))
    monkeypatch.setattr(measure, "measure", lambda *a: worked.append(a))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    before = sorted(os.listdir(tmp_path))
    for place, reason in (
        ("no/report", "No such file or directory"),
        ("file/report", "Not a directory"),
        ("folder", "it is no regular file"),
        ("pipe", "it is no regular file"),
    ):
        path = tmp_path / place
        usual = QUICK if command == "train" else []
        assert run(monkeypatch, 2, command, *usual, "--report", path) == [2, 2]
        err = capfd.readouterr().err
        # No other rank looks: it may be on a machine where the folder is not.
        assert err.count(f"rank 0: cannot write the report {path}: {reason}") == 1
    assert worked == []
    assert sorted(os.listdir(tmp_path)) == before


def test_the_report_of_a_training(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    """Rank 0 prints a line for each seed; what was sent is said to be a formula's."""
    path = tmp_path / "report.json"
    path.write_text("an old report")
    words = [*QUICK, "--seed", 3, 4, "--report", path]
    began = time.perf_counter()
    assert run(monkeypatch, 2, "train", *words) == [0, 0]
    most = time.perf_counter() - began
    told = json.loads(path.read_text())
    assert told.keys() == {"ranks", "sent is", "runs"}
    assert told["ranks"] == 2
    assert told["sent is"] == "bytes a rank by the ring formula"
    numbers = 64 * 8 + 8 + 8 * 10 + 10
    for seed, found in zip((3, 4), told["runs"], strict=True):
        assert found["seed"] == seed
        steps = len(found["loss"])
        assert found["parameter_bytes"] == 8 * numbers
        assert found["sent"] == 8 * numbers * steps  # 2(N-1)/N is one
        assert found["state_bytes"] == [16 * numbers] * 2
        assert found["norms"].keys() == {
            "layer1.W",
            "layer1.b",
            "layer2.W",
            "layer2.b",
        }
        assert len(found["accuracy"]) == 2
        assert 0 < found["seconds"] < most
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("ranks 2, seed 3: test accuracy ")
    assert f"{8 * numbers * steps:,} bytes a rank by the ring formula, " in lines[0]
    assert f"{16 * numbers:,} bytes of state, params " in lines[0]
    assert lines[1].endswith(told["runs"][1]["params"])
    assert "bytes sent" not in out


def test_options_reach_the_training(monkeypatch: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def found(*words: object) -> Any:
        usual = ["--batch-size", 512, "--report", path]
        assert run(monkeypatch, 2, "train", *QUICK, *usual, *words) == [0, 0]
        return json.loads(path.read_text())["runs"][0]

    plain = found()
    single = found("--dtype", "float32")
    assert 2 * single["parameter_bytes"] == plain["parameter_bytes"]
    assert found("--lr", 0.1)["loss"] != plain["loss"]
    assert found("--seed", 1)["loss"] != plain["loss"]
    assert len(found("--epochs", 2)["loss"]) == 2 * len(plain["loss"])
    zero = found("--zero", "--hidden", 9)
    assert sum(zero["state_bytes"]) == 2 * zero["parameter_bytes"]
    local = found("--local-steps", 2, "--optimizer", "sgd")
    averages = -(-len(plain["loss"]) // 2)
    assert local["sent"] == averages * local["parameter_bytes"]
    coded = {
        way: found("--exchange", *way.split())["sent"]
        for way in ("sign", "topk --keep 0.1", "powersgd --rank 1", "powersgd --rank 2")
    }
    assert len({*coded.values(), plain["sent"]}) == 5
    forgetful = found("--exchange", "sign", "--no-feedback")
    assert forgetful["sent"] == coded["sign"]
    assert forgetful["params"] != found("--exchange", "sign")["params"]
    conv = found("--model", "conv", "--hidden", 2, "--batch-size", 512)
    assert conv["norms"].keys() != plain["norms"].keys()


WAYS: list[list[object]] = [[], ["--zero"], ["--model", "conv", "--hidden", 4]]


@pytest.mark.parametrize("way", WAYS)
def test_one_trajectory_on_any_number_of_ranks(
    way: list[Any], tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    path = tmp_path / "report.json"
    runs = []
    for n in (1, 2, 4):
        words = [*QUICK, *way, "--report", path]
        assert run(monkeypatch, n, "train", *words) == [0] * n
        runs.append(json.loads(path.read_text())["runs"][0])
        assert capfd.readouterr().out.startswith(f"ranks {n}, seed 0: ")
    whole = sum(runs[0]["state_bytes"])
    for found, n in zip(runs, (1, 2, 4), strict=True):
        np.testing.assert_allclose(found["loss"], runs[0]["loss"], rtol=1e-12)
        assert found["accuracy"] == runs[0]["accuracy"]
        for k, norm in runs[0]["norms"].items():
            np.testing.assert_allclose(found["norms"][k], norm, rtol=1e-12)
        share = n if "--zero" in way else 1
        assert max(found["state_bytes"]) <= 1.05 * whole / share
        steps = len(found["loss"])
        assert found["sent"] == 2 * (n - 1) / n * steps * found["parameter_bytes"]


def test_a_checkpoint_goes_on_with_other_ranks_and_parts(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Stopped on 2 ranks, taken up on 4 with ZeRO-1, and on one without."""
    path, kept = tmp_path / "report.json", tmp_path / "run.safetensors"

    def losses(n: int, *words: object) -> Any:
        words = (*QUICK, "--batch-size", 512, *words, "--report", path)
        assert run(monkeypatch, n, "train", *words) == [0] * n
        return json.loads(path.read_text())["runs"][0]["loss"]

    straight = losses(1, "--epochs", 4)
    for n, epochs, way in ((2, 1, ()), (4, 3, ("--zero",)), (1, 4, ())):
        found = losses(n, "--checkpoint", kept, "--epochs", epochs, *way)
        assert len(found) == len(straight) // 4 * epochs
    np.testing.assert_allclose(found, straight, rtol=1e-12)


def test_local_sgd_with_a_checkpoint_ends_with_a_report(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Whatever the steps, their period and the steps between two checkpoints."""
    path, kept = tmp_path / "report.json", tmp_path / "run.safetensors"
    words = [*QUICK, "--local-steps", 5, "--report", path]
    assert run(monkeypatch, 4, "train", *words, "--epochs", 2) == [0] * 4
    straight = json.loads(path.read_text())["runs"][0]
    assert len(straight["loss"]) % 5
    words += ["--checkpoint", kept, "--every", 7]
    for epochs in (1, 2, 2):
        assert run(monkeypatch, 4, "train", *words, "--epochs", epochs) == [0] * 4
    again = json.loads(path.read_text())["runs"][0]
    assert again["params"] == straight["params"]
    assert again["loss"] == straight["loss"]
    assert again["accuracy"] == straight["accuracy"]


def test_feedback_belongs_to_its_ranks(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    words = [*QUICK, "--checkpoint", tmp_path / "x", "--exchange"]
    assert run(monkeypatch, 2, "train", *words, "powersgd") == [0, 0]
    assert run(monkeypatch, 4, "train", *words, "powersgd", "--epochs", 3) == [2] * 4
    assert "ranks is 2 there, 4 here" in capfd.readouterr().err
    assert run(monkeypatch, 2, "train", *words, "topk") == [2, 2]
    assert "what ranks send is" in capfd.readouterr().err


def test_what_the_command_trains(monkeypatch: Any) -> None:
    seen: list[tuple[Any, Any]] = []

    class Stop(Exception):  # noqa: N818
        pass

    def fit(*arguments: Any, **options: Any) -> Any:
        seen.append((arguments, options))
        raise Stop

    monkeypatch.setattr(cli, "fit", fit)

    def train(*words: object) -> tuple[Any, Any]:
        assert isinstance(run(monkeypatch, 1, "train", *words)[0], Stop)
        return seen.pop()

    words = ["--seed", 3, "--epochs", 7, "--batch-size", 9, "--every", 11]
    (loss, params, strategy, x, y), options = train(*words, "--checkpoint", "c")
    expected = nn.init_mlp(np.random.default_rng(3), [196, 128, 128, 10])
    assert checksum(params) == checksum(expected)
    assert strategy == DataParallel(adamw(1e-3))
    split = data.mnist5k(pool=2)
    assert (x == split.x_train).all()
    assert (y == split.y_train).all()
    assert options.pop("rng").random() == np.random.default_rng(1003).random()
    found = options.pop("evaluate")(params)
    assert found == {
        "accuracy": nn.accuracy(nn.mlp(params, split.x_test), split.y_test),
        "validation": nn.accuracy(nn.mlp(params, split.x_val), split.y_val),
    }
    assert options.pop("ranks").size == 1
    assert options == {"epochs": 7, "batch_size": 9, "checkpoint": "c", "every": 11}
    assert float(loss(params, x[:5], y[:5])) == pytest.approx(2.3, abs=0.5)
    words = ["--model", "conv", "--hidden", 3, "--dtype", "float32", "--optimizer"]
    (_, params, strategy, x, _), _ = train(*words, "sgd", "--lr", 0.5)
    expected = nn.init_conv_net(
        np.random.default_rng(0), (14, 14, 1), [3], 10, dtype=np.float32
    )
    assert checksum(params) == checksum(expected)
    assert x.shape == (len(split.x_train), 14, 14, 1)
    assert x.dtype == np.float32
    assert strategy == DataParallel(sgd(0.5))
    ways: list[tuple[list[object], Strategy]] = [
        (["--zero"], ZeRO1(sgd(0.1))),
        (["--local-steps", 3], LocalSGD(sgd(0.1), 3)),
        (["--exchange", "sign"], DataParallel(sgd(0.1), Gathered(ScaledSign()))),
        (
            ["--exchange", "topk", "--keep", 0.5, "--no-feedback"],
            DataParallel(sgd(0.1), Gathered(TopK(0.5), False)),
        ),
        (
            ["--exchange", "powersgd", "--rank", 3, "--no-feedback"],
            DataParallel(sgd(0.1), PowerSGD(3, False)),
        ),
        (["--exchange", "powersgd"], DataParallel(sgd(0.1), PowerSGD(2))),
    ]
    for way, made in ways:
        usual = [*QUICK, "--optimizer", "sgd", "--lr", 0.1]
        assert train(*usual, *way)[0][2] == made


def test_without_mpi_the_sentence_is_true(monkeypatch: Any, capfd: Any) -> None:
    """The package is on no index: what is named can be installed."""
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for command in COMMANDS.values():
        assert command([]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert "its extra [parallel], or the packages mpi4py and mpich" in err
        assert "pip install" not in err


def test_a_broken_mpi_is_no_traceback(monkeypatch: Any, capfd: Any) -> None:
    """mpi4py raises a RuntimeError when there is no library behind it."""

    class Broken:
        @property
        def MPI(self) -> Any:  # noqa: N802
            raise RuntimeError("cannot load MPI library")

    monkeypatch.setitem(sys.modules, "mpi4py", Broken())
    assert measure.main([]) == 2
    assert "cannot load MPI library" in capfd.readouterr().err


def test_measuring_gives_a_time_for_each_size(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    words = ["--least", 64, "--decades", 1, "--sizes", 3, "--seconds", 0]
    assert run(monkeypatch, 4, "measure", *words) == [0] * 4
    out = capfd.readouterr().out
    assert len(out.splitlines()) == 1
    found = json.loads(out)
    assert found.keys() == {"ranks", "sizes", "sent", "ring", "mpi"}
    assert found["ranks"] == 4
    assert found["sizes"] == [64, 200, 640]
    assert found["sent"][0] == 96  # counted: 2(N-1)/N is 3/2
    for way in ("ring", "mpi"):
        assert len(found[way]) == 3
        assert all(0 < seconds < 10 for seconds in found[way])
    assert run(monkeypatch, 1, "measure", *words) == [0]
    assert json.loads(capfd.readouterr().out)["ranks"] == 1  # it is rank 0 that prints
    path = tmp_path / "report.json"
    words = ["--sizes", 1, "--least", 12, "--seconds", 0, "--report", path]
    assert run(monkeypatch, 2, "measure", *words) == [0, 0]
    assert capfd.readouterr().out == ""
    assert json.loads(path.read_text())["sizes"] == [16]


def test_how_often_each_size_is_measured(monkeypatch: Any) -> None:
    """Up to 1 MB a round, at least two and at most twenty calls; by a clock that ticks.

    Three rounds at least, and then until the time is over.
    """
    sizes = [8, 100_000, 400_000, 2_000_000]

    def calls(seconds: float) -> list[int]:
        ticks = itertools.count()
        monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
        seen = []

        def work(ranks: Ranks) -> Any:
            reduce = ranks.comm.Allreduce

            def counted(x: Any, y: Any) -> None:
                seen.append(x.nbytes)
                reduce(x, y)

            ranks.comm.Allreduce = counted
            return measure.measure(ranks.comm, sizes, seconds)

        found = run_ranks(1, work)[0]
        assert found == {"ring": [1.0] * 4, "mpi": [1.0] * 4}
        return [seen.count(size) for size in sizes]

    once = np.array([20, 10, 2, 2])
    assert calls(0) == (3 * once).tolist()
    ticks = 4 * once.sum()  # two calls, each with a start and an end
    assert calls(5.5 * ticks) == (6 * once).tolist()
    assert calls(3 * ticks + 1) == (3 * once).tolist()  # over at that very tick


def test_all_ranks_start_a_call_together(monkeypatch: Any) -> None:
    events = []

    def work(ranks: Ranks) -> None:
        wait = ranks.comm.Barrier

        def waited() -> None:
            events.append("wait")
            wait()

        ranks.comm.Barrier = waited
        measure.measure(ranks.comm, [8], 0.0)

    monkeypatch.setattr(measure, "ring_all_reduce", lambda *a: events.append("ring"))
    run_ranks(1, work)
    assert events.count("ring") == 60
    assert ("ring", "ring") not in itertools.pairwise(events)


def test_rank_0_decides_when_it_is_enough(monkeypatch: Any) -> None:
    """Rank 1, whose clock stands still, would go on for ever."""
    here, ticks = threading.local(), itertools.count()
    clock = lambda: 0.0 if here.rank else float(next(ticks))  # noqa: E731
    monkeypatch.setattr(time, "perf_counter", clock)

    def work(ranks: Ranks) -> Any:
        here.rank = ranks.rank
        return measure.measure(ranks.comm, [8], 1.0)

    expected = {"ring": [1.0], "mpi": [1.0]}
    assert run_ranks(2, work) == [expected, expected]


def test_the_largest_message_is_the_last_one() -> None:
    words = ["--least", "8", "--decades", "8.9", "--sizes", "3"]
    with pytest.raises(ValueError, match=r"^the largest message must be an int in"):
        measure._sizes(measure._parser().parse_args(words))


def test_the_usual_options() -> None:
    assert vars(measure._parser().parse_args([])) == {
        "least": 8192,
        "decades": 3.0,
        "sizes": 21,
        "seconds": 5.0,
        "report": None,
    }
    assert vars(cli._parser().parse_args([])) == {
        "model": "mlp",
        "hidden": [128, 128],
        "data": "mnist5k",
        "optimizer": "adamw",
        "lr": 1e-3,
        "epochs": 5,
        "batch_size": 128,
        "seed": [0],
        "dtype": "float64",
        "exchange": "allreduce",
        "rank": 2,
        "keep": 0.01,
        "no_feedback": False,
        "zero": False,
        "local_steps": 1,
        "checkpoint": None,
        "every": 100,
        "report": None,
    }


@pytest.mark.parametrize("parser", [cli._parser(), measure._parser()])
def test_the_help_says_what_is_usual(parser: Any) -> None:
    assert "(default: " in parser.format_help()


@pytest.mark.parametrize(
    "option", ["--model", "--data", "--optimizer", "--dtype", "--exchange"]
)
def test_what_is_not_on_the_list_is_refused(option: str, capfd: Any) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([option, "other"])
    assert f"argument {option}: invalid choice: 'other'" in capfd.readouterr().err


def test_of_each_call_the_slowest_rank_counts() -> None:
    """And of all calls the first quartile."""

    def work(ranks: Ranks) -> float:
        mine = [[1.0, 9.0, 3.0, 4.0, 5.0], [6.0, 2.0, 3.0, 8.0, 5.0]][ranks.rank]
        return measure._slowest(ranks.comm, mine)

    assert run_ranks(2, work) == [5.0, 5.0]  # of 6, 9, 3, 8, 5
