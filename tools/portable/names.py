"""The names of NumPy and SciPy whose results depend on the processor."""

SUMS = set(["sum", "mean", "std", "var", "prod", "cumsum", "average", "trace", "norm"])
PRODUCTS = set(["matmul", "dot", "vdot", "inner", "einsum", "tensordot", "convolve"])
FUNCTIONS = set(
    [
        "exp",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "logaddexp",
        "logsumexp",
        "power",
        "cbrt",
        "hypot",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "arctan2",
        "sinh",
        "cosh",
        "tanh",
        "erf",
        "erfc",
        "gammaln",
        "ndtr",
        "ndtri",
    ]
)
SOLVERS = set(
    [
        "svd",
        "svds",
        "eigh",
        "eig",
        "eigvalsh",
        "eigvals",
        "solve",
        "solve_triangular",
        "lstsq",
        "inv",
        "pinv",
        "qr",
        "cholesky",
        "det",
        "slogdet",
        "cond",
    ]
)
ROUNDED = SUMS | PRODUCTS | FUNCTIONS | SOLVERS
# Where their vectors stand that have no sign of their own: columns, and rows with them.
# Those of qr have: Householder's rule gives it.
SIGNED = {"svd": (0, 2), "svds": (0, 2), "eigh": (1, None)}
