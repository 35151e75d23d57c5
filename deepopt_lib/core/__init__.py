"""What every other package stands on: types, trees of arrays, checks, files.

Parameters, gradients and states are plain dicts and tuples of NumPy arrays (`types`).
`flatten` and `unflatten` are the one way to walk them, `checks` the one place that
refuses a bad value, `files` the one way to the disk. Nothing here knows of a network or
of a rule.
"""

from deepopt_lib.core.checks import check_array, check_bool, check_int, check_number
from deepopt_lib.core.files import checksum, read_arrays, write_arrays, write_bytes
from deepopt_lib.core.noise import Timings, Watch, when_quiet
from deepopt_lib.core.products import matmul
from deepopt_lib.core.timing import least_seconds
from deepopt_lib.core.tree import (
    clip_by_global_norm,
    flatten,
    global_norm,
    named_leaves,
    nbytes,
    ravel,
    tree_map,
    unflatten,
    unravel,
)
from deepopt_lib.core.types import (
    Array,
    Code,
    Codec,
    Grads,
    Params,
    Rule,
    Schedule,
    State,
)

__all__ = [
    "Array",
    "Code",
    "Codec",
    "Grads",
    "Params",
    "Rule",
    "Schedule",
    "State",
    "Timings",
    "Watch",
    "check_array",
    "check_bool",
    "check_int",
    "check_number",
    "checksum",
    "clip_by_global_norm",
    "flatten",
    "global_norm",
    "least_seconds",
    "matmul",
    "named_leaves",
    "nbytes",
    "ravel",
    "read_arrays",
    "tree_map",
    "unflatten",
    "unravel",
    "when_quiet",
    "write_arrays",
    "write_bytes",
]
