"""The runner: what is done is not done again, and nothing is ever half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib import core
from reproductions import __main__ as command
from reproductions import common, runner, store, table
from reproductions.digest import definitions, digest

ROOT = Path(store.__file__).parents[1]
SMALL = '''
"""An experiment of two pieces."""

import os
from pathlib import Path

import numpy as np

from deepopt_lib import trials
from reproductions import helper
from reproductions.common import score
from reproductions.helper import square as third

PAPER = {"error": 1.5}
SEEDS = (0,)
PIECES = ("one", "two")
LABELS = np.array([0, 1, 2])


def tune(report):
    return {"rate": {"0.1": 2.5}}


def claims(runs):
    return [trials.Claim("holds", "1", f"{len(runs)}", trials.holds(len(runs) == 2))]


def run(piece, seed, report):
    """Be scored, and leave a mark."""
    report(0.5)
    with open(os.environ["MARKS"], "a") as file:
        file.write(f"{piece}/{seed}\\n")
    if piece == os.environ.get("RAISES"):
        raise ValueError("no such luck")
    if piece == os.environ.get("DIES"):
        os._exit(3)
    return {"net": score(np.eye(3)[[0, 1, 1]], LABELS), "helped": helper.WITH + third()}
'''
HELPER = """
WITH, AND = 1, 2
OTHER = 5


def square():
    return 10 * 10 + OTHER


def unused():
    return 7
"""
Small = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a package of one small experiment, which processes find first."""
    package = tmp_path / "reproductions"
    package.mkdir()
    for name in (
        "__init__",
        "common",
        "digest",
        "store",
        "runner",
        "table",
        "__main__",
    ):
        source = (store.FOLDER / f"{name}.py").read_text()
        (package / f"{name}.py").write_text(source)
    (package / "small.py").write_text(SMALL)
    (package / "helper.py").write_text(HELPER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("MARKS", str(tmp_path / "marks"))
    return package


@pytest.fixture
def small(folder: Path) -> Small:
    def call(*words: str) -> int:
        line = [sys.executable, "-m", "reproductions", *words, "--jobs", "1"]
        return subprocess.run(line, cwd=folder.parent, check=False).returncode

    return call


def marks(folder: Path) -> list[str]:
    path = folder.parent / "marks"
    return path.read_text().split() if path.exists() else []


def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "small.json").read_text())
    return found


def test_what_is_done_is_not_done_again(folder: Path, small: Small) -> None:
    assert small() == 0
    assert sorted(marks(folder)) == ["one/0", "two/0"]
    file = stored(folder)
    assert list(file) == ["experiment", "paper", "claims", "runs", "machine"]
    assert file["claims"] == [["holds", "1", "2", "reproduced"]]
    assert list(file["runs"]) == ["one/0", "two/0"]
    assert file["runs"]["one/0"]["net"]["error"] == pytest.approx(100 / 3)
    del file["runs"]["two/0"]
    (folder / "small.json").write_text(json.dumps({**file, "claims": []}))
    assert small("small") == 0
    assert marks(folder)[2:] == ["two/0"]
    assert stored(folder)["claims"] == file["claims"]


@pytest.mark.parametrize("name", store.experiments())
def test_stored_claims_are_what_the_runs_say(name: str) -> None:
    file, runs = store.read(name, store.FOLDER), store.held(name, store.FOLDER)
    if "claims" not in file:
        pytest.skip("not run to its end")
    claims = import_module(f"reproductions.{name}").claims(runs)
    assert file["claims"] == [[*claim[:3], str(claim.verdict)] for claim in claims]


def test_a_failure_stops_no_other(
    folder: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAISES", "one")
    monkeypatch.setenv("DIES", "two")
    assert small() == 1
    assert len(marks(folder)) == 2  # each was tried, once
    monkeypatch.delenv("RAISES")
    assert small() == 1
    assert list(stored(folder)["runs"]) == ["one/0"]


def test_tuning_is_kept_beside_the_runs(folder: Path, small: Small) -> None:
    assert small("--tune") == 0
    assert stored(folder)["tuning"]["rate"] == {"0.1": 2.5}
    assert stored(folder)["runs"] == {} and marks(folder) == []
    assert small() == 0
    assert stored(folder)["tuning"]["rate"] == {"0.1": 2.5}
    assert len(stored(folder)["runs"]) == 2


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process read the small package's code."""
    monkeypatch.setattr(store, "FOLDER", folder)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("0.5", "0.6", "small"),
        ("[0, 1, 2]", "[0, 1, 3]", "small"),
        ("WITH, AND = 1, 2", "WITH, AND = 1, 3", "helper"),
        ("10 * 10", "10 * 11", "helper"),
        ("seed}\\n", "seed}\\t", "small"),
        ("* int(np", "* 2 * int(np", "common"),
    ],
)
def test_other_code_is_another_digest(
    here: Path, old: str, new: str, file: str
) -> None:
    before, path = digest(here, "small"), here / f"{file}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest(here, "small") != before


def test_what_run_does_not_reach_leaves_the_digest(here: Path) -> None:
    before, path = digest(here, "small"), here / "small.py"
    text = path.read_text().replace("of two pieces", "of one piece or two")
    text = text.replace("SEEDS = (0,)", "SEEDS = (0, 1)  # one more")
    text = text.replace("Be scored", "Get a score").replace("2.5", "2.25")
    path.write_text(text.replace("return []", "return [1]"))
    path = here / "helper.py"
    path.write_text(path.read_text().replace("return 7", "return 8"))
    assert digest(here, "small") == before


def test_an_experiment_is_what_has_pieces(here: Path) -> None:
    assert store.experiments() == ["small"]
    assert store.tunable("small") and not store.tunable("helper")


@pytest.mark.parametrize("name", store.experiments())
def test_every_experiment_has_all_of_it(name: str) -> None:
    found = definitions(store.FOLDER / f"{name}.py")
    assert {"PAPER", "SEEDS", "PIECES", "run", "claims"} <= found.keys()
    results = store.read(name, store.FOLDER)
    assert results["experiment"] == name
    keys = {task.key for task in store.tasks(name)}
    assert results["runs"].keys() <= keys
    json.dumps(results, allow_nan=False)


def test_a_killed_write_leaves_the_old_file(
    folder: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small() == 0
    before = (folder / "small.json").read_bytes()

    def killed(*names: str) -> None:
        raise KeyboardInterrupt

    real = store.FOLDER / "small.py"
    monkeypatch.setattr(
        store, "import_module", lambda name: type("M", (), {"PAPER": 1})
    )
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.add(store.Task("small", "one", 0), folder, {"net": 1})
    assert (folder / "small.json").read_bytes() == before
    assert not real.exists() and not list(folder.glob("*.tmp"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prunning"], "no experiment is named prunning"),
        (["lenet"], "no experiment is named lenet"),
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_bad_words_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_longest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = {"a/0": {"seconds": 5, "code": "old"}, "b/0": {"seconds": 9, "code": "old"}}
    all_tasks = [store.Task("x", piece, 0) for piece in "abc"]
    monkeypatch.setattr(store, "digest", lambda folder, name: "new")
    monkeypatch.setattr(store, "tasks", lambda name: all_tasks)
    monkeypatch.setattr(store, "read", lambda name, folder: {"runs": runs})
    assert [t.piece for t in runner.missing(["x"], tmp_path)] == ["c", "b", "a"]
    runs["c/0"] = {"seconds": 1, "code": "new"}
    assert [t.piece for t in runner.missing(["x"], tmp_path)] == ["b", "a"]


def test_a_score_gives_its_images_back() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 21, 10)), rng.integers(10, size=21)
    scores = [common.score(a, labels) for a in logits]
    runs = {f"dense/{i}": {"net": s} for i, s in enumerate(scores)}
    right = common.rights(runs, "dense", "net", (0, 1))
    np.testing.assert_array_equal(right, logits.argmax(axis=2) == labels)
    np.testing.assert_allclose(
        [s["error"] for s in scores], 100 * (1 - right.mean(axis=1))
    )
    json.dumps(scores)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((3, 10)), np.zeros(2, int), "got"),
        (np.zeros((0, 10)), np.zeros(0, int), "got"),
        (np.full((1, 10), np.nan), np.zeros(1, int), "diverged"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    logits: core.Array, labels: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        common.score(logits, labels)


def test_too_few_bits_are_refused() -> None:
    scored = common.score(np.eye(10), np.arange(10))
    with pytest.raises(ValueError, match="2 bytes of bits for 17 images"):
        common.decode({**scored, "images": 17})


def test_the_table_finds_what_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    net = common.score(np.eye(4), np.array([0, 1, 2, 0]))
    tasks = [store.Task("x", "a", 0), store.Task("x", "a", 1)]
    monkeypatch.setattr(store, "tasks", lambda name: tasks)
    runs = {"a/0": {"deep": {"net": net}, "bytes": 4}}
    monkeypatch.setattr(store, "held", lambda name, folder: runs)
    head, row = table.lines("x", Path())
    assert head == "x: 1 of 2 runs"
    assert row.split()[:3] == ["a:", "deep", "net"]
    assert row.split()[3:] == ["25.00", "%", "(25.00", "to", "25.00,", "1)"]
