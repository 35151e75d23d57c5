"""The files of the data sets: all there, with the sums that are written down."""

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from deepopt_lib.data import digits, mnist, mnist5k, prose, store, surnames
from deepopt_lib.data.store import SHA256, load

FOLDER = Path(str(files("deepopt_lib.data"))) / "files"
LOADERS: dict[str, Callable[[], object]] = {
    "mnist.npz": mnist,
    "mnist5k.npz": mnist5k,
    "digits.npz": digits,
    "mobydick.npz": prose,
    "surnames.npz": surnames,
}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the folder, from which the library reads."""
    shutil.copytree(FOLDER, tmp_path / "files")
    monkeypatch.setattr(store, "files", lambda package: tmp_path)
    load.cache_clear()
    yield tmp_path / "files"
    load.cache_clear()


def test_every_file_has_its_sums_and_its_line_in_the_readme() -> None:
    stored = {path.name for path in FOLDER.iterdir()} - {"README.md"}
    assert stored == set(SHA256) == set(LOADERS)
    readme = (FOLDER / "README.md").read_text()
    for name, sums in SHA256.items():
        assert f"| `{name}` |" in readme
        with zipfile.ZipFile(FOLDER / name) as archive:
            assert archive.namelist() == [f"{k}.npy" for k in sums]


@pytest.mark.parametrize("name", SHA256)
def test_arrays_are_read_once_and_cannot_be_written_to(name: str) -> None:
    for key in SHA256[name]:
        array = load(name, key)
        assert load(name, key) is array
        assert array.dtype.kind == "u"
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("name", LOADERS)
def test_a_missing_file_is_named(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=str(copy / name)):
        LOADERS[name]()


def test_another_array_is_refused_with_both_sums(copy: Path) -> None:
    x, y = load("digits.npz", "x").copy(), load("digits.npz", "y")
    x[17, 0, 3] ^= 1
    np.savez_compressed(copy / "digits.npz", x=x, y=y)
    load.cache_clear()
    message = (
        rf"^{copy}/digits.npz: the checksum of 'x' is [0-9a-f]{{64}}, "
        f"expected {SHA256['digits.npz']['x']}$"
    )
    with pytest.raises(RuntimeError, match=message):
        digits()


def test_a_damaged_file_is_named(copy: Path) -> None:
    """Cut anywhere or with a flipped bit: refused, or what was stored after all."""
    path = copy / "mnist5k.npz"
    whole, expected = path.read_bytes(), load("mnist5k.npz", "index").tolist()
    ends = [*range(200), *range(len(whole) - 200, len(whole))]
    damaged = [whole[:n] for n in (*range(0, 100, 9), *range(100, len(whole), 500))]
    for i in [*ends, *range(200, len(whole) - 200, 100)]:
        flipped = bytearray(whole)
        flipped[i] ^= 1 << i % 8
        damaged.append(bytes(flipped))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        load.cache_clear()
        try:
            assert load("mnist5k.npz", "index").tolist() == expected
        except RuntimeError as error:
            assert str(error).startswith(f"{path} is damaged at 'index': ")
            refused += 1
    assert refused > 0.7 * len(damaged)  # the rest of a header says dates and modes


def test_nothing_is_unpickled(copy: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([None]), allow_pickle=True)
    with zipfile.ZipFile(copy / "digits.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue())
    with pytest.raises(RuntimeError, match="damaged at 'x': Object arrays cannot be"):
        digits()
