"""Each rule against the algorithm in its paper, number by number.

The transcriptions below use floats, lists and `math` alone, in the papers' own symbols
and order of operations. Where a paper states the same thing in two ways (a recursion
and the sum that it unrolls to), the one that the library does not use is transcribed.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Rule
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    AMSGrad,
    GradientDescent,
    Lion,
    MatrixOr,
    Momentum,
    Orthogonalize,
    RMSprop,
    WeightDecay,
    chain,
)

STEPS = 10
SHAPES = [(5, 3), (3, 5), (4, 4)]
RTOL = 1e-12
Matrix = list[list[float]]


def numbers(seed: int, n: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(-2.0, 2.0) for _ in range(n)]


# One parameter entry: transcription(theta_0, g) returns theta_1 ... theta_10, where
# g(t, theta) is the derivative that the paper's step t sees.
Derivative = Callable[[int, float], float]
Transcription = Callable[[float, Derivative], list[float]]


def cauchy(alpha: float) -> Transcription:
    def run(x: float, g: Derivative) -> list[float]:
        xs = []
        for t in range(1, STEPS + 1):
            x = x - alpha * g(t, x)
            xs.append(x)
        return xs

    return run


def polyak(alpha: float, beta: float) -> Transcription:
    """Polyak 1964: x(n+1) = x(n) - alpha f'(x(n)) + beta (x(n) - x(n-1))."""

    def run(x: float, g: Derivative) -> list[float]:
        xs = [x, x]  # the ball starts at rest
        for t in range(1, STEPS + 1):
            xs.append(xs[-1] - alpha * g(t, xs[-1]) + beta * (xs[-1] - xs[-2]))
        return xs[2:]

    return run


def sutskever(epsilon: float, mu: float) -> Transcription:
    """Sutskever et al. 2013, Nesterov: the derivative is taken at theta + mu*v.

    The library keeps the look-ahead point theta + mu*v, so that is what is returned.
    """

    def run(theta: float, g: Derivative) -> list[float]:
        v = 0.0
        ahead = []
        for t in range(1, STEPS + 1):
            v = mu * v - epsilon * g(t, theta + mu * v)
            theta = theta + v
            ahead.append(theta + mu * v)
        return ahead

    return run


def average(alpha: float, mu: float) -> Transcription:
    """The moving average of gradients, unrolled: (1-mu) sum_i mu^(t-i) g_i."""

    def run(x: float, g: Derivative) -> list[float]:
        gs: list[float] = []
        xs = []
        for t in range(1, STEPS + 1):
            gs.append(g(t, x))
            m = sum((1 - mu) * mu ** (t - i) * gs[i - 1] for i in range(1, t + 1))
            x = x - alpha * m
            xs.append(x)
        return xs

    return run


def average_nesterov(alpha: float, mu: float) -> Transcription:
    """Jordan et al. 2024: the step is the average once more averaged with g."""

    def run(x: float, g: Derivative) -> list[float]:
        gs: list[float] = []
        xs = []
        for t in range(1, STEPS + 1):
            gs.append(g(t, x))
            m = sum((1 - mu) * mu ** (t - i) * gs[i - 1] for i in range(1, t + 1))
            x = x - alpha * ((1 - mu) * gs[-1] + mu * m)
            xs.append(x)
        return xs

    return run


def duchi(eta: float, delta: float) -> Transcription:
    """Duchi et al. 2011, Figure 1: H = delta + ||g_1:t||_2, x = x - eta g / H."""

    def run(x: float, g: Derivative) -> list[float]:
        gs: list[float] = []
        xs = []
        for t in range(1, STEPS + 1):
            gs.append(g(t, x))
            h = delta + math.sqrt(math.fsum(v**2 for v in gs))
            x = x - eta * gs[-1] / h
            xs.append(x)
        return xs

    return run


def tieleman(alpha: float, rho: float, eps: float) -> Transcription:
    """Tieleman and Hinton 2012: divide by the root of a running mean square."""

    def run(w: float, g: Derivative) -> list[float]:
        gs: list[float] = []
        ws = []
        for t in range(1, STEPS + 1):
            gs.append(g(t, w))
            mean_square = math.fsum(
                (1 - rho) * rho ** (t - i) * gs[i - 1] ** 2 for i in range(1, t + 1)
            )
            w = w - alpha * gs[-1] / (math.sqrt(mean_square) + eps)
            ws.append(w)
        return ws

    return run


def kingma(alpha: float, beta1: float, beta2: float, eps: float) -> Transcription:
    """Kingma and Ba 2015, Algorithm 1."""

    def run(theta: float, g: Derivative) -> list[float]:
        m = v = 0.0
        thetas = []
        for t in range(1, STEPS + 1):
            gt = g(t, theta)
            m = beta1 * m + (1 - beta1) * gt
            v = beta2 * v + (1 - beta2) * gt**2
            m_hat = m / (1 - math.pow(beta1, t))
            v_hat = v / (1 - math.pow(beta2, t))
            theta = theta - alpha * m_hat / (math.sqrt(v_hat) + eps)
            thetas.append(theta)
        return thetas

    return run


def reddi(alpha: float, beta1: float, beta2: float, eps: float) -> Transcription:
    """Reddi et al. 2018, Algorithm 2, with Adam's bias corrections and eps.

    The maximum is that of the paper, over v and not over the corrected v.
    """

    def run(x: float, g: Derivative) -> list[float]:
        m = v = 0.0
        seen = [0.0]  # every v so far: the paper's v-hat is their largest
        xs = []
        for t in range(1, STEPS + 1):
            gt = g(t, x)
            m = beta1 * m + (1 - beta1) * gt
            v = beta2 * v + (1 - beta2) * gt**2
            seen.append(v)
            root = math.sqrt(max(seen)) / math.sqrt(1 - math.pow(beta2, t))
            x = x - (alpha / (1 - math.pow(beta1, t))) * m / (root + eps)
            xs.append(x)
        return xs

    return run


def chen(eta: float, beta1: float, beta2: float, lam: float) -> Transcription:
    """Chen et al. 2023, Algorithm 2, with its weight decay."""

    def run(theta: float, g: Derivative) -> list[float]:
        m = 0.0
        thetas = []
        for t in range(1, STEPS + 1):
            gt = g(t, theta)
            c = beta1 * m + (1 - beta1) * gt
            sign = (c > 0) - (c < 0)
            theta = theta - eta * (sign + lam * theta)
            m = beta2 * m + (1 - beta2) * gt
            thetas.append(theta)
        return thetas

    return run


def loshchilov(
    alpha: float, lam: float, decoupled: bool, eps: float = 1e-8
) -> Transcription:
    """Loshchilov and Hutter 2019, Algorithm 2: both colours of the box, eta_t = alpha.

    Algorithm 2 multiplies the decay by the schedule alone; with the step size in the
    schedule (as every library has it) line 12 reads as below.
    """
    beta1, beta2 = 0.9, 0.999

    def run(theta: float, g: Derivative) -> list[float]:
        m = v = 0.0
        thetas = []
        for t in range(1, STEPS + 1):
            gt = g(t, theta)
            if not decoupled:  # line 6
                gt = gt + lam * theta
            m = beta1 * m + (1 - beta1) * gt
            v = beta2 * v + (1 - beta2) * gt**2
            m_hat = m / (1 - math.pow(beta1, t))
            v_hat = v / (1 - math.pow(beta2, t))
            step = m_hat / (math.sqrt(v_hat) + eps)
            if decoupled:  # line 12
                step = step + lam * theta
            theta = theta - alpha * step
            thetas.append(theta)
        return thetas

    return run


LR = 0.07
ELEMENTWISE: list[tuple[Rule, Transcription]] = [
    (GradientDescent(), cauchy(LR)),
    (Momentum(), polyak(LR, 0.9)),
    (Momentum(0.6), polyak(LR, 0.6)),
    (Momentum(nesterov=True), sutskever(LR, 0.9)),
    (Momentum(0.6, nesterov=True), sutskever(LR, 0.6)),
    (Momentum(ema=True), average(LR, 0.9)),
    (Momentum(0.6, ema=True), average(LR, 0.6)),
    (Momentum(0.95, nesterov=True, ema=True), average_nesterov(LR, 0.95)),
    (AdaGrad(), duchi(LR, 1e-10)),
    (AdaGrad(eps=0.5), duchi(LR, 0.5)),
    (RMSprop(), tieleman(LR, 0.99, 1e-8)),
    (RMSprop(b2=0.9, eps=0.5), tieleman(LR, 0.9, 0.5)),
    (Adam(), kingma(LR, 0.9, 0.999, 1e-8)),
    (Adam(0.7, 0.8, 0.5), kingma(LR, 0.7, 0.8, 0.5)),
    (AMSGrad(), reddi(LR, 0.9, 0.999, 1e-8)),
    (AMSGrad(0.7, 0.6, 0.5), reddi(LR, 0.7, 0.6, 0.5)),
    (Lion(), chen(LR, 0.9, 0.99, 0.0)),
    (Lion(0.5, 0.7), chen(LR, 0.5, 0.7, 0.0)),
    (chain(Lion(), WeightDecay(0.3)), chen(LR, 0.9, 0.99, 0.3)),
    (chain(Adam(), WeightDecay(0.3)), loshchilov(LR, 0.3, True)),
    (chain(WeightDecay(0.3), Adam()), loshchilov(LR, 0.3, False)),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("rule", "paper"), ELEMENTWISE, ids=[repr(rule) for rule, _ in ELEMENTWISE]
)
def test_rule_is_the_papers(
    rule: Rule, paper: Transcription, shape: tuple[int, int]
) -> None:
    """Ten steps where the derivative depends on the step, the entry and the point."""
    n = shape[0] * shape[1]
    theta = numbers(1, n)
    noise = [numbers(10 + t, n) for t in range(STEPS + 1)]
    expected = [
        paper(theta[i], lambda t, x, i=i: noise[t][i] + 0.25 * x)  # type: ignore[misc]
        for i in range(n)
    ]

    w = np.array(theta).reshape(shape)
    s = rule.init(w)
    for t in range(1, STEPS + 1):
        g = np.array(noise[t]).reshape(shape) + 0.25 * w
        u, s = rule.update(g, s, w, t)
        w = w - LR * u
        column = [trajectory[t - 1] for trajectory in expected]
        np.testing.assert_allclose(w.ravel(), column, rtol=RTOL, atol=1e-14)


@pytest.mark.parametrize("rule", [AMSGrad(), AMSGrad(0.7, 0.6, 0.5)], ids=repr)
def test_amsgrad_meets_a_falling_second_moment(rule: AMSGrad) -> None:
    """A burst followed by silence: the maximum must hold what v forgets."""
    burst = [3.0, -4.0, 0.01, 0.02, -0.01, 0.0, 0.01, 0.02, 0.01, 0.03]
    expected = reddi(LR, rule.b1, rule.b2, rule.eps)(1.0, lambda t, x: burst[t - 1])
    w = np.ones(1)
    s = rule.init(w)
    for t, g in enumerate(burst, start=1):
        u, s = rule.update(np.array([g]), s, w, t)
        w = w - LR * u
        np.testing.assert_allclose(w[0], expected[t - 1], rtol=RTOL)


# Muon: matrices as lists of rows.


def product(a: Matrix, b: Matrix) -> Matrix:
    return [
        [math.fsum(row[k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))]
        for row in a
    ]


def transposed(a: Matrix) -> Matrix:
    return [[row[j] for row in a] for j in range(len(a[0]))]


def combined(alpha: float, a: Matrix, beta: float, b: Matrix) -> Matrix:
    return [
        [alpha * x + beta * y for x, y in zip(p, q, strict=True)]
        for p, q in zip(a, b, strict=True)
    ]


def newton_schulz(g: Matrix, steps: int = 5) -> Matrix:
    """Jordan et al. 2024: X' = a X + b (X X^T) X + c (X X^T)^2 X, then the factor."""
    rows, columns = len(g), len(g[0])
    norm = math.sqrt(math.fsum(x * x for row in g for x in row))
    x = [[value / (norm + 1e-7) for value in row] for row in g]
    if rows > columns:
        x = transposed(x)
    for _ in range(steps):
        a = product(x, transposed(x))
        once = product(a, x)
        twice = product(a, once)
        x = combined(3.4445, x, 1.0, combined(-4.7750, once, 2.0315, twice))
    if rows > columns:
        x = transposed(x)
    factor = max(1.0, columns / rows) ** 0.5  # outputs by inputs
    return [[factor * value for value in row] for row in x]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("shape", [*SHAPES, (6, 1), (1, 6)], ids=str)
def test_orthogonalize_is_the_papers(shape: tuple[int, int], steps: int) -> None:
    rows, columns = shape
    for seed in range(STEPS):
        flat = numbers(seed, rows * columns)
        g = [flat[i * columns : (i + 1) * columns] for i in range(rows)]
        u, s = Orthogonalize(steps).update(np.array(g), None, np.zeros(shape), 1)
        assert s is None
        expected = np.array(newton_schulz(g, steps))
        scale = np.abs(expected).max()
        np.testing.assert_allclose(u, expected, rtol=RTOL, atol=RTOL * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_muon_is_the_papers(shape: tuple[int, int]) -> None:
    """Ten steps of Nesterov's average, orthogonalized, at momentum 0.95."""
    rule = chain(Momentum(0.95, nesterov=True, ema=True), Orthogonalize())
    rows, columns = shape
    w = np.array(numbers(1, rows * columns)).reshape(shape)
    s = rule.init(w)
    m = [[0.0] * columns for _ in range(rows)]
    theta = w.tolist()
    for t in range(1, STEPS + 1):
        flat = numbers(10 + t, rows * columns)
        g = [flat[i * columns : (i + 1) * columns] for i in range(rows)]
        m = combined(0.95, m, 0.05, g)
        theta = combined(1.0, theta, -LR, newton_schulz(combined(0.05, g, 0.95, m)))
        u, s = rule.update(np.array(g), s, w, t)
        w = w - LR * u
        np.testing.assert_allclose(w, theta, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize(
    "shape", [(30, 10), (10, 30), (20, 20), (64, 3), (2, 50)], ids=str
)
def test_orthogonalize_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    """Within [0.68, 1.2] after five steps, whatever the gradient's scale."""
    rows, columns = shape
    rank = min(shape)
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e6):
        left = np.linalg.qr(rng.standard_normal((rows, rank)))[0]
        right = np.linalg.qr(rng.standard_normal((columns, rank)))[0]
        values = rng.uniform(0.1, 1.0, rank)
        g = scale * (left * values) @ right.T
        u, _ = Orthogonalize().update(g, None, np.zeros(shape), 1)
        found = np.linalg.svd(u, compute_uv=False) / math.sqrt(max(1, columns / rows))
        assert found.min() >= 0.68
        assert found.max() <= 1.2
        # The direction keeps the gradient's singular vectors.
        inner = left.T @ u @ right
        np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-9)


def test_matrix_or_gives_each_parameter_its_rule() -> None:
    rule = MatrixOr(matrix=Momentum(0.5), other=AdaGrad())
    pairs: list[tuple[tuple[int, ...], Rule]] = [
        ((3, 2), Momentum(0.5)),
        ((1, 1), Momentum(0.5)),
        ((3,), AdaGrad()),
        ((2, 3, 2), AdaGrad()),
    ]
    for shape, expected in pairs:
        n = math.prod(shape)
        w = np.array(numbers(0, n)).reshape(shape)
        s: Any = rule.init(w)
        s_expected: Any = expected.init(w)
        for t in range(1, STEPS + 1):
            g = np.array(numbers(t, n)).reshape(shape)
            u, s = rule.update(g, s, w, t)
            u_expected, s_expected = expected.update(g, s_expected, w, t)
            np.testing.assert_array_equal(u, u_expected)
            w = w - LR * u
