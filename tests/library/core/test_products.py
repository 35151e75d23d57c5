"""Products warn of what their numbers do, whatever flags the kernel raises."""

import ast
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff, compress, nn, optim, parallel, privacy, training
from deepopt_lib.book import cost
from deepopt_lib.compress.low_rank import Factors
from deepopt_lib.compress.quantization import weight_only
from deepopt_lib.core import products
from deepopt_lib.core.products import matmul, norm
from tests.library.registry import LIBRARY, files

inf, nan = np.inf, np.nan
OVERFLOW = "overflow encountered in matmul"
INVALID = "invalid value encountered in matmul"

# Where a product is not one of dense floats, or is none.
PLAIN = {
    ("compress.coding", "counts @ code_lengths(counts).astype(np.int64)"): "integers",
    ("compress.coding", "counts @ lengths.astype(np.int64)"): "integers",
    ("compress.gaps", "gaps // step @ often"): "integers",
    (
        "compress.quantization.integer",
        "a.astype(np.int32) @ layer.W.astype(np.int32)",
    ): "integers",
    ("compress.sparse", "x @ S"): "scipy.sparse",
    ("compress.sparse", "d @ S.T"): "scipy.sparse",
    ("compress.sparse", "operator.matmul"): "scipy.sparse",
    ("compress.prune", "np.linalg.norm"): "along an axis it adds up squares",
    ("core.products", "np.matmul"): "the one place",
}
# What of NumPy turns flags of BLAS into warnings.
FLAGGED = {
    *("dot", "inner", "matmul", "matvec", "tensordot", "vecdot", "vecmat"),
    *("matrix_power", "multi_dot", "norm", "pinv"),
}


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Have the kernel raise every flag, as some do; count its products."""
    found = SimpleNamespace(products=0)

    def product(a: Any, b: Any, out: Any = None) -> Any:
        found.products += 1
        np.matmul([[inf, 1e300, 1e-300]], np.diag([0, 1e300, 1e-300]))
        np.divide(1.0, 0.0)
        return np.matmul(a, b, out=out)

    numpy = SimpleNamespace(**{**vars(np), "matmul": product})
    monkeypatch.setattr(products, "np", numpy)
    return found


def said(f: Callable[..., Any], *args: Any) -> list[str]:
    """Return what a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f(*args)
    assert all(w.category is RuntimeWarning for w in caught)
    return [str(w.message) for w in caught]


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((33, 17), (17, 19)),
    ((5, 2, 3), (3, 4)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]
REAL: dict[str, tuple[Any, Any]] = {
    "overflow": ([[1e300, 1.0]], [[1e300], [1.0]]),
    "overflow of a sum": ([[1.0, 1.0]], [[1.5e308], [1.5e308]]),
    "overflow and its difference": ([[1e300, 1e300]], [[1e300], [-1e300]]),
    "inf times 0": ([[inf, 1.0]], [[0.0], [1.0]]),
    "inf less inf": ([[inf, -inf]], [[1.0], [1.0]]),
    "inf less inf of vectors": ([inf, -inf], [1.0, 1.0]),
    "overflow beside a NaN": ([[nan, 1.0], [1e300, 1.0]], [[1e300], [1.0]]),
    "inf times 0 beside a NaN": ([[nan, 1.0], [inf, 1.0]], [[0.0], [1.0]]),
}
NOT_NEW: dict[str, tuple[Any, Any]] = {
    "NaN": ([[nan, 1.0]], [[0.0], [1.0]]),
    "NaN times inf": ([[nan, 1.0]], [[inf], [1.0]]),
    "inf": ([[inf, 1.0]], [[2.0], [1.0]]),
    "inf beside large numbers": ([[inf, 1.0]], [[1.5e308], [1.5e308]]),
    "inf of vectors": ([1.0, 2.0], [-inf, 0.0]),
}


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u1", "?"])
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_the_product_is_that_of_numpy(a: Any, b: Any, dtype: str) -> None:
    left, right = (10 * numbers(*shape) for shape in (a, b))
    with np.errstate(invalid="ignore"):
        left, right = left.astype(dtype), right.astype(dtype)
    found, wanted = matmul(left, right), left @ right
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    out = np.empty_like(wanted)
    if out.ndim:
        assert matmul(left, right, out=out) is out
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (2, 3)), ((3,), (2,)), ((), (2,)), ((2, 2, 3), (3, 3, 2))]
)
def test_shapes_that_do_not_fit_are_refused_as_by_numpy(a: Any, b: Any) -> None:
    with pytest.raises(ValueError) as ours:
        matmul(np.ones(a), np.ones(b))
    with pytest.raises(ValueError) as theirs:
        np.matmul(np.ones(a), np.ones(b))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("name", REAL)
def test_what_is_real_is_warned_of_as_by_numpy(name: str) -> None:
    a, b = map(np.array, REAL[name])
    assert said(matmul, a, b) == said(np.matmul, a, b) != []


@pytest.mark.parametrize("name", NOT_NEW)
def test_what_came_in_passes_in_silence(name: str) -> None:
    a, b = map(np.array, NOT_NEW[name])
    assert said(matmul, a, b) == said(np.matmul, a, b) == []


def test_the_limits_are_those_of_the_dtype() -> None:
    a = np.full((2, 2), 1e30)
    assert said(matmul, a, a) == []
    assert said(matmul, *(2 * [a.astype(np.float32)])) == [OVERFLOW]
    assert said(matmul, *(2 * [np.full((2, 2), 1e4, np.float16)])) == [OVERFLOW]


@pytest.mark.parametrize("name", REAL)
def test_noise_adds_nothing_to_what_is_real(name: str, noise: SimpleNamespace) -> None:
    a, b = map(np.array, REAL[name])
    assert set(said(matmul, a, b)) == set(said(np.matmul, a, b))
    assert noise.products > 1


@pytest.mark.parametrize("state", ["warn", "raise"])
@pytest.mark.parametrize("name", [*NOT_NEW, "numbers"])
def test_noise_is_silent(name: str, state: Any, noise: SimpleNamespace) -> None:
    a, b = map(np.array, NOT_NEW.get(name, (numbers(3, 4), numbers(4, 5))))
    with warnings.catch_warnings(), np.errstate(all=state):
        warnings.simplefilter("error")
        found = matmul(a, b)
        out = np.empty(found.shape)
        if out.ndim:
            matmul(a, b, out=out)
    np.testing.assert_array_equal(found, a @ b)
    if out.ndim:
        np.testing.assert_array_equal(out, a @ b)
    assert noise.products >= 1


def test_finite_products_are_not_done_again(noise: SimpleNamespace) -> None:
    matmul(numbers(2, 3), numbers(3, 2))
    assert noise.products == 1


@pytest.mark.parametrize("flags", ["those of the product", "all"])
@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [("overflow", "over", OVERFLOW), ("inf times 0", "invalid", INVALID)],
)
def test_the_error_state_is_the_callers(
    name: str, kind: str, text: str, flags: str, request: pytest.FixtureRequest
) -> None:
    if flags == "all":
        request.getfixturevalue("noise")
    a, b = map(np.array, REAL[name])
    ignored: dict[str, Any] = {kind: "ignore"}
    raised: dict[str, Any] = {"all": "ignore"} | {"over": "raise", "invalid": "raise"}
    called: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(**ignored):
            matmul(a, b)
        with np.errstate(**raised), pytest.raises(FloatingPointError, match=text):
            matmul(a, b)
        with np.errstate(all="call", call=lambda what, _: called.append(what)):
            matmul(a, b)
            before = np.geterr()
        with np.errstate(all="call"):
            assert np.geterr() == before
    assert set(called) == {text.partition(" encountered")[0]}


def test_an_underflow_is_never_reported() -> None:
    small = np.full((2, 2), 1e-300)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(matmul(small, small), np.zeros((2, 2)))
    both = np.array([[1e-300, 0.0], [inf, 1.0]])
    with np.errstate(all="ignore", under="raise"):
        matmul(both, both)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (7,), (333, 217), (2, 3, 4)])
def test_the_norm_is_that_of_numpy(shape: Any, dtype: Any) -> None:
    x = (0.1 * numbers(*shape)).astype(dtype)
    for view in (x, x.T):
        assert norm(view) == np.linalg.norm(view)
        assert type(norm(view)) is float


def test_the_norm_is_silent_unless_it_overflows(noise: SimpleNamespace) -> None:
    assert said(norm, np.array([3.0, 4.0])) == []
    assert set(said(norm, np.array([1e300, 0.0]))) == {OVERFLOW}
    assert noise.products > 2


def test_noise_costs_no_operation(noise: SimpleNamespace) -> None:
    _, found = cost.count(matmul, numbers(2, 3), numbers(3, 5))
    assert found == cost.Cost(products=60, bytes=8 * (6 + 15 + 10))
    assert noise.products == 1


def gradient(f: Callable[..., Any], size: float, **shapes: tuple[int, ...]) -> None:
    params = {k: size * numbers(*shape) for k, shape in shapes.items()}
    autodiff.value_and_grad(lambda p: autodiff.sum(f(*p.values())))(params)


def attention(size: float) -> None:
    gradient(
        lambda *p: autodiff.self_attention(*p, heads=2),
        size,
        **{"x": (2, 3, 4), "W": (4, 12), "b": (12,), "Wo": (4, 4), "bo": (4,)},
    )


def recurrent(layer: Callable[..., Any], gates: int, size: float) -> None:
    gradient(
        lambda *p: layer(*p, *([np.zeros(3)] if gates == 3 else [])),
        size,
        **{"x": (2, 3, 4), "W": (4, 3 * gates), "U": (3, 3 * gates), "b": (3 * gates,)},
    )


def convolution(layer: Callable[..., Any], size: float) -> None:
    gradient(layer, size, x=(2, 5, 5, 2), W=(2, 2, 2, 3), b=(3,))
    only_kernels = lambda W: layer(numbers(2, 5, 5, 2), W, np.zeros(3))  # noqa: E731
    gradient(only_kernels, size, W=(2, 2, 2, 3))


def low_rank_training(size: float) -> None:
    x, W, b = numbers(5, 4), size * numbers(4, 6), np.zeros(6)
    U, V = size * numbers(4, 2), size * numbers(2, 6)
    compress.factored_mlp({"layer1.U": U, "layer1.V": V, "layer1.b": b}, x)
    compress.factored_mlp({"layer1.W": W, "layer1.b": b}, x)
    compress.with_lora({"W": W}, {"W.A": U, "W.B": V})
    rule = compress.GaLore(optim.GradientDescent(), r=2)
    rule.update(W, rule.init(W), W, 1)


def low_rank(size: float) -> None:
    compress.randomized(size * numbers(9, 8), 2, np.random.default_rng(0))
    compress.activation_aware(numbers(9, 8), numbers(20, 9), 2)
    _ = Factors(size * numbers(9, 2), size * numbers(2, 8)).product


def int8(size: float) -> None:
    layer = compress.int8_layer(numbers(6, 4).astype(np.float32))
    compress.int8_linear((size * numbers(6)).astype(np.float32), layer)


def calibrated(size: float) -> None:
    W, x = size * numbers(6, 4), numbers(20, 6)
    compress.gptq(W, x, compress.Affine(8))
    compress.output_error(W, W + 1, x)
    compress.predict({"1.W": W}, x)
    compress.integer_mlp({"layer1.W": W, "layer1.b": np.zeros(4)}, x)
    compress.fastest(W, x[:, :6], rounds=1)


def power_sgd(size: float) -> None:
    ranks: Any = SimpleNamespace(all_reduce_mean=lambda x: x)
    exchange, grads = parallel.PowerSGD(2), {"W": size * numbers(9, 8)}
    exchange.mean(grads, exchange.init(grads), ranks)


def private(size: float) -> None:
    params = nn.init_mlp(np.random.default_rng(0), [4, 5, 3])
    params = {k: size * w for k, w in params.items()}
    privacy.mlp_clipped_sum(params, numbers(6, 4), np.arange(6) % 3, 1.0)


def problems(size: float) -> None:
    for rng in (None, np.random.default_rng(0)):
        problem = training.quadratic([1.0, 10.0], rng=rng)
        problem.f(size * problem.x0)
        training.descend(problem, optim.sgd(0.05), 3)
    training.logistic_regression(numbers(30, 2), np.arange(30) % 2).f(np.full(2, size))


CALLS: dict[str, Callable[[float], object]] = {
    "linear": lambda size: gradient(autodiff.linear, size, x=(5, 4), W=(4, 3), b=(3,)),
    "@": lambda size: gradient(lambda a, b: a @ b, size, a=(5, 4), b=(4, 3)),
    "attention": attention,
    "online attention": lambda size: autodiff.online_attention(
        *(size * numbers(2, 4, 3) for _ in range(3)), block=2
    ),
    "convolution": lambda size: convolution(autodiff.conv2d, size),
    "convolution and maximum": lambda size: convolution(
        lambda x, W, b: autodiff.conv_layer(x, W, b, pool=2), size
    ),
    "layer normalization": lambda size: gradient(
        autodiff.layer_norm, size, x=(5, 4), g=(4,), b=(4,)
    ),
    "simple recurrent layer": lambda size: recurrent(autodiff.rnn_layer, 1, size),
    "LSTM": lambda size: recurrent(autodiff.lstm_layer, 4, size),
    "GRU": lambda size: recurrent(autodiff.gru_layer, 3, size),
    "low rank": low_rank,
    "training in low rank": low_rank_training,
    "8-bit layer": int8,
    "calibration": calibrated,
    "Muon": lambda size: optim.Orthogonalize().update(
        size * numbers(4, 6), None, numbers(4, 6), 1
    ),
    "PowerSGD": power_sgd,
    "privacy": private,
    "problems": problems,
}
# A number that overflows within the product, not before it and not in what refuses it.
LARGE = {
    **dict.fromkeys(("linear", "@", "attention", "simple recurrent layer"), 1e200),
    **dict.fromkeys(("LSTM", "GRU", "convolution", "online attention"), 1e200),
    **dict.fromkeys(("training in low rank", "low rank", "Muon", "problems"), 1e200),
    "8-bit layer": 1e37,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_library_is_silent(
    name: str, noise: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_only, "numba_is_installed", lambda: False)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        CALLS[name](1.0)
    assert noise.products >= 1


@pytest.mark.parametrize("name", LARGE)
def test_the_library_warns_of_a_real_overflow(
    name: str, noise: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_only, "numba_is_installed", lambda: False)
    assert OVERFLOW in said(CALLS[name], LARGE[name])
    assert noise.products >= 1


def plain(tree: ast.Module) -> Iterator[str]:
    """Yield the products that turn any flag into a warning."""
    for node in ast.walk(tree):
        if isinstance(getattr(node, "op", None), ast.MatMult):
            yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in FLAGGED:
            if node.attr == "dot" or ast.unparse(node.value) in (
                *("np", "numpy", "np.linalg", "linalg", "operator"),
            ):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("numpy", "operator"):
            yield from {alias.name for alias in node.names} & FLAGGED


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a @ b", ["a @ b"]),
        ("a @= b", ["a @= b"]),
        ("f(x @ y + z)", ["x @ y"]),
        ("np.matmul(a, b, out=c)", ["np.matmul"]),
        ("f = np.linalg.norm", ["np.linalg.norm"]),
        ("x.T.dot(y)", ["x.T.dot"]),
        ("from operator import matmul", ["matmul"]),
        ("from deepopt_lib.core.products import matmul\nmatmul(a, b)", []),
        ("a * b + np.vdot(a, b) + rules.norm(a)", []),
        ("def __matmul__(self, other): ...", []),
    ],
)
def test_plain_products_are_found(text: str, found: list[str]) -> None:
    assert list(plain(ast.parse(text))) == found


def test_products_of_floats_go_through_one_function() -> None:
    found = {
        (name.partition(".")[2], product)
        for name, path in files(LIBRARY).items()
        for product in plain(ast.parse(path.read_text("utf-8")))
    }
    assert found == set(PLAIN)


def test_each_thread_watches_its_own_products() -> None:
    large = np.full((2, 2), 1e30, np.float32)

    def overflows(_: int) -> bool:
        with np.errstate(over="raise"):
            try:
                matmul(large, large)
            except FloatingPointError:
                return True
        return False

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(overflows, range(64)))
    with np.errstate(all="raise"):  # nothing is left of the products before
        assert np.array_equal(matmul(np.eye(2), np.eye(2)), np.eye(2))
