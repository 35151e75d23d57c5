"""The data sets: files beside the code, checked as they are read, with a fixed split.

`mnist`, its sample `mnist5k` and `digits` return a `Split` of images, `surnames` rows
of letters, `prose` the symbols of a novel. The files hold whole numbers as they were
published; each call makes new arrays of them. Where they come from, and their licenses:
``files/README.md``.
"""

from deepopt_lib.data.census import Names, surnames
from deepopt_lib.data.images import Split, digits, mnist, mnist5k
from deepopt_lib.data.novel import Prose, prose

__all__ = [
    "Names",
    "Prose",
    "Split",
    "digits",
    "mnist",
    "mnist5k",
    "prose",
    "surnames",
]
