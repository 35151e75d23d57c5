"""What every codec promises, tested for every class on the library's list.

A new codec is picked up unasked; without an entry in EXAMPLES the first test fails.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepopt_lib.compress import (
    CODECS,
    NM,
    Affine,
    BaseCodec,
    Blockwise,
    Codebook,
    LowRank,
    pack_bits,
    table,
    top_nm,
    unpack_bits,
)
from deepopt_lib.core import Array, Codec, nbytes
from deepopt_lib.parallel import ScaledSign, TopK
from tests.library.registry import modules

modules()  # everything registers

EXAMPLES: dict[str, list[BaseCodec]] = {
    "Affine": [
        *(
            Affine(bits, symmetric, axis, block)
            for bits in (1, 2, 4, 7, 8, 11, 16)
            for symmetric in (False, True)
            for axis, block in ((None, None), (0, None), (-1, None), (None, 5))
        ),
        Affine(4, range="mse"),
        Affine(4, range="percentile", axis=1),
    ],
    "Blockwise": [
        Blockwise(grid, bits, block)
        for grid in ("dynamic", "normal", "linear")
        for bits, block in ((8, 256), (4, 7), (2, 1), (3, 64))
    ],
    "Codebook": [Codebook(1), Codebook(2, "density"), Codebook(3)],
    "LowRank": [LowRank(1), LowRank(3)],
    "NM": [NM(2, 4), NM(1, 2), NM(5, 8)],
    "ScaledSign": [ScaledSign()],
    "TopK": [TopK(0.01), TopK(0.3), TopK(1.0)],
}
ALL = [codec for codecs in EXAMPLES.values() for codec in codecs]
every_codec = pytest.mark.parametrize("codec", ALL, ids=repr)
modest = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def sample(codec: BaseCodec, seed: int = 0, dtype: Any = np.float64) -> Array:
    """Return a matrix that the codec takes."""
    x = np.random.default_rng(seed).standard_normal((8, 6)).astype(dtype)
    if isinstance(codec, NM):
        x = x * top_nm(np.abs(x), codec.n, codec.m)
    return x


def test_every_codec_has_an_example() -> None:
    assert CODECS.keys() == EXAMPLES.keys()
    for name, codecs in EXAMPLES.items():
        assert all(type(codec) is CODECS[name] for codec in codecs)


@every_codec
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shape_and_dtype_come_back_and_bytes_are_counted(
    codec: BaseCodec, dtype: Any
) -> None:
    if dtype == np.float16 and isinstance(codec, Affine):
        return  # no room for the codes
    x = sample(codec, dtype=dtype)
    x.setflags(write=False)
    code: Any = codec.encode(x)
    y = codec.decode(code)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert nbytes(code) == sum(part.nbytes for part in code)
    assert isinstance(codec, Codec)
    assert isinstance(code, tuple)
    assert all(isinstance(part, np.ndarray) for part in code)
    np.testing.assert_array_equal(codec.round(x), y)
    assert not np.shares_memory(x, y)


@every_codec
def test_coding_twice_changes_nothing_more(codec: BaseCodec) -> None:
    """What came out once comes out again, but for rounding."""
    once = codec.round(sample(codec))
    twice = codec.round(once)
    if isinstance(codec, Affine) and codec.range != "minmax":
        return  # it fits a new range, to fewer values
    scale = np.abs(once).max()
    np.testing.assert_allclose(twice, once, rtol=0, atol=1e-9 * scale)


@every_codec
def test_no_approximation_is_worse_than_zero(codec: BaseCodec) -> None:
    """Only nearest-value codes of one or two bits may come near it."""
    x = sample(codec, seed=3)
    error = np.sum((x - codec.round(x)) ** 2) / np.sum(x**2)
    assert error < 1


@every_codec
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), r"x is empty: shape \(0, 4\)"),
        (np.array([[1.0, np.nan], [np.inf, 0.0]]), "x has 2 entries that are NaN or"),
        (np.ones((4, 4), np.int64), "x must be a floating-point array, got int64"),
        ([[1.0, 2.0]], r"x must be a floating-point array, got \[\[1.0, 2.0\]\]"),
    ],
)
def test_bad_arrays_are_refused(codec: BaseCodec, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("x ", r"(x|values|W) ", 1)):
        codec.encode(x)


@every_codec
def test_is_a_value(codec: BaseCodec) -> None:
    for twin in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert twin == codec
        assert hash(twin) == hash(codec)
    assert repr(codec).startswith(type(codec).__name__ + "(")
    assert sum(codec == other for other in ALL) == 1


@pytest.mark.parametrize(
    "codec",
    [c for c in ALL if isinstance(c, Affine | Blockwise)],
    ids=repr,
)
@pytest.mark.parametrize("value", [0.0, 2.5, -3.0])
@pytest.mark.parametrize("shape", [(1,), (), (3, 4), (1, 1)])
def test_one_valued_arrays_come_back(
    codec: BaseCodec, value: float, shape: tuple[int, ...]
) -> None:
    """A constant channel, a single entry: on the grid, and no division by zero."""
    x = np.full(shape, value)
    axis = getattr(codec, "axis", None)
    if axis is not None and not -len(shape) <= axis < len(shape):
        with pytest.raises(ValueError, match=r"axis -?\d of an array of shape"):
            codec.encode(x)
        return
    rounded = codec.round(x)
    np.testing.assert_allclose(rounded, x, rtol=1e-12)


@modest
@given(data=st.data())
def test_bits_pack_and_unpack(data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 16))
    codes = data.draw(
        hnp.arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 2**bits - 1))
    )
    packed = pack_bits(codes, bits)
    assert packed.dtype == np.uint8
    assert packed.nbytes == (codes.size * bits + 7) // 8
    np.testing.assert_array_equal(unpack_bits(packed, bits, codes.size), codes)
    as_one = sum(int(c) << (bits * i) for i, c in enumerate(codes))
    assert int.from_bytes(packed.tobytes(), "little") == as_one


@pytest.mark.parametrize(
    ("codes", "bits", "message"),
    [
        (np.array([4]), 2, r"codes must be in \[0, 4\) for 2 bits, got 4 to 4"),
        (np.array([-1]), 2, r"codes must be in \[0, 4\) for 2 bits, got -1 to -1"),
        (np.array([0.5]), 2, "codes must be integers, got float64"),
        (np.array([0]), 0, r"bits must be an int in \[1, 16\], got 0"),
        (np.array([0]), 17, r"bits must be an int in \[1, 16\], got 17"),
        (np.array([0]), 2.0, r"bits must be an int in \[1, 16\], got 2.0"),
        (np.array([0]), True, r"bits must be an int in \[1, 16\], got True"),
    ],
)
def test_what_cannot_be_packed(codes: Any, bits: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_bits(codes, bits)


def test_a_code_of_another_length_is_not_unpacked() -> None:
    with pytest.raises(ValueError, match="5 codes of 3 bits take 2 bytes, got 1"):
        unpack_bits(np.zeros(1, np.uint8), 3, 5)


BAD: list[tuple[Any, str]] = [
    (lambda: Affine(0), r"Affine.bits must be an int in \[1, 16\], got 0"),
    (lambda: Affine(17), r"Affine.bits must be an int in \[1, 16\], got 17"),
    (lambda: Affine(4.0), r"Affine.bits must be an int in \[1, 16\], got 4.0"),  # type: ignore[arg-type]
    (lambda: Affine(axis=0, block=4), "Affine takes an axis or a block, got both"),
    (lambda: Affine(axis=1.5), r"Affine.axis must be an int in \[-64, 64\], got 1.5"),  # type: ignore[arg-type]
    (lambda: Affine(symmetric="no"), "Affine.symmetric must be .*, got 'no'"),  # type: ignore[arg-type]
    (lambda: Affine(range=[]), r"Affine.range must be one of .*, got \[\]"),  # type: ignore[arg-type]
    (lambda: table("even", 4), "name must be one of .*, got 'even'"),
    (lambda: table("linear", 9), r"bits must be an int in \[2, 8\], got 9"),
    (lambda: table("linear", 4, "no"), "signed must be True or False, got 'no'"),
    (lambda: unpack_bits(np.zeros(1, np.uint8), 8, -1), "n must be an int >= 0"),
    (lambda: Affine(block=0), "Affine.block must be an int >= 1, got 0"),
    (lambda: Affine(range="widest"), "Affine.range must be one of .*, got 'widest'"),
    (lambda: Affine(axis=2).encode(np.ones((2, 2))), r"axis 2 of an array of shape"),
    (lambda: Blockwise("even"), "Blockwise.grid must be one of .*, got 'even'"),
    (lambda: Blockwise(bits=1), r"Blockwise.bits must be an int in \[2, 8\], got 1"),
    (lambda: Blockwise(bits=9), r"Blockwise.bits must be an int in \[2, 8\], got 9"),
    (lambda: Blockwise(block=0), "Blockwise.block must be an int >= 1, got 0"),
    (lambda: Codebook(0), r"Codebook.bits must be an int in \[1, 16\], got 0"),
    (lambda: Codebook(17), r"Codebook.bits must be an int in \[1, 16\], got 17"),
    (lambda: Codebook(2, "random"), "Codebook.start must be in .*, got 'random'"),
    (
        lambda: Codebook(4).encode(np.ones(15)),
        r"k, .*, must be an int in \[1, 15\], got 16",
    ),
    (lambda: LowRank(0), "LowRank.r must be an int >= 1, got 0"),
    (
        lambda: LowRank(3).encode(np.ones((2, 5))),
        r"r, a rank .*, must be an int in \[1, 2\]",
    ),
    (lambda: LowRank(1).encode(np.ones(5)), r"W must have 2 axes, got shape \(5,\)"),
    (lambda: NM(4, 4), r"NM.n must be an int in \[1, 3\], got 4"),
    (lambda: NM(0, 4), r"NM.n must be an int in \[1, 3\], got 0"),
    (lambda: NM(2, 4).encode(np.ones((6, 2))), "m must divide the rows, got m = 4"),
    (lambda: NM(2, 4).encode(np.ones((4, 2))), "a group of 4 has 4 entries other than"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_defaults_are_those_of_the_papers() -> None:
    assert Affine() == Affine(8, False, None, None, "minmax")
    assert Blockwise() == Blockwise("dynamic", 8, 256)  # Dettmers et al. (2022)
    assert Codebook() == Codebook(4, "linear")
    assert NM() == NM(2, 4)


def test_scalars_of_numpy_are_welcome() -> None:
    three: Any = np.int64(3)
    yes: Any = np.bool_(True)
    one: Any = np.int64(1)
    assert Affine(three, yes, axis=three) == Affine(3, True, 3)
    assert Affine(block=three) == Affine(block=3)
    assert Blockwise(bits=three, block=three) == Blockwise(bits=3, block=3)
    assert (Codebook(three), LowRank(three)) == (Codebook(3), LowRank(3))
    assert NM(one, three) == NM(1, 3)
    for codec in (Affine(three), Codebook(three), LowRank(three), NM(1, three)):
        assert "np." not in repr(codec)


@pytest.mark.parametrize(
    ("nm", "dtype", "share"),
    [((2, 4), np.float16, 9 / 16), ((2, 4), np.float32, 17 / 32)],
)
def test_two_of_four_takes_the_published_share(
    nm: tuple[int, int], dtype: Any, share: float
) -> None:
    x = np.random.default_rng(0).standard_normal((64, 32)).astype(dtype)
    x = x * top_nm(np.abs(x), *nm)
    code = NM(*nm).encode(x)
    assert nbytes(code) - code.shape.nbytes == share * x.nbytes
    np.testing.assert_array_equal(NM(*nm).decode(code), x)


def test_a_matrix_with_fewer_entries_than_allowed_is_stored_as_well() -> None:
    x = np.zeros((8, 3))
    x[5, 1] = 2.0
    np.testing.assert_array_equal(NM(2, 4).round(x), x)


def test_zeros_fill_up_from_the_beginning_of_a_group() -> None:
    """The code is the same on every machine: no sort may choose among equal ones."""
    x = np.zeros((1024, 1))
    x[1000] = 2.0
    code = NM(3, 1024).encode(x)
    assert unpack_bits(code.places, 10, 3).tolist() == [0, 1, 1000]
    np.testing.assert_array_equal(NM(3, 1024).decode(code), x)
