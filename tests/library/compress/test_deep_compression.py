"""Deep Compression: what comes out of a file, its size, and what is refused."""

import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepopt_lib.compress import (
    Model,
    Packed,
    compress,
    decompress,
    k_means,
    magnitude,
    pack,
    predict,
    read_model,
    top_share,
    unpack,
    write_model,
)
from deepopt_lib.compress.packed import GAP_BITS
from deepopt_lib.core import Array, Params, nbytes

pytestmark = pytest.mark.usefixtures("quick")
modest = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def sparse(shape: tuple[int, ...], sparsity: float = 0.8, seed: int = 0) -> Array:
    w = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(w * top_share(magnitude(w), sparsity))


def bits(arrays: Any) -> list[Any]:
    """Return everything about arrays that another program could see."""
    return [(k, a.dtype.str, a.shape, a.tobytes()) for k, a in arrays.items()]


def flat(code: Packed | Array) -> list[Any]:
    parts: list[Any] = [code]
    if isinstance(code, Packed):
        parts = [*code.gaps, *code.labels, code.centers, code.shape]
    return bits(dict(enumerate(parts)))


# Packing.


@modest
@given(data=st.data())
def test_few_values_come_back_bit_for_bit(data: st.DataObject) -> None:
    n_bits = data.draw(st.integers(1, 5))
    size = 2**n_bits - 1
    numbers = st.floats(-9, 9, width=16).filter(bool)
    values = [*data.draw(st.lists(numbers, min_size=1, max_size=size)), 0.0]
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=9))
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    w = data.draw(hnp.arrays(dtype, shape, elements=st.sampled_from(values)))
    if not w.any():
        with pytest.raises(ValueError, match="w has no entry other than zero"):
            pack(w, n_bits)
        return
    back = unpack(pack(w, n_bits))
    assert (back.dtype, back.shape) == (w.dtype, w.shape)
    assert back.tobytes() == w.tobytes()


@modest
@given(st.integers(0, 999), st.integers(2, 6), st.floats(0.0, 0.98), st.booleans())
def test_zeros_stay_and_all_others_get_the_nearest_value(
    seed: int, n_bits: int, sparsity: float, linear: bool
) -> None:
    w = sparse((37, 20), sparsity, seed)
    code = pack(w, n_bits, start="linear" if linear else "density")
    back = unpack(code)
    np.testing.assert_array_equal(back != 0, w != 0)
    kept, found = w[w != 0], back[w != 0]
    assert code.centers.size == min(2**n_bits - 1, len(set(kept.tolist())))
    distances = np.abs(kept[:, None] - code.centers)
    np.testing.assert_array_equal(np.abs(kept - found), distances.min(axis=1))
    np.testing.assert_array_equal(unpack(pack(back, n_bits)), back)


def test_one_value_is_left_for_fillers_and_the_start_is_handed_on() -> None:
    w = sparse((40, 30)).round(3)
    kept = w[w != 0]
    for start in ("linear", "density"):
        centers, _ = k_means(kept, 7, start)
        np.testing.assert_array_equal(pack(w, 3, start=start).centers, centers)
        code = compress({"w": w}, 3, start=start)["w"]
        assert isinstance(code, Packed)
        np.testing.assert_array_equal(code.centers, centers)
    four = np.array([[0.5, 0.0, 1.0], [2.0, 0.0, 4.0]])
    assert pack(four, 2).centers.size == 3
    assert pack(four, 3).centers.tolist() == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("sparsity", "rows"), [(0.0, 100), (0.5, 100), (0.9, 100), (0.995, 4000)]
)
def test_the_smallest_code_is_chosen(sparsity: float, rows: int) -> None:
    w = sparse((rows, 60), sparsity)
    sizes = {b: pack(w, 4, gap_bits=b).nbytes for b in range(1, 17)}
    best = pack(w, 4)
    assert best.nbytes == min(sizes[b] for b in range(2, 13))
    assert best.gaps.lengths.size in {2**b for b in GAP_BITS if sizes[b] == best.nbytes}
    for b in (1, 3, 16):
        np.testing.assert_array_equal(unpack(pack(w, 4, gap_bits=b)), unpack(best))


def test_every_byte_is_counted() -> None:
    code = pack(sparse((40, 25)).astype(np.float32), 3, gap_bits=4)
    gaps, labels = code.gaps, code.labels
    tables = gaps.lengths.nbytes + labels.lengths.nbytes
    assert (gaps.lengths.nbytes, labels.lengths.nbytes) == (2**4, 2**3)
    assert code.centers.nbytes == 4 * (2**3 - 1)
    counts = gaps.symbols.nbytes + labels.symbols.nbytes
    streams = gaps.packed.nbytes + labels.packed.nbytes
    assert code.nbytes == streams + tables + code.centers.nbytes + counts + 8
    assert code.nbytes == nbytes(code)


BAD: list[tuple[Any, str]] = [
    ((np.zeros((2, 3)),), r"w has no entry other than zero: shape \(2, 3\)"),
    ((np.array([1.0, np.nan]),), "w has 1 entries that are NaN or infinite"),
    ((np.zeros((0, 3)),), r"w is empty: shape \(0, 3\)"),
    ((np.arange(3),), "w must be a floating-point array, got int64"),
    *(
        ((np.ones(3), b), rf"bits must be an int in \[1, 12\], got {b}")
        for b in (0, 13, 4.0, True, None)
    ),
]


@pytest.mark.parametrize(("args", "message"), BAD)
def test_what_cannot_be_packed(args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(*args)


def test_parts_that_do_not_fit() -> None:
    code = pack(sparse((10, 8)), 3)
    other = pack(sparse((12, 8)), 3)
    n, m = int(code.gaps.symbols[0]), int(other.labels.symbols[0])
    cases = [
        (code._replace(labels=other.labels), rf"{n} gaps and {m} values for 80 places"),
        (code._replace(shape=np.array([2, 8], np.int32)), "values for 16 places"),
        (code._replace(centers=code.centers[:3]), "value 7 of 3"),
    ]
    for bad, message in cases:
        with pytest.raises(ValueError, match=message):
            unpack(bad)


# Models.

OTHERS: dict[str, Any] = {
    "vector": np.arange(5.0),
    "ints": np.arange(6).reshape(2, 3),
    "half": np.linspace(0, 1, 3).astype(np.float16),
    "number": np.array(2.5),
    "flags": np.array([True, False]),
    "kernel": sparse((3, 3, 2, 4)),
    "none": np.zeros((0,), np.float32),
    "big-endian": np.arange(3.0).astype(">f8"),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "tiny": np.array([[1.5]]),
    "zeros": np.zeros((20, 30)),
    "ü/1.W": np.array([7], np.uint8),
}


def some() -> Model:
    params = {"W": sparse((30, 20)), "V": sparse((40, 9)).astype(np.float32)}
    return compress({**params, "H": sparse((50, 9)).astype(np.float16), **OTHERS})


def test_only_matrices_that_shrink_are_packed(path: Path) -> None:
    seen: list[str] = []
    params = {"W": sparse((30, 20)), **OTHERS}
    model = compress(params, progress=lambda names: seen.extend(names) or names)  # type: ignore[func-returns-value]
    assert seen == list(model) == list(params)
    assert [k for k, a in model.items() if isinstance(a, Packed)] == ["W"]
    assert bits({k: decompress(model)[k] for k in OTHERS}) == bits(OTHERS)
    np.testing.assert_array_equal(decompress(model)["W"] != 0, params["W"] != 0)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.array([[1.0, np.nan]]), "layer1.W has 1 entries that are NaN or infinite"),
        (np.zeros((3, 0)), r"layer1.W is empty: shape \(3, 0\)"),
    ],
)
def test_bad_matrices_are_named(w: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compress({"layer0.W": np.ones((3, 3)), "layer1.W": w})


def test_the_file_gives_back_the_same_bits(path: Path) -> None:
    model = some()
    size = write_model(path, model)
    back = read_model(path)
    assert list(back) == list(model)
    for k, code in model.items():
        assert type(back[k]) is type(code)
        assert flat(back[k]) == flat(code)
    assert bits(decompress(back)) == bits(decompress(model))
    assert all(a.flags.writeable for a in decompress(back).values())
    assert write_model(path.with_name("again"), back) == size
    assert path.with_name("again").read_bytes() == path.read_bytes()
    write_model(path.with_name("again"), some())
    assert path.with_name("again").read_bytes() == path.read_bytes()


def test_the_size_of_the_file(path: Path) -> None:
    """Mark, checksum and length of the header: 12 bytes; the header; the arrays."""
    model = some()
    size = write_model(path, model)
    data = path.read_bytes()
    header = data[12 : 12 + int.from_bytes(data[8:12], "little")]
    parts = 0
    for code in model.values():
        if isinstance(code, Packed):  # counts and shape are in the header
            parts += code.nbytes - 16 - code.shape.nbytes
        else:
            parts += code.nbytes
    assert size == len(data) == path.stat().st_size == 12 + len(header) + parts
    assert list(json.loads(header)) == list(model)
    assert b" " not in header.replace(b"big-endian", b"")
    assert data[:4] == b"DCZ1"
    assert int.from_bytes(data[4:8], "little") == zlib.crc32(data[8:])


def test_predictions_are_the_same(path: Path) -> None:
    params: Params = {"0.W": sparse((9, 30), 0.3), "0.b": np.ones(30)}
    params["1.W"] = sparse((30, 4), 0.3)
    x = np.random.default_rng(1).standard_normal((5, 9))
    model = compress(params, 3)
    write_model(path, model)
    shared = decompress(model)
    expected = np.maximum(x @ shared["0.W"] + 1, 0) @ shared["1.W"]
    np.testing.assert_array_equal(predict(decompress(read_model(path)), x), expected)


# Files that are refused.


def refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is {message}"):
        read_model(path)


def test_truncated_anywhere_or_a_byte_flipped(path: Path) -> None:
    write_model(path, {"W": pack(sparse((12, 5))), "b": np.ones(2, np.float32)})
    whole = path.read_bytes()
    for n in range(len(whole)):
        refused(path, whole[:n], "(truncated or damaged|no compressed model|no model)")
        other = bytearray(whole)
        other[n] ^= 1 << n % 8
        message = "no compressed model: it starts" if n < 4 else "truncated or damaged"
        refused(path, bytes(other), message)
    refused(path, whole + b"\0", "truncated or damaged: its checksum does not match")


@pytest.mark.parametrize(
    "data", [b"", b"DCZ2" + bytes(20), b"PK\x03\x04" + bytes(9), b"loss = 0.1"]
)
def test_foreign_files(data: bytes, path: Path) -> None:
    starts = re.escape(repr(data[:4]))
    refused(path, data, f"no compressed model: it starts with {starts}")


HEADERS: list[Any] = [
    *([], 1, {"a": 1}, {"a": None}, {"a": "ab"}, {"a": [[2], "<f9"]}),
    *({"a": [[n], "<f8"]} for n in (2, 10**18, 10**30, float("inf"), "n", -1)),
    {"a": [[2], "<f8", 1, 2]},
    {"a": [[2], "<f8", 1, 1, 1, 1, 0, 1]},
    {"a": [[2**40], "<f8", 1, 1, 1, 1, 1, 1]},
    {"a": [[1], "O"]},
    {"a": [[4], "|u1"]},
    {},
]


@pytest.mark.parametrize("header", [*map(json.dumps, HEADERS), "{", "[" * 100_000])
def test_headers_of_other_versions(header: str, path: Path) -> None:
    """With a checksum that is right, and five bytes of arrays."""
    body = len(header).to_bytes(4, "little") + header.encode() + bytes(5)
    data = b"DCZ1" + zlib.crc32(body).to_bytes(4, "little") + body
    refused(path, data, "no model of this version: ")


def test_places_that_cannot_be_read_or_written(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        read_model(path)
    for target in (tmp_path / "absent" / "x.dcz", tmp_path):
        with pytest.raises(OSError, match="cannot write the model: ") as caught:
            write_model(target, {"a": np.ones(2)})
        assert repr(str(target)) in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_failed_write_keeps_the_file_that_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(path, some())
    whole = path.read_bytes()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    for place in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, place, full)
            with pytest.raises(OSError, match="cannot write the model: No space left"):
                write_model(path, {"a": np.ones(2)})
        assert path.read_bytes() == whole
        assert os.listdir(path.parent) == [path.name]
