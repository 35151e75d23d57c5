"""Sealed files: arrays and a text in the safetensors format, whole or not there.

A file is written under a temporary name, on which its writer holds a lock (`fcntl`: no
Windows), and renamed when it is on the disk. What has no lock was left by a writer that
was killed, and the next one removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

__all__ = ["Arrays", "checksum", "read_arrays", "write_arrays", "write_bytes"]

FORMAT = "deepopt_lib 1"

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name, of any type that safetensors knows."""


def write_arrays(path: str, arrays: Arrays, text: str) -> None:
    """Write a sealed file; until it is on the disk, the one that was there stays.

    As `write_bytes` does. Takes as much memory again as the arrays.

    Raises
    ------
    ValueError
        If something is no array, safetensors has no such type, or there is something at
        ``path`` that is no file.
    OSError
        If the file cannot be written: no folder, no permission, no space.
    """
    try:
        arrays = {k: _native(k, a) for k, a in arrays.items()}
        total = f"{checksum(arrays, text):08x}"
        data = to_bytes(arrays, {"format": FORMAT, "text": text, "checksum": total})
    except (SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be written: {error}") from None
    try:
        write_bytes(path, data)
    except OSError as error:
        reason = f"cannot write the checkpoint: {error.strerror}"
        raise OSError(error.errno, reason, path) from None


def read_arrays(path: str) -> tuple[dict[str, NDArray[Any]], str]:
    """Return what `write_arrays` was given, in arrays of their own.

    Raises
    ------
    ValueError
        If the file is truncated, damaged or something else, or no file at all.
    OSError
        If there is no such file or it cannot be read.
    """
    _mode(path)
    with open(path, "rb"):
        pass  # an OSError from here names the file; one from safe_open does not
    try:
        with safe_open(path, framework="numpy") as file:
            seal = file.metadata() or {}
            ours = seal.get("format") == FORMAT
            names = file.keys() if ours else []
            arrays = {k: np.array(file.get_tensor(k)) for k in names}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from None
    if not ours:
        raise ValueError(
            f"{path} is no checkpoint: its format is {seal.get('format')!r}, "
            f"not {FORMAT!r}"
        )
    text = seal.get("text", "")
    if seal.get("checksum") != f"{checksum(arrays, text):08x}":
        raise ValueError(f"{path} is damaged: its checksum does not match")
    return arrays, text


def checksum(arrays: Arrays, text: str = "") -> int:
    """Return the CRC-32 of a text and of arrays: their names, types, shapes and bytes.

    It finds what a disk or a copy does to a file, not what an attacker does.
    """
    crc = zlib.crc32(text.encode())
    for name, a in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {a.dtype.name} {a.shape}".encode(), crc)
        crc = zlib.crc32(a.ravel().view(np.uint8).data, crc)
    return crc


def write_bytes(path: str, data: bytes) -> None:
    """Write bytes under a temporary name, sync, and rename: all of it or nothing.

    The mode of the file that is replaced stays, and a link stays a link. Any number of
    processes may write one file at a time: one of them is the last.

    Raises
    ------
    ValueError
        If there is something at ``path`` that is no file: a device, a pipe, a socket.
    OSError
        If the file cannot be written: no folder, no permission, no space.
    """
    mode = _mode(path)
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    _tidy(folder, name)
    temporary, file = _temporary(target)
    try:
        with file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    handle = os.open(folder, os.O_RDONLY)  # the rename reaches the disk with the folder
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _native(name: str, a: Any) -> NDArray[Any]:
    """Return an array as safetensors reads it: in C order and in native bytes."""
    if not isinstance(a, np.ndarray | np.generic):
        raise ValueError(f"{name!r} must be an array, got {a!r}")
    return np.asarray(a, a.dtype.newbyteorder("="), order="C")


def _mode(path: str) -> int | None:
    """Return the mode of a file, None if there is none; refuse what else there is.

    Neither a pipe nor a device is opened: that could wait forever, or do something.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is no regular file")
    return stat.S_IMODE(mode)


def _temporary(target: str) -> tuple[str, BinaryIO]:
    """Return a new file beside ``target``, locked as long as its writer lives."""
    while True:
        name = f"{target}.{os.urandom(4).hex()}.tmp"
        file = open(name, "xb")  # noqa: SIM115 - the caller closes it
        with suppress(OSError):  # a file system without locks: leftovers stay there
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # not tidied away before it was locked
            return name, file
        file.close()


def _tidy(folder: str, name: str) -> None:
    """Remove the temporary files of writers that were killed: those without a lock."""
    for left in os.listdir(folder):
        if not re.fullmatch(re.escape(name) + r"\.[0-9a-f]{8}\.tmp", left):
            continue
        # NFS locks only what is open for writing; "+" also waits for no pipe.
        with suppress(OSError), open(os.path.join(folder, left), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(file.name)
