"""Small problems whose minimum, curvature or noise is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array

__all__ = [
    "Problem",
    "beale",
    "bowl",
    "logistic_regression",
    "noisy",
    "quadratic",
    "reddi",
    "rosenbrock",
]


@dataclass(frozen=True)
class Problem:
    """A function to minimize over vectors ``x`` of shape (n,), float64.

    Attributes
    ----------
    f : callable
        ``f(x)``, a float.
    grad : callable
        ``grad(x)``, of shape (n,).
    x0 : Array
        Where a run starts.
    minimum : Array
        The point where ``f`` is smallest.
    """

    f: Callable[..., float]
    grad: Callable[..., Array]
    x0: Array
    minimum: Array


def quadratic(
    spectrum: ArrayLike, *, rng: np.random.Generator | None = None
) -> Problem:
    """Return ``f(x) = x.T @ H @ x / 2`` where H has the eigenvalues ``spectrum``.

    The start has the component 1 along every eigenvector. ``rng`` rotates the
    eigenvectors; without it they are the axes. The largest eigenvalue is the smoothness
    L, and largest over smallest is the condition number kappa.

    Raises
    ------
    ValueError
        If an eigenvalue is not a positive number.
    """
    lam: Array = np.array(spectrum, dtype=np.float64)
    if lam.ndim != 1 or lam.size == 0 or not np.all((lam > 0) & np.isfinite(lam)):
        raise ValueError(f"spectrum must be a list of numbers > 0, got {spectrum!r}")
    x0, zero = np.ones_like(lam), np.zeros_like(lam)
    if rng is None:
        return Problem(
            lambda x: float(matmul(lam, x * x)) / 2, lambda x: lam * x, x0, zero
        )
    Q, _ = np.linalg.qr(rng.standard_normal((lam.size, lam.size)))
    H, x0 = matmul(Q * lam, Q.T), matmul(Q, x0)
    return Problem(
        lambda x: float(matmul(matmul(x, H), x)) / 2, lambda x: matmul(H, x), x0, zero
    )


def bowl(n: int = 10) -> Problem:
    """Return ``f(x) = sum(x**2)`` in n variables: every eigenvalue is 2, kappa is 1.

    Raises
    ------
    ValueError
        If ``n`` is not an int >= 1.
    """
    return quadratic(np.full(check_int("n", n), 2.0))


def rosenbrock() -> Problem:
    """Return Rosenbrock's curved valley (1960) in two variables, minimum at (1, 1)."""

    def f(x: Array) -> float:
        return float((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)

    def grad(x: Array) -> Array:
        r = x[1] - x[0] ** 2
        return np.array([-2 * (1 - x[0]) - 400 * x[0] * r, 200 * r])

    return Problem(f, grad, np.array([-1.2, 1.0]), np.array([1.0, 1.0]))


def beale() -> Problem:
    """Return Beale's function (1958): flat plains, steep corners, minimum (3, 0.5)."""
    c, k = np.array([1.5, 2.25, 2.625]), np.array([1, 2, 3])

    def f(x: Array) -> float:
        return float(np.sum((c - x[0] * (1 - x[1] ** k)) ** 2))

    def grad(x: Array) -> Array:
        r = c - x[0] * (1 - x[1] ** k)
        d_x = -2 * np.sum(r * (1 - x[1] ** k))
        d_y = 2 * np.sum(r * x[0] * k * x[1] ** (k - 1))
        return np.array([d_x, d_y])

    return Problem(f, grad, np.array([1.0, 1.0]), np.array([3.0, 0.5]))


def logistic_regression(x: Array, y: ArrayLike, lam: float = 1e-3) -> Problem:
    """Return ``mean(log(1 + exp(-s * (x @ w)))) + lam/2 * |w|**2`` over ``w``.

    ``x`` has shape (n, d), ``y`` (n,) holds 0 or 1, and ``s = 2*y - 1``. The minimum
    comes from SciPy's trust-region Newton method, to a gradient of 1e-10.

    Raises
    ------
    ValueError
        If shapes do not fit, a label is not 0 or 1, or ``lam`` is not positive.
    """
    labels = np.asarray(y)
    if x.ndim != 2 or labels.shape != x.shape[:1]:
        raise ValueError(f"x (n, d) and y (n,) do not fit: {x.shape}, {labels.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"y must hold 0 and 1, got {np.unique(labels)}")
    lam = check_number("lam", lam, 0, ends="()")
    from scipy.optimize import minimize
    from scipy.special import expit

    z = (2.0 * labels - 1)[:, None] * x  # (n, d): margin of sample i is z[i] @ w

    def f(w: Array) -> float:
        return float(np.mean(np.logaddexp(0, matmul(-z, w))) + lam / 2 * matmul(w, w))

    def grad(w: Array) -> Array:
        return matmul(-z.T, expit(matmul(-z, w))) / len(z) + lam * w

    def hessian(w: Array) -> Array:
        p = expit(matmul(z, w))
        return matmul(z.T * (p * (1 - p)), z) / len(z) + lam * np.eye(x.shape[1])

    x0 = np.zeros(x.shape[1])
    with np.errstate(all="ignore"):  # SciPy's products warn of flags nobody earned
        found = minimize(
            f, x0, jac=grad, hess=hessian, method="trust-exact", options={"gtol": 1e-10}
        )
    # The search ends where f stops falling in floating point; one Newton step is left.
    minimum: Array = found.x - np.linalg.solve(hessian(found.x), grad(found.x))
    return Problem(f, grad, x0, minimum)


def noisy(
    problem: Problem, sigma: float, batch: int, rng: np.random.Generator
) -> Callable[[Array], Array]:
    """Return a stochastic gradient: the true one plus the mean of ``batch`` noises.

    Each noise is N(0, sigma**2) per coordinate, so the mean has the standard deviation
    ``sigma / sqrt(batch)``: the model of Bottou, Curtis, Nocedal (2018), section 4.

    Raises
    ------
    ValueError
        If ``sigma`` is negative or ``batch`` is not a positive int.
    """
    scale = check_number("sigma", sigma, 0) / np.sqrt(check_int("batch", batch))
    return lambda x: problem.grad(x) + scale * rng.standard_normal(x.shape)


def reddi(c: float = 3.0) -> Problem:
    """Return the online problem on which Adam does not converge.

    Reddi, Kale, Kumar (2018), section 3: on [-1, 1], ``f(x, t) = c*x`` when t = 1 mod
    3, else ``-x``. For c > 2 the best fixed point is -1; Adam with b1 = 0 and a short
    memory ends at +1. Both ``f`` and ``grad`` take ``(x, t)``, and the caller projects.

    Raises
    ------
    ValueError
        If ``c`` is not a number > 2.
    """
    c = check_number("c", c, 2, ends="()")

    def slope(t: int) -> float:
        return c if t % 3 == 1 else -1.0

    def f(x: Array, t: int) -> float:
        return slope(t) * float(x[0])

    def grad(x: Array, t: int) -> Array:
        return np.full_like(x, slope(t))

    return Problem(f, grad, np.array([0.0]), np.array([-1.0]))
