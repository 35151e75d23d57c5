"""The surnames: every name once, with its share, whatever the split."""

import hashlib
from typing import Any

import numpy as np
import pytest

from deepopt_lib.data import Names, surnames

# SHA-256 of each array's bytes, little-endian, as read out of the package names.
CHECKSUMS = [
    "8637282a9b548e506a89aacf7d0fd2f9af72001363e0aa40272b676a3023b3d4",
    "414a4bc825d77d30c591507271e079dde5f2f7d5f9e3114ba4079b62831d6675",
    "fdf8bd611ce3cdf51f2784d6f7558fc6eebe7e0e44bb6370815ecbdda332e805",
    "aad57cfe5de6fb9c2dafa2fe4b8f8190c8624d3f87ab464fc3620b1650b3542b",
]


@pytest.fixture(scope="module")
def found() -> Names:
    return surnames()


def spell(row: Any) -> str:
    """Undo the encoding of one name."""
    letters = "".join(chr(ord("A") + i - 1) for i in row if i)
    assert row[len(letters) :].tolist() == [0] * (14 - len(letters))  # zeros come last
    return letters


def test_checksum(found: Names) -> None:
    for array, expected in zip(found, CHECKSUMS, strict=True):
        little = array.astype(array.dtype.newbyteorder("<"))
        assert hashlib.sha256(little.tobytes()).hexdigest() == expected


def test_every_name_occurs_once_with_its_share(found: Names) -> None:
    ids = np.concatenate([found.train, found.test])
    shares = np.concatenate([found.share_train, found.share_test])
    listed = dict(zip(map(spell, ids), shares.tolist(), strict=True))
    assert len(listed) == 88799
    assert max(listed, key=lambda name: listed[name]) == "SMITH"
    # The first lines of the list of 1990.
    assert [listed[name] for name in ("SMITH", "JOHNSON", "WILLIAMS", "JONES")] == [
        1.006,
        0.81,
        0.699,
        0.621,
    ]
    assert all(name.isalpha() for name in listed)


def test_sizes_types_and_split(found: Names) -> None:
    assert found.train.shape == (80000, 14)
    assert found.test.shape == (8799, 14)
    assert found.train.dtype == found.test.dtype == np.int64
    assert found.share_train.shape == (80000,)
    assert found.share_test.shape == (8799,)
    assert found.train.min() == found.train[:, -1].max() == 0
    assert found.train.max() == 26
    assert found.train.flags.c_contiguous
    order = np.random.default_rng(0).permutation(88799)
    assert spell(found.train[np.flatnonzero(order == 0)[0]]) == "SMITH"


def test_writing_to_a_result_does_not_reach_the_next() -> None:
    first = surnames()
    kept = [array.copy() for array in first]
    for one in first:
        one[:] = 7
    for array, expected in zip(surnames(), kept, strict=True):
        np.testing.assert_array_equal(array, expected)
