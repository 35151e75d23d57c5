"""The tool that changes the library: what it changes, and what it says of the tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutate.__main__ import ROOT, equivalent, find, parse
from tools.mutate.changes import changes


def after(text: str) -> list[str]:
    """Return the changed lines of all changes, in the order of the text."""
    source = text.encode()
    return [change.diff(source)[1] for change in changes("m.py", source)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", ["a - b"]),
        ("a - b", ["a + b"]),
        ("a * b", ["a / b"]),
        ("a / b", ["a * b"]),
        ("a // b", ["a * b"]),
        ("a % b", ["a * b"]),
        ("a ** b", ["a * b"]),
        ("(a) + (b)", ["(a) - (b)"]),
        ("(a  # a+b\n + b)", ["- b)"]),
        ("a @ b", []),
        ("a < b", ["a <= b"]),
        ("a <= b < c", ["a < b < c", "a <= b <= c"]),
        ("a > b", ["a >= b"]),
        ("a >= b", ["a > b"]),
        ("a == b", ["a != b"]),
        ("a != b", ["a == b"]),
        ("a is b", ["a is not b"]),
        ("a not in b", ["a in b"]),
        ("a and b or c", ["a and b and c", "a or b or c"]),
        ("not a", ["(a)"]),
        ("-a", ["(a)"]),
        ("0", ["1"]),
        ("7", ["8"]),
        ("0.5", ["1.0"]),
        ("0.0", ["1.0"]),
        ("True", ["False"]),
        ("'text'", []),
        ("None", []),
        ("if a: b", ["if (not (a)): b"]),
        ("if a == b: c", ["if a != b: c"]),
        ("while a: b", ["while (not (a)): b"]),
        ("a if b else c", ["a if (not (b)) else c"]),
        ("[a for a in b if c]", ["[a for a in b if (not (c))]"]),
        ("a(b)", ["pass"]),
        ("a += b", ["a -= b", "pass"]),
        ("raise E(1, a + b)", ["pass"]),
        ("x = a(b, c=d)", ["x = a(b)"]),
        ("x = a(c=d, e=f)", ["x = a(e=f)", "x = a(c=d)"]),
        ("x = a(**b)", []),
        ("x = add(1, help='h')", ["x = add(2, help='h')"]),
        ("x = zip(a, b, strict=True)", []),
        ("x = a.reshape(-1, n)", []),
        ("return a", []),
        ("é = '→'; a + b", ["é = '→'; a - b"]),
        # what only people or type checkers read
        ("'''One + two.'''", []),
        ("__all__ = [1]", []),
        ("x: Literal[1] = 2", ["x: Literal[1] = 3"]),
        (
            "def f(x: L[1] = 2) -> L[3]: return x",
            ["def f(x: L[1] = 3) -> L[3]: return x"],
        ),
        ("@cache(1)\ndef f(): return a", []),
        ("@dataclass(frozen=True)\nclass A(B, c=1): x = 2", ["class A(B, c=1): x = 3"]),
        ("if TYPE_CHECKING: a(1)", []),
        ("if __name__ == '__main__': a(1)", []),
        ("x = f'{a + 1}'", []),
        ("assert a, 1 + 2", ["assert (not (a)), 1 + 2"]),
    ],
)
def test_what_is_changed(text: str, expected: list[str]) -> None:
    text = f"def f():\n    {text}" if text.startswith("return") else text
    assert sorted(after(text)) == sorted(expected)


def test_a_change_knows_its_line_and_the_function_around_it() -> None:
    source = b"""x = 1

@primitive
def f(a, b=2):
    def pull(d):
        return d + a
    return a * b, lambda d: (
        -d)
"""
    found = [(c.line, c.owner, c.diff(source)[1]) for c in changes("m.py", source)]
    assert found == [
        (1, 0, "x = 2"),
        (4, 3, "def f(a, b=3):"),
        (6, 5, "return d - a"),
        (7, 3, "return a / b, lambda d: ("),
        (8, 7, "(d))"),
    ]


def test_every_change_leaves_python() -> None:
    for name in ("optim/step_size.py", "parallel/ring.py"):
        source = (ROOT / "deepopt_lib" / name).read_bytes()
        found = changes(name, source)
        texts = [change.apply(source) for change in found]
        assert len({source, *texts}) == 1 + len(found) > 30
        for text in texts:
            compile(text, name, "exec")


MODULE = {
    "toy/sums.py": '''"""A module."""
SCALE = 3

def twice(x):
    return SCALE * x / 3 + 0 * x

def count(n):
    while n > 0:
        n -= 1
    return n

def command():
    print(10)
''',
    "toy/__init__.py": "",
    "toy/__main__.py": "from toy.sums import command\n\ncommand()\n",
    "tests/test_sums.py": """
import subprocess, sys, time
import pytest
from hypothesis import given, strategies as st
from toy import sums

@given(st.integers(1, 9))
def test_twice(x):
    assert sums.twice(x) == x

def test_count():
    assert sums.count(3) == 0

def test_command():
    done = subprocess.run([sys.executable, "-m", "toy"], capture_output=True)
    assert done.stdout == b"10\\n"

def test_fails_unchanged():
    assert sums.SCALE == 4
""",
}

BEFORE = "return SCALE * x / 3 + 0 * x"
SURVIVE = [
    ("toy/sums.py:5", "return SCALE * x / 3 - 0 * x"),
    ("toy/sums.py:5", "return SCALE * x / 3 + 0 / x"),
]


def toy(folder: Path, **texts: str) -> Path:
    for name, text in (MODULE | texts).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def mutate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "tools.mutate", "toy/sums.py", "--root", str(root)),
            *("--tests", "tests", "--patience", "2", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def survivors(output: str) -> list[tuple[str, str]]:
    return re.findall(r"\n(toy/\w+\.py:\d+)\n- .*\n\+ (.*)", output)


def test_a_run(tmp_path: Path) -> None:
    root = toy(tmp_path)
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    done = mutate(root)
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before
    assert done.returncode == 1, done.stderr
    assert "Left out, since they fail unchanged:\n  tests/test_sums.py::test_fails" in (
        done.stdout
    )
    # What the command prints, only a process of its own notices; and two changes of
    # count do not end.
    assert survivors(done.stdout) == SURVIVE
    assert "2 of the killed never ended; 0 equivalent ones" in done.stdout
    assert re.search(r"\nin all +15 +13 +2 +86.7%\n", done.stdout)


def test_what_cannot_be_noticed_is_left_out(tmp_path: Path) -> None:
    listed = "tools/mutate/equivalent.txt"
    entries = [
        f"toy/sums.py: 0 either way, for {place}\n- {BEFORE}\n+ {change}\n"
        for place, change in SURVIVE
    ]
    quick = {"toy/sums.py": MODULE["toy/sums.py"].partition("def count")[0]}
    quick["tests/test_sums.py"] = MODULE["tests/test_sums.py"].partition("def test_c")[
        0
    ]
    root = toy(tmp_path, **quick, **{listed: "\n".join(entries)})
    done = mutate(root)
    assert done.returncode == 0, done.stderr
    assert "2 equivalent ones were left out" in done.stdout
    (root / listed).write_text(entries[0].replace("0 * x", "0 * y"))
    assert "no such change" in mutate(root).stderr


def test_a_sample_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    def drawn(seed: int) -> list[tuple[str, str, str]]:
        options = parse(["toy", "--sample", "0.4", "--seed", str(seed)])
        return [result.lines for result in find(root, options)[0]]

    root = toy(tmp_path)
    assert drawn(1) == drawn(1) != drawn(2)
    assert len(drawn(1)) == 6
    with pytest.raises(SystemExit):
        parse(["--sample", "0"])
    with pytest.raises(SystemExit, match="no module at"):
        find(root, parse(["toy/nothing"]))


def test_the_equivalent_are_left_out(tmp_path: Path) -> None:
    listed = tmp_path / "equivalent.txt"
    listed.write_text("# why\n\na/b.py: it is 0: no sign\n- x + 0 * y\n+ x - 0 * y\n")
    assert equivalent(listed) == {
        ("a/b.py", "x + 0 * y", "x - 0 * y"): "it is 0: no sign"
    }
    assert equivalent(tmp_path / "none.txt") == {}
    for text in ("a.py:\n- x\n+ y\n", "a.py: why\n+ x\n- y\n"):
        listed.write_text(text)
        with pytest.raises(SystemExit, match="needs a reason and two lines"):
            equivalent(listed)
