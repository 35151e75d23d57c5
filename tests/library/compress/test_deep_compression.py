"""Deep Compression: what comes out of a file, its size, and what is refused."""

import json
import os
import re
import tempfile
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepopt_lib.compress import (
    HuffmanCode,
    Model,
    SparseCode,
    compress,
    decode_sparse,
    decompress,
    encode_sparse,
    huffman,
    k_means,
    magnitude,
    predict,
    read_model,
    sparse_code,
    top_share,
    write_model,
)
from deepopt_lib.compress.deep_compression import is_matrix
from deepopt_lib.compress.model_file import GROWTH
from deepopt_lib.compress.sparse_code import GAP_BITS
from deepopt_lib.core import Array, Params, nbytes

pytestmark = pytest.mark.usefixtures("quick")
modest = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def sparse(shape: tuple[int, ...], sparsity: float = 0.8, seed: int = 0) -> Array:
    w = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(w * top_share(magnitude(w), sparsity))


def bits(arrays: Any) -> list[Any]:
    """Return everything about arrays that another program could see."""
    return [(k, a.dtype.str, a.shape, a.tobytes()) for k, a in arrays.items()]


def flat(code: SparseCode | Array) -> list[Any]:
    parts: list[Any] = [code]
    if isinstance(code, SparseCode):
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
            encode_sparse(w, n_bits)
        return
    back = decode_sparse(encode_sparse(w, n_bits))
    assert (back.dtype, back.shape) == (w.dtype, w.shape)
    assert back.tobytes() == w.tobytes()


@modest
@given(st.integers(0, 999), st.integers(2, 6), st.floats(0.0, 0.98), st.booleans())
def test_zeros_stay_and_all_others_get_the_nearest_value(
    seed: int, n_bits: int, sparsity: float, linear: bool
) -> None:
    w = sparse((37, 20), sparsity, seed)
    code = encode_sparse(w, n_bits, start="linear" if linear else "density")
    back = decode_sparse(code)
    np.testing.assert_array_equal(back != 0, w != 0)
    kept, found = w[w != 0], back[w != 0]
    assert code.centers.size == min(2**n_bits - 1, len(set(kept.tolist())))
    distances = np.abs(kept[:, None] - code.centers)
    np.testing.assert_array_equal(np.abs(kept - found), distances.min(axis=1))
    np.testing.assert_array_equal(decode_sparse(encode_sparse(back, n_bits)), back)


def test_one_value_is_left_for_fillers_and_the_start_is_handed_on() -> None:
    w = sparse((40, 30)).round(3)
    kept = w[w != 0]
    for start in ("linear", "density"):
        centers, _ = k_means(kept, 7, start)
        np.testing.assert_array_equal(encode_sparse(w, 3, start=start).centers, centers)
        code = compress({"w": w}, 3, start=start)["w"]
        assert isinstance(code, SparseCode)
        np.testing.assert_array_equal(code.centers, centers)
    four = np.array([[0.5, 0.0, 1.0], [2.0, 0.0, 4.0]])
    assert encode_sparse(four, 2).centers.size == 3
    assert encode_sparse(four, 3).centers.tolist() == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("sparsity", "rows"), [(0.0, 100), (0.5, 100), (0.9, 100), (0.995, 4000)]
)
def test_the_smallest_code_is_chosen(sparsity: float, rows: int) -> None:
    w = sparse((rows, 60), sparsity)
    sizes = {b: nbytes(encode_sparse(w, 4, gap_bits=b)) for b in range(1, 17)}
    best = encode_sparse(w, 4)
    assert nbytes(best) == min(sizes[b] for b in range(2, 13))
    assert best.gaps.lengths.size in {
        2**b for b in GAP_BITS if sizes[b] == nbytes(best)
    }
    for b in (1, 3, 16):
        np.testing.assert_array_equal(
            decode_sparse(encode_sparse(w, 4, gap_bits=b)), decode_sparse(best)
        )


def test_the_smallest_code_is_found_without_making_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All eleven were made to keep one: 16 s and 724 MB for 16 MB of weights."""
    made = []

    def counted(symbols: Any, alphabet: int) -> HuffmanCode:
        made.append(alphabet)
        return huffman(symbols, alphabet)

    monkeypatch.setattr(sparse_code, "huffman", counted)
    code = encode_sparse(sparse((50, 40), 0.97), 3)
    assert made == [code.gaps.lengths.size, 8]


def test_every_byte_is_counted() -> None:
    code = encode_sparse(sparse((40, 25)).astype(np.float32), 3, gap_bits=4)
    gaps, labels = code.gaps, code.labels
    tables = gaps.lengths.nbytes + labels.lengths.nbytes
    assert (gaps.lengths.nbytes, labels.lengths.nbytes) == (2**4, 2**3)
    assert code.centers.nbytes == 4 * (2**3 - 1)
    counts = gaps.n_symbols.nbytes + labels.n_symbols.nbytes
    streams = gaps.packed.nbytes + labels.packed.nbytes
    assert nbytes(code) == streams + tables + code.centers.nbytes + counts + 8


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
        encode_sparse(*args)


def test_parts_that_do_not_fit() -> None:
    code = encode_sparse(sparse((10, 8)), 3)
    other = encode_sparse(sparse((12, 8)), 3)
    n, m = int(code.gaps.n_symbols[0]), int(other.labels.n_symbols[0])
    cases = [
        (code._replace(labels=other.labels), rf"{n} gaps and {m} values for 80 places"),
        (code._replace(shape=np.array([2, 8], np.int32)), "values for 16 places"),
        (code._replace(centers=code.centers[:3]), "value 7 of 3"),
    ]
    for bad, message in cases:
        with pytest.raises(ValueError, match=message):
            decode_sparse(bad)


# Models.

OTHERS: dict[str, Any] = {
    "vector": np.arange(5.0),
    "ints": np.arange(6).reshape(2, 3),
    "half": np.linspace(0, 1, 3).astype(np.float16),
    "number": np.array(2.5),
    "flags": np.array([True, False]),
    "kernel": sparse((3, 3, 2, 4)),
    "none": np.zeros((0,), np.float32),
    "no-rows": np.zeros((0, 3)),
    "big-endian": np.arange(3.0).astype(">f8"),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "tiny": np.array([[1.5]]),
    "zeros": np.zeros((20, 30)),
    "ü/1.W": np.array([7], np.uint8),
}


def some() -> Model:
    params = {"W": sparse((30, 20)), "V": sparse((40, 9)).astype(np.float32)}
    return compress({**params, "H": sparse((50, 9)).astype(np.float16), **OTHERS})


def test_only_what_shrinks_is_coded(path: Path) -> None:
    seen: list[str] = []
    params = {"W": sparse((30, 20)), **OTHERS}
    model = compress(params, progress=lambda names: seen.extend(names) or names)  # type: ignore[func-returns-value]
    assert seen == list(model) == list(params)
    assert [k for k, a in model.items() if isinstance(a, SparseCode)] == ["W", "kernel"]
    kept = [k for k in OTHERS if k != "kernel"]
    for k in kept:
        assert bits({k: decompress(model)[k]}) == bits({k: OTHERS[k]})
    kernel = decompress(model)["kernel"]
    np.testing.assert_array_equal(kernel != 0, OTHERS["kernel"] != 0)
    np.testing.assert_array_equal(decompress(model)["W"] != 0, params["W"] != 0)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.array([[1.0, np.nan]]), "layer1.W has 1 entries that are NaN or infinite"),
        (np.array([[[1.0, -np.inf]]]), "layer1.W has 1 entries that are NaN or"),
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
        if isinstance(code, SparseCode):  # counts and shape are in the header
            parts += nbytes(code) - 16 - code.shape.nbytes
        else:
            parts += nbytes(code)
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


def test_numbers_of_every_type_are_written_and_nothing_else(path: Path) -> None:
    for t in "?bBhHiIqQefdFD":
        for end in "<>":
            model: Model = {"a": np.arange(3).astype(np.dtype(t).newbyteorder(end))}  # type: ignore[arg-type]
            write_model(path, model)
            assert bits(read_model(path)) == bits(model)
    whole = path.read_bytes()
    for bad in (np.array([None]), np.array(["text"]), np.array([1], "M8[s]")):
        with pytest.raises(ValueError, match=r"a cannot be written: .* is no type of"):
            write_model(path, {"a": bad})
    assert path.read_bytes() == whole


def test_hardly_any_entries_are_kept_as_they_are(path: Path) -> None:
    """A code that small could not be told from one that asks for too much memory."""
    w = np.zeros((1000, 1000))
    w[0, 0] = 1
    code = encode_sparse(w)
    np.testing.assert_array_equal(decode_sparse(code), w)
    with pytest.raises(
        ValueError, match=r"W cannot be written: shape \(1000, 1000\) is"
    ):
        write_model(path, {"W": code})
    model = compress({"W": w, "V": w[:50]})
    assert [isinstance(a, SparseCode) for a in model.values()] == [False, True]
    write_model(path, model)
    np.testing.assert_array_equal(decompress(read_model(path))["W"], w)


def test_as_many_bytes_are_no_fewer_and_the_bound_is_in_the_model(path: Path) -> None:
    """One entry has a code of 36 bytes, whatever the length of the row."""
    row = np.zeros((1, GROWTH * 9 + 1), np.float32)
    row[0, 0] = 1.0
    assert (nbytes(encode_sparse(row)), GROWTH) == (36, 16_384)
    for n, coded in ((9, False), (10, True), (GROWTH * 9, True), (row.size, False)):
        model = compress({"w": row[:, :n]})
        assert isinstance(model["w"], SparseCode) == coded
        write_model(path, model)
        np.testing.assert_array_equal(decompress(read_model(path))["w"], row[:, :n])


def test_matrices_have_two_axes_or_more_and_an_entry() -> None:
    w = np.ones((2, 3, 4))
    for matrix in (w, w[0], w[0, :1, :1]):
        assert is_matrix(matrix)
        assert not is_matrix(matrix.astype(np.int64))
    for other in (w[0, 0], w[0, 0, :1], w[0, 0, 0], w[:0, 0], w[:, :0]):
        assert not is_matrix(other)


# Files that are refused.


def refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is {message}"):
        read_model(path)


def test_truncated_anywhere_or_a_byte_flipped(path: Path) -> None:
    write_model(
        path, {"W": encode_sparse(sparse((12, 5))), "b": np.ones(2, np.float32)}
    )
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


def sealed(header: Any, arrays: bytes) -> bytes:
    """Return a file whose checksum is right, whatever the header says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = len(text).to_bytes(4, "little") + text + arrays
    return b"DCZ1" + zlib.crc32(body).to_bytes(4, "little") + body


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of a file and the bytes of its arrays."""
    data = path.read_bytes()
    start = 12 + int.from_bytes(data[8:12], "little")
    return json.loads(data[12:start]), data[start:]


def test_a_header_cannot_ask_for_more_than_the_bytes_that_are_there(
    path: Path,
) -> None:
    """A hundred bytes asked for 8 GiB."""
    write_model(path, {"W": encode_sparse(np.eye(9, dtype=np.float32), 1)})
    header, arrays = parts(path)
    header["W"][0] = [46000, 46000]
    tracemalloc.start()
    refused(path, sealed(header, arrays), "no model of this version: shape")
    header["W"][0] = [128, 2**10]
    path.write_bytes(sealed(header, arrays))
    assert decompress(read_model(path))["W"].shape == (128, 2**10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**30, True, None]),
    st.floats(),
)
TYPES = st.sampled_from(
    [
        ",f4",
        "<f4",
        ">f8",
        "|b1",
        "|u1",
        "O",
        "|O",
        "f4,f4",
        "<U9",
        "<M8[s]",
        "V8",
        "",
        4,
    ]
)
ENTRIES = st.lists(NUMBERS | TYPES | st.lists(NUMBERS, max_size=3), max_size=9)


@settings(modest, max_examples=150)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_read_or_refused(data: st.DataObject) -> None:
    """Crafted headers and streams under a right checksum: ValueError, no large array.

    A dtype ",f4" was a SyntaxError, a length -1 meant all that is left.
    """
    text, stored = data.draw(st.sampled_from(CRAFTED))
    header, arrays = json.loads(text), bytearray(stored)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(["W", "b", "new"]))
        entry = header.get(name)
        what = data.draw(st.sampled_from(["entry", "shape", "part", "byte", "cut"]))
        if what == "entry" or not isinstance(entry, list) or not entry:
            header[name] = data.draw(ENTRIES | NUMBERS)
        elif what == "shape":
            entry[0] = data.draw(st.lists(NUMBERS, max_size=3))
        elif what == "part":
            i = data.draw(st.integers(0, len(entry) - 1))
            entry[i] = data.draw(NUMBERS | TYPES)
        elif what == "byte" and arrays:
            i = data.draw(st.integers(0, len(arrays) - 1))
            arrays[i] = data.draw(st.integers(0, 255))
        else:
            del arrays[len(arrays) - data.draw(st.integers(0, len(arrays))) :]
    content = sealed(header, bytes(arrays))
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            for w in decompress(read_model(file.name)).values():
                assert w.nbytes <= GROWTH * len(content)
        except ValueError as error:
            assert str(error)


def crafted(model: Model) -> tuple[str, bytes]:
    with tempfile.NamedTemporaryFile() as file:
        write_model(file.name, model)
        header, arrays = parts(Path(file.name))
    return json.dumps(header), arrays


CRAFTED = [
    crafted({"W": encode_sparse(sparse((9, 7)), 2), "b": np.ones(3)}),
    crafted({"W": np.arange(6).reshape(2, 3), "b": np.ones(2, np.float16)}),
]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": [[2], ",f4"]}, "',f4' is no type of an array"),
        ({"a": [[-1], "|u1"]}, "a size must be an int in .*, got -1"),
        ({"a": [[True], "|u1"]}, "a size must be an int in .*, got True"),
        ({"a": [[5.0], "|u1"]}, "a size must be an int in .*, got 5.0"),
        ({"a": [[2**31], "|u1"]}, "a size must be an int in .*, got 2147483648"),
        ({"a": [[6], "|u1"]}, "a needs 6 bytes of 5"),
        ({"a": [[0, 2**31 - 1, 2**31 - 1, 4], "|u1"]}, ".*"),
        ({"a": [[1] * 99, "|u1"]}, ".*"),
        ({"a": [[1], "|u1", -1, 1, 1, 1, 1, 1]}, "a size must be an int in .*, got -1"),
        ({"a": [[1], "<i4", 1, 1, 1, 1, 1, 1]}, "shared values must be floating"),
        (b'{"a":[[5],"|u1"],"a":[[5],"|u1"]}', "an array is named twice"),
        (b"\xff\xfe{\x00}\x00", "'utf-8' codec can't decode"),
    ],
)
def test_headers_that_claim_what_cannot_be(
    header: Any, message: str, path: Path
) -> None:
    data = sealed(header, bytes(5))
    refused(path, data, f"no model of this version: {message}")


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
    refused(path, sealed(header.encode(), bytes(5)), "no model of this version: ")


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
