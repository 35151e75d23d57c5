"""The data sets: files beside the code, checked as they are read, with a fixed split.

`mnist`, its sample `mnist5k` and `digits` return a `Split` of images, `surnames` rows
of letters. The files hold whole numbers as they were published; each call makes new
arrays of them. Where they come from, and their licenses: ``files/README.md``.
"""

from deepopt_lib.data.census import Names, surnames
from deepopt_lib.data.images import Split, digits, mnist, mnist5k

__all__ = [
    "Names",
    "Split",
    "digits",
    "mnist",
    "mnist5k",
    "surnames",
]
