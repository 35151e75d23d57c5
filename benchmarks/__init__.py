"""How fast is this book? Its library beside its peers and the machine's own limits.

    make bench                              # everything, into results.json
    python -m benchmarks steps --only adam  # one part, only to look at

One thread on one core: NumPy, PyTorch and the compilers read these variables when they
are loaded, so they are set before anything else is imported.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.pop("OPENBLAS_CORETYPE", None)  # a wrong one halves the rate of a product
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ["TQDM_DISABLE"] = "1"
