"""The data sets: the same bytes and the same split on every machine."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.data import Split, digits, mnist5k, sets, surnames

# SHA-256 of each array's bytes, little-endian: x_train, y_train, x_test, y_test.
CHECKSUMS: dict[str, tuple[Callable[[], Split], list[str]]] = {
    "mnist5k": (
        mnist5k,
        [
            "a23d8b0375da499d4e0a5485c6e0ac07621931b2ff77dbfcad130652b0e78a31",
            "ca1c44e4521764058187bad909a7a9f381389004e84baefcd2a25a49b7bc0eac",
            "6ec251c761ea6d8fb29ac924b4b48e7b521233d4051d8bb13502a285dbb088b2",
            "0e46ec008de14e6cf11695a95f58251e4b862855163cba499a1deb6ced96be70",
        ],
    ),
    "mnist5k pooled": (
        lambda: mnist5k(pool=2),
        [
            "c3e334eab7666557cd2423d5f83e727c17e7ec42f505c6678b003fa51b3cc5b6",
            "ca1c44e4521764058187bad909a7a9f381389004e84baefcd2a25a49b7bc0eac",
            "9fde8bc990ab2160232eab07be360c8be148221ba1d3096e6b738d1e5ef8bcc1",
            "0e46ec008de14e6cf11695a95f58251e4b862855163cba499a1deb6ced96be70",
        ],
    ),
    "digits": (
        digits,
        [
            "1cf255e6bcf002412a9eb7d3909953be7aba9e7c689e467911d5398f8f646374",
            "b62c5684e8251c8e20627b6f858d1d50425f76bc8df93d7d32a0a37610a341dc",
            "98bce4045b94c728e241f6c9ab50560d44b474e75871b835102987ba44f1a18a",
            "5cdf6153e06c54789040e110205f7e1770aadd654b9a62373e10c0ca293008d2",
        ],
    ),
}
SIZES = {"mnist5k": (4000, 784), "mnist5k pooled": (4000, 196), "digits": (1437, 64)}
every_set = pytest.mark.parametrize("name", CHECKSUMS)


@pytest.fixture(scope="module")
def splits() -> dict[str, Split]:
    return {name: load() for name, (load, _) in CHECKSUMS.items()}


@every_set
def test_checksum(name: str, splits: dict[str, Split]) -> None:
    for array, expected in zip(splits[name], CHECKSUMS[name][1], strict=True):
        little = array.astype(array.dtype.newbyteorder("<"))
        assert hashlib.sha256(little.tobytes()).hexdigest() == expected


@every_set
def test_sizes_types_and_ranges(name: str, splits: dict[str, Split]) -> None:
    split = splits[name]
    total = 1797 if name == "digits" else 5000
    assert split.x_train.shape == SIZES[name]
    assert len(split.x_train) + len(split.x_test) == total
    for x, y in ((split.x_train, split.y_train), (split.x_test, split.y_test)):
        assert x.dtype == np.float64
        assert y.dtype == np.int64
        assert x.shape == (len(y), SIZES[name][1])
        assert x.min() == 0.0
        assert x.max() == 1.0
        assert set(y.tolist()) == set(range(10))
        assert x.flags.c_contiguous


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_train_and_test_are_disjoint(name: str, splits: dict[str, Split]) -> None:
    """No image is on both sides, not even a duplicate in the source."""
    split = splits[name]
    train = {row.tobytes() for row in split.x_train}
    test = {row.tobytes() for row in split.x_test}
    assert not train & test


def test_mnist5k_has_500_of_each_class(splits: dict[str, Split]) -> None:
    split = splits["mnist5k"]
    y = np.concatenate([split.y_train, split.y_test])
    np.testing.assert_array_equal(np.bincount(y), np.full(10, 500))


def test_pooling_averages_squares_of_pixels(splits: dict[str, Split]) -> None:
    whole = splits["mnist5k"].x_train[:20].reshape(20, 28, 28)
    pooled = splits["mnist5k pooled"].x_train[:20].reshape(20, 14, 14)
    for i in range(14):
        for j in range(14):
            block = whole[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            np.testing.assert_allclose(
                pooled[:, i, j], block.mean(axis=(1, 2)), atol=1e-15
            )
    np.testing.assert_array_equal(
        splits["mnist5k"].y_train, splits["mnist5k pooled"].y_train
    )


def test_images_are_upright_digits(splits: dict[str, Split]) -> None:
    """Rows are rows: a one is taller than wide, its ink in few columns."""
    split = splits["mnist5k"]
    ones = split.x_train[split.y_train == 1].reshape(-1, 28, 28)
    rows = (ones.max(axis=2) > 0.5).sum(axis=1).mean()
    columns = (ones.max(axis=1) > 0.5).sum(axis=1).mean()
    assert rows > 2 * columns


def test_labels_belong_to_their_images(splits: dict[str, Split]) -> None:
    """The nearest class mean is right far more often than one time in ten."""
    for name in ("mnist5k", "digits"):
        split = splits[name]
        means = np.array(
            [split.x_train[split.y_train == k].mean(axis=0) for k in range(10)]
        )
        distance = ((split.x_test[:, None] - means) ** 2).sum(axis=2)
        assert np.mean(distance.argmin(axis=1) == split.y_test) > 0.75


@pytest.mark.parametrize("load", [mnist5k, digits])
def test_writing_to_a_result_does_not_reach_the_next(load: Callable[[], Split]) -> None:
    first = load()
    kept = [array.copy() for array in first]
    for one in first:
        one[:] = np.ones((), one.dtype)
    for array, expected in zip(load(), kept, strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("load", [mnist5k, digits])
def test_the_split_does_not_touch_the_global_generator(
    load: Callable[[], Split],
) -> None:
    np.random.seed(0)
    before = np.random.get_state()
    load()
    assert repr(before) == repr(np.random.get_state())


@pytest.mark.parametrize("pool", [0, -1, 3, 5, 56, 2.0, True, None, "2"])
def test_pool_must_divide_28(pool: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^pool must be a positive int that divides 28"
    ):
        mnist5k(pool)


@pytest.mark.parametrize("pool", [1, 4, 7, 14, 28])
def test_every_divisor_pools(pool: int) -> None:
    assert mnist5k(pool).x_test.shape == (1000, (28 // pool) ** 2)


@pytest.mark.parametrize("spec", [None, ModuleSpec("sklearn", None)])
def test_a_missing_package_is_named(
    spec: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError, match=r"^the package 'sklearn' is needed"):
        digits()


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = np.loadtxt

    def altered(*args: Any, **kwargs: Any) -> Any:
        table = real(*args, **kwargs)
        table[17, 3] ^= 1
        return table

    monkeypatch.setattr(np, "loadtxt", altered)
    with pytest.raises(
        RuntimeError, match=r"sklearn/datasets.* has checksum .* expected"
    ):
        digits()


def spell(row: Any) -> str:
    """Undo the encoding of one name."""
    letters = "".join(chr(ord("A") + i - 1) for i in row if i)
    assert row[len(letters) :].tolist() == [0] * (14 - len(letters))  # zeros come last
    return letters


def test_surnames_are_the_list_of_the_package() -> None:
    """Every name once, with its share, whatever the split."""
    found = surnames()
    spec = find_spec("names")
    assert spec is not None
    assert spec.origin is not None
    lines = Path(spec.origin).with_name("dist.all.last").read_text().splitlines()
    listed = {line.split()[0]: float(line.split()[1]) for line in lines}
    ids = np.concatenate([found.train, found.test])
    shares = np.concatenate([found.share_train, found.share_test])
    assert dict(zip(map(spell, ids), shares.tolist(), strict=True)) == listed
    assert max(listed, key=lambda name: listed[name]) == "SMITH"


def test_surnames_sizes_types_and_split() -> None:
    found = surnames()
    assert found.train.shape == (80000, 14)
    assert found.test.shape == (8799, 14)
    assert found.train.dtype == found.test.dtype == np.int64
    assert found.share_train.shape == (80000,)
    assert found.train.min() == found.train[:, -1].max() == 0
    assert found.train.max() == 26
    order = np.random.default_rng(0).permutation(88799)
    assert spell(found.train[np.flatnonzero(order == 0)[0]]) == "SMITH"
    little = found.train.astype("<i8").tobytes() + found.test.astype("<i8").tobytes()
    assert hashlib.sha256(little).hexdigest()[:16] == "7966f1befe56cc96"


def test_surnames_do_not_import_the_package() -> None:
    code = "import sys; from deepopt_lib import data; data.surnames()"
    subprocess.run(
        [sys.executable, "-c", f"{code}; assert 'names' not in sys.modules"], check=True
    )


def test_another_list_of_surnames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: real(self) + b"X 0.1 1 1\n")
    with pytest.raises(RuntimeError, match=r"^names/dist.all.last has checksum"):
        surnames()


def test_missing_surnames_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"^the package 'names' is needed"):
        surnames()
