"""Run the notebooks under other arithmetic, and see which printed numbers move.

`variants` names the ways to compute: other kernels of OpenBLAS, NumPy without its
AVX-512 or AVX2 loops, two threads, and `perturb`: products and sums that are rounded
otherwise, for the processors that are not here. `runs` executes a notebook in one
of them, ``python -m tools.portable`` compares all with what is stored.
"""
