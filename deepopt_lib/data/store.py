"""The files of the data sets: arrays beside the code, each with its checksum."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
import zlib
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load"]

SHA256 = {
    "mnist.npz": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
    "mnist5k.npz": {
        "index": "773b7b8fbc2d4c083004d6e46cda41eb8b720e2f17406c4986faf513c7d77671",
    },
    "digits.npz": {
        "x": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
        "y": "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
    },
    "mobydick.npz": {
        "text": "52ee15b20f3a51012d739d2c7cb730c0ef9c4d6a8ab1a54526cb1f56bb7f082c",
    },
    "surnames.npz": {
        "letters": "bcb9ab02c6b52b5cf19eb8fc9774b6c33334831cf5dce90add032bd65cc8af6d",
        "share": "aba7dd54d4f51e03d431f9bbfbafad51d5a2a0a33fc81953f9bfb4b0f16f68be",
    },
}
"""The checksum of each array's bytes, in C order."""

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What zipfile and NumPy raise for a file that is not whole."""


@functools.cache
def load(file: str, name: str) -> NDArray[Any]:
    """Return an array of a file; it is read-only, because the next call gets it too.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    RuntimeError
        If the file is damaged, or holds another array than the one expected.
    """
    path = files("deepopt_lib.data").joinpath("files", file)
    with path.open("rb") as opened:
        try:
            with zipfile.ZipFile(opened) as archive:
                content = io.BytesIO(archive.read(f"{name}.npy"))
            array = np.lib.format.read_array(content)
        except DAMAGE as error:
            raise RuntimeError(f"{path} is damaged at {name!r}: {error}") from error
    found, expected = hashlib.sha256(array.tobytes()).hexdigest(), SHA256[file][name]
    if found != expected:
        raise RuntimeError(
            f"{path}: the checksum of {name!r} is {found}, expected {expected}"
        )
    array.flags.writeable = False
    return array
