"""Create ``.venv`` from constraints.txt when it is missing or out of date.

Every ``make`` target runs this first; with nothing to do it takes a fraction of a
second. It needs the standard library alone, and it keeps to syntax that any Python
understands, so that one that is too old gets a sentence and not a SyntaxError.
"""

from __future__ import print_function

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "complete")
LOG = os.path.join(ROOT, ".cache", "setup.log")
VERSIONS = ("3.13", "3.12", "3.11")
NETWORK = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "ConnectTimeoutError",
    "NewConnectionError",
    "Network is unreachable",
    "No matching distribution found",
)


def fail(sentence):
    # type: (str) -> None
    """Print one sentence and stop."""
    print("DeepOpt: " + sentence, file=sys.stderr)
    sys.exit(1)


def fingerprint():
    # type: () -> str
    """Return what the environment depends on: where it is, the pins, the package."""
    digest = hashlib.sha256()
    for name in ("constraints.txt", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            text = file.read()
        if name == "pyproject.toml":  # tool settings need no new environment
            text = text.split(b"[tool.ruff]")[0]
        digest.update(text)
    return ROOT + "\n" + digest.hexdigest() + "\n"


def state():
    # type: () -> str
    """Return "current", "outdated" (whole, but other pins) or "missing"."""
    try:
        with open(STAMP) as file:
            stamp = file.read()
        if not stamp.startswith(ROOT + "\n") or subprocess.call([PYTHON, "-c", ""]):
            return "missing"
        return "current" if stamp == fingerprint() else "outdated"
    except (IOError, OSError):
        return "missing"


def probe(python):
    # type: (str) -> tuple[str, bool]
    """Return the version of an interpreter and whether it can make environments."""
    code = (
        "import sys; print('%d.%d' % sys.version_info[:2]); sys.stdout.flush(); "
        "import venv, ensurepip"
    )
    try:
        process = subprocess.Popen(
            [python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        version = process.communicate()[0].decode().strip()
    except OSError:
        return "", False
    return version, process.returncode == 0


def find_python():
    # type: () -> str
    """Return an interpreter that the book runs on: the one in use, or a better one."""
    here = getattr(sys, "_base_executable", None) or sys.executable
    without_venv = ""
    for python in [here] + ["python" + version for version in VERSIONS]:
        version, can_make = probe(python)
        if version in VERSIONS and can_make:
            return python
        if version in VERSIONS:
            without_venv = without_venv or version
    if without_venv:
        fail(
            "Python %s is here, but its venv module is not; install it (on Debian "
            "and Ubuntu: sudo apt install python%s-venv) and run make again."
            % (without_venv, without_venv)
        )
    fail(
        "Python 3.11, 3.12 or 3.13 is needed, and only Python %d.%d was found; "
        "install one of them, or name it: make PYTHON=/path/to/python3.12."
        % sys.version_info[:2]
    )
    return ""


def run(command, what):
    # type: (list[str], str) -> None
    """Run a command, its output going to the log; on failure say why and stop."""
    env = dict(os.environ, PIP_USER="0", PIP_NO_INPUT="1")
    for name in ("PYTHONHOME", "PYTHONPATH"):
        env.pop(name, None)
    with open(LOG, "ab") as log:
        code = subprocess.call(command, stdout=log, stderr=log, cwd=ROOT, env=env)
    if code == 0:
        return
    with open(LOG, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    why = "the log says why"
    if "No space left on device" in text:
        why = "the disk is full"
    elif any(sign in text for sign in NETWORK):
        why = "the package index cannot be reached or lacks a package"
    fail(
        "%s failed (%s): see %s, then run make again."
        % (what, why, os.path.relpath(LOG, os.getcwd()))
    )


def install(afresh):
    # type: (bool) -> None
    """Make or update the environment; the stamp that makes it count comes last."""
    python = find_python() if afresh else ""
    if afresh:
        print("Creating .venv from constraints.txt (a minute or two, once) ...")
    else:
        print("Updating .venv to constraints.txt ...")
    sys.stdout.flush()
    if os.path.exists(STAMP):
        os.remove(STAMP)
    open(LOG, "wb").close()
    if afresh:
        run([python, "-m", "venv", "--clear", VENV], "Creating .venv")
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    pip += ["--retries", "2"]
    run(pip + ["-r", "constraints.txt"], "Installing the packages of constraints.txt")
    package = ["--no-deps", "--no-build-isolation", "-e", "."]
    run(pip + package, "Installing deepopt_lib")
    with open(STAMP, "w") as file:
        file.write(fingerprint())


def main():
    # type: () -> None
    """Bring the environment up to date, one process at a time."""
    if state() == "current":
        return
    if not os.path.isdir(os.path.dirname(LOG)):
        os.makedirs(os.path.dirname(LOG))
    with open(os.path.join(os.path.dirname(LOG), "setup.lock"), "w") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        except ImportError:  # not on this system: two makes at once are at your risk
            pass
        found = state()
        if found != "current":
            install(afresh=found == "missing")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; run make again and it starts afresh.")
    except (IOError, OSError) as error:
        fail("the environment could not be created: %s." % error)
