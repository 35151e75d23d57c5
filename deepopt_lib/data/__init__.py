"""The data sets, offline: files beside the code, checked, with a fixed split."""

from deepopt_lib.data.sets import Names, Split, digits, mnist5k, surnames

__all__ = [
    "Names",
    "Split",
    "digits",
    "mnist5k",
    "surnames",
]
