"""Files are whole or not there, whoever writes and whatever fails."""

import fcntl
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import checksum, files, read_arrays, write_arrays, write_bytes

OLD, NEW = b"the last good one", b"the next one"

WRITER = """
import os, sys
from deepopt_lib.core import write_bytes
os.fsync = lambda handle: None
path, letter, times = sys.argv[1:]
for _ in range(int(times)):
    write_bytes(path, letter.encode() * 300_000)
"""

# Stops for ever while the temporary file is half written.
HANGER = """
import os, sys
from deepopt_lib.core import write_bytes
def fsync(handle):
    print(flush=True)
    sys.stdin.read()
os.fsync = fsync
write_bytes(sys.argv[1], b"half a file")
"""


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def hanging(path: Path) -> subprocess.Popen[bytes]:
    """Return a process that is in the midst of writing."""
    process = start(HANGER, path)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# Many writers.


def test_two_writers_of_one_file_both_succeed_and_it_is_always_whole(
    path: Path,
) -> None:
    """Neither removes the temporary file of the other."""
    write_bytes(str(path), b"0" * 300_000)
    writers = [start(WRITER, path, letter, 40) for letter in "ab"]
    seen = set()
    while any(w.poll() is None for w in writers):
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        seen.add(content[:1])
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen | {path.read_bytes()[:1]} > {b"0"}
    assert names(path.parent) == [path.name]


@pytest.mark.usefixtures("quick")
def test_a_writer_at_work_keeps_its_temporary_file(path: Path) -> None:
    process = hanging(path)
    [temporary] = names(path.parent)
    write_bytes(str(path), NEW)
    assert names(path.parent) == [path.name, temporary]
    process.communicate(b"")
    assert process.returncode == 0
    assert path.read_bytes() == b"half a file"
    assert names(path.parent) == [path.name]


@pytest.mark.usefixtures("quick")
def test_what_a_killed_writer_left_is_removed_by_the_next(path: Path) -> None:
    process = hanging(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [temporary] = names(path.parent)
    assert re.fullmatch(r"run\.safetensors\.[0-9a-f]{8}\.tmp", temporary)
    write_bytes(str(path), NEW)
    assert names(path.parent) == [path.name]


@pytest.mark.usefixtures("quick")
def test_a_temporary_file_tidied_away_before_its_lock_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    made: list[tuple[str, int]] = []

    def late(file: Any, how: int) -> None:
        if not made:
            os.unlink(file.name)
        made.append((file.name, how))
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_bytes(str(path), NEW)
    assert path.read_bytes() == NEW
    assert [how for _, how in made] == [fcntl.LOCK_EX] * 2
    assert len(set(made)) == 2


@pytest.mark.usefixtures("quick")
def test_the_lock_is_held_until_the_file_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, tried = os.replace, []

    def attempt(source: str, target: str) -> None:
        with open(source, "rb") as file, pytest.raises(BlockingIOError):
            tried.append(source)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        replace(source, target)

    monkeypatch.setattr(os, "replace", attempt)
    write_bytes(str(path), NEW)
    assert len(tried) == 1


@pytest.mark.usefixtures("quick")
def test_a_file_system_without_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: Any, how: int) -> None:
        raise OSError(38, "Function not implemented")

    left = path.with_name(f"{path.name}.0123abcd.tmp")
    left.write_bytes(b"of a writer that may still live")
    monkeypatch.setattr(fcntl, "flock", flock)
    write_bytes(str(path), NEW)
    assert path.read_bytes() == NEW
    assert names(path.parent) == [path.name, left.name]


@pytest.mark.usefixtures("quick")
def test_only_files_are_tidied_away_and_nothing_hangs(path: Path) -> None:
    """What has the name of a temporary file may still be something else."""
    pipe = path.with_name(f"{path.name}.0123abcd.tmp")
    folder = path.with_name(f"{path.name}.01234567.tmp")
    os.mkfifo(pipe)
    folder.mkdir()
    write_bytes(str(path), NEW)
    assert names(path.parent) == sorted([path.name, pipe.name, folder.name])


# What was there before.


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_mode_of_the_file_that_is_replaced_stays(path: Path, mode: int) -> None:
    path.write_bytes(OLD)
    path.chmod(mode)
    write_bytes(str(path), NEW)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == NEW


@pytest.mark.usefixtures("quick")
def test_a_secret_is_never_readable_on_the_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(OLD)
    path.chmod(0o600)
    seen: list[tuple[int, int]] = []

    def fchmod(handle: int, mode: int) -> None:
        seen.append((mode, os.fstat(handle).st_size))

    monkeypatch.setattr(os, "fchmod", fchmod)
    write_bytes(str(path), NEW)
    assert seen == [(0o600, 0)]


@pytest.mark.usefixtures("quick")
def test_a_link_stays_a_link_also_one_to_nothing_yet(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    path.symlink_to(tmp_path / "disk" / "real")
    for content in (OLD, NEW):
        write_bytes(str(path), content)
        assert path.is_symlink()
        assert (tmp_path / "disk" / "real").read_bytes() == content
    assert names(tmp_path / "disk") == ["real"]


@pytest.mark.parametrize("through", ["itself", "a link"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_untouched(
    kind: str, through: str, tmp_path: Path
) -> None:
    """A pipe without a reader would hang whoever opens it.

    The device is a terminal, in whose folder nobody can make a file: whatever is wrong
    with the code, the machine keeps its devices.
    """
    special = tmp_path / "special"
    server, (terminal, device) = socket.socket(socket.AF_UNIX), os.openpty()
    if kind == "pipe":
        os.mkfifo(special)
    elif kind == "socket":
        server.bind(str(special))
    else:
        special = Path(os.ttyname(device))
    path = special
    if through == "a link":
        path = tmp_path / "link"
        path.symlink_to(special)
    before = special.lstat(), path.lstat(), names(tmp_path)
    for attempt in (
        lambda: write_bytes(str(path), NEW),
        lambda: write_arrays(str(path), {"w": np.ones(2)}, ""),
        lambda: read_arrays(str(path)),
    ):
        with pytest.raises(ValueError, match=f"^{path} is no regular file$"):
            attempt()
    assert (special.lstat(), path.lstat(), names(tmp_path)) == before
    server.close()
    os.close(terminal)
    os.close(device)


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("folder", IsADirectoryError),
        ("absent/run", FileNotFoundError),
        ("file/run", NotADirectoryError),
        ("loop", OSError),
    ],
)
def test_places_that_cannot_be_written(
    where: str, kind: type[OSError], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.rglob("*"))
    place = str(tmp_path / where)
    with pytest.raises(kind, match=str(tmp_path / where.split("/")[0])):
        write_bytes(place, NEW)
    with pytest.raises(kind) as caught:
        write_arrays(place, {"w": np.ones(2)}, "")
    assert caught.value.filename == place
    assert str(caught.value.strerror).startswith("cannot write the checkpoint: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "loop").is_symlink()


# Failures on the way.


class Full:
    """A file on a disk that is full."""

    def __init__(self, error: BaseException, *arguments: Any) -> None:
        self.file, self.error = open(*arguments), error  # noqa: SIM115

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[:3])
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["write", "fsync", "replace", "fchmod"])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(
    place: str, error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(OLD)

    def fail(*arguments: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        if place == "write":
            full = lambda *arguments: Full(error, *arguments)  # noqa: E731
            patch.setattr(files, "open", full, raising=False)
        else:
            patch.setattr(os, place, fail)
        with pytest.raises(type(error)):
            write_bytes(str(path), NEW)
    assert path.read_bytes() == OLD
    assert names(path.parent) == [path.name]


@pytest.mark.usefixtures("quick")
def test_the_first_failure_is_the_one_that_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that its temporary file is no longer there to be removed."""

    def vanish(source: str, target: str) -> None:
        os.unlink(source)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", vanish)
    with pytest.raises(OSError, match="Input/output error"):
        write_bytes(str(path), NEW)


def test_bytes_reach_the_disk_before_their_name_and_the_name_before_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    replace = os.replace

    def fsync(handle: int) -> None:
        inode = os.fstat(handle)
        made.append("folder" if stat.S_ISDIR(inode.st_mode) else inode.st_size)

    def rename(source: str, target: str) -> None:
        made.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    before = len(os.listdir("/proc/self/fd"))
    write_bytes(str(path), NEW)
    assert made == [len(NEW), "rename", "folder"]
    assert len(os.listdir("/proc/self/fd")) == before


# Sealed files.


@pytest.mark.usefixtures("quick")
def test_arrays_of_any_layout_come_back_as_they_are_read(path: Path) -> None:
    arrays: dict[str, Any] = {
        "rows": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "every second": np.arange(6, dtype=np.int16)[::2],
        "big-endian": np.array([1.5, 2.5], ">f4"),
        "one": np.array(3, np.uint8),
        "scalar": np.float32(0.5),
        "none": np.ones((0, 3), np.float16),
        "truth": np.array([True, False]),
        "": np.ones(1, np.complex64),
    }
    write_arrays(str(path), arrays, "Größe")
    back, text = read_arrays(str(path))
    assert text == "Größe"
    assert back.keys() == arrays.keys()
    for k, a in arrays.items():
        assert back[k].dtype == a.dtype.newbyteorder("=")
        assert back[k].shape == a.shape
        np.testing.assert_array_equal(back[k], a)
        assert back[k].flags.writeable


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"w": [1.0, 2.0]}, r"'w' must be an array, got \[1.0, 2.0\]"),
        ({"w": 1.0}, r"'w' must be an array, got 1.0"),
        ({"w": np.array(["a"])}, "str32"),
        ({"w": np.array([None])}, "array of references"),
        ({"w": np.ones(1, complex)}, "complex128"),
        ({3: np.ones(1)}, "int"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    arrays: Any, message: str, path: Path
) -> None:
    path.write_bytes(OLD)
    with pytest.raises(ValueError, match=f"^{path} cannot be written: .*{message}"):
        write_arrays(str(path), arrays, "")
    assert path.read_bytes() == OLD


def test_a_text_that_is_none_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{path} cannot be written: .*surrogates"):
        write_arrays(str(path), {"w": np.ones(1)}, "\ud800")


@pytest.mark.usefixtures("quick")
def test_reading_what_is_not_there_or_not_ours(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(path)):
        read_arrays(str(path))
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        read_arrays(str(tmp_path))
    path.write_bytes(OLD)
    with pytest.raises(ValueError, match=f"^{path} is not a whole safetensors file"):
        read_arrays(str(path))


def foreign(metadata: dict[str, str] | None) -> bytes:
    """Return a file of another program, with a type that NumPy does not know."""
    header: dict[str, Any] = {
        "w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}
    }
    if metadata is not None:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(2)


@pytest.mark.parametrize(
    ("metadata", "found"),
    [(None, "None"), ({}, "None"), ({"format": "pt"}, "'pt'")],
)
def test_the_file_of_another_program(
    metadata: dict[str, str] | None, found: str, path: Path
) -> None:
    path.write_bytes(foreign(metadata))
    message = f"^{path} is no checkpoint: its format is {found}, not 'deepopt_lib 1'$"
    with pytest.raises(ValueError, match=message):
        read_arrays(str(path))


@pytest.mark.usefixtures("quick")
def test_a_seal_that_does_not_fit(path: Path) -> None:
    write_arrays(str(path), {"w": np.ones(2)}, "text")
    path.write_bytes(path.read_bytes().replace(b'"text"', b'"test"', 1))
    with pytest.raises(ValueError, match=f"^{path} is damaged: its checksum does not"):
        read_arrays(str(path))


def test_the_checksum_is_of_text_names_types_shapes_and_bytes() -> None:
    w = np.arange(6, dtype=np.int32)
    sums = [
        checksum({}),
        checksum({}, "text"),
        checksum({"w": w}),
        checksum({"w": w}, "text"),
        checksum({"v": w}),
        checksum({"w": w.reshape(2, 3)}),
        checksum({"w": w.view(np.uint32)}),
        checksum({"w": w[::-1]}),
        checksum({"w": w, "v": w}),
    ]
    assert len(set(sums)) == len(sums)
    assert checksum({"v": w, "w": w}) == checksum({"w": w, "v": w})
    assert checksum({"w": w[::2]}) == checksum({"w": w[::2].copy()})
    assert checksum({"w": w}, "text") == 0x0F9B09BD  # as it has always been
