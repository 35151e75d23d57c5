"""What stands in the browser in place of what only a notebook's kernel has.

The display of IPython, glue, a progress bar that shows nothing, and the packages that
only processes and files of weights need, which say so if they are used.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

__all__ = ["NotHereError", "Shown", "adjust", "newer_matplotlib", "stand_in"]

TICK = 1e-4  # seconds: a browser's clock tells no less apart
WHERE = "is not there in a browser; make lab opens this notebook in JupyterLab"
FONT = re.compile(r"font: (?P<before>[^;\"]*?)(?P<size>[\d.]+px) (?P<family>[^;\"]+)")


class NotHereError(OSError):
    """A cell asks for what the browser has not: what is stored of it stands.

    Who asks for another program expects such an error of the system.
    """


class Shown:
    """A text of a kind, as `IPython.display` has it: HTML or Markdown."""

    kind = ""

    def __init__(self, data: str) -> None:
        self.data = data


class HTML(Shown):
    """A piece of a page."""

    kind = "text/html"


class Markdown(Shown):
    """A text in Markdown."""

    kind = "text/markdown"


class NoBar:
    """A progress bar that shows nothing: the page says which cell is at work."""

    def __init__(self, items: Iterable[Any] = (), *more: Any, **options: Any) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


def stand_in(
    display: Callable[..., None], glue: Callable[..., None]
) -> dict[str, types.ModuleType]:
    """Return modules by name for those that the browser has not.

    ``display`` and ``glue`` are what a cell calls by these names.
    """
    no_kernel = {"get_ipython": lambda: None, "version_info": (8, 24)}
    shown = {"HTML": HTML, "Markdown": Markdown, "display": display}
    weights = {name: refuse("safetensors") for name in ("safe_open", "deserialize")}
    files = {name: refuse("safetensors") for name in ("save", "save_file")}
    pool = refuse("a pool of processes")
    members: dict[str, dict[str, Any]] = {
        "IPython": no_kernel,
        "IPython.core": {},
        "IPython.core.getipython": no_kernel,
        "IPython.display": shown,
        "myst_nb": {"glue": glue},
        "tqdm": {"tqdm": NoBar},
        "tqdm.auto": {"tqdm": NoBar},
        "safetensors": {
            **weights,
            "SafetensorError": type("SafetensorError", (Exception,), {}),
        },
        "safetensors.numpy": files,
        "concurrent.futures.process": {"ProcessPoolExecutor": pool},
        # A file in memory has one writer: nobody to lock out.
        "fcntl": {"flock": lambda *args: None, "LOCK_EX": 2, "LOCK_NB": 4},
    }
    found = {name: types.ModuleType(name) for name in members}
    for name, module in found.items():
        vars(module).update(members[name])
    return found


def refuse(what: str) -> Callable[..., NoReturn]:
    """Return a function that says that something is not there."""

    def call(*args: Any, **options: Any) -> NoReturn:
        raise NotHereError(f"{what} {WHERE}")

    return call


def adjust() -> None:
    """Change what works otherwise: another program, integers, a claim about time."""
    import numpy as np

    from deepopt_lib import core  # which needs what stands in
    from deepopt_lib.core import timing

    least = no_less_than_a_tick(timing.least_seconds)
    changes: tuple[tuple[types.ModuleType, str, Any], ...] = (
        (subprocess, "run", refuse("another program")),
        (time, "thread_time", time.perf_counter),  # nobody else takes time of it
        (np, "bincount", of_any_integers(np.bincount)),
        (timing, "SERIES", 1),  # enough where nothing is judged
        (core, "least_seconds", least),
        (timing, "least_seconds", least),  # which the library imports from there
        (core, "when_quiet", of_a_browser),
    )
    for module, name, instead in changes:
        setattr(module, name, instead)


def of_any_integers(count: Callable[..., Any]) -> Callable[..., Any]:
    """Return NumPy's ``bincount`` for a machine of 32 bits, where int64 is too long."""

    def counted(x: Any, *args: Any, **options: Any) -> Any:
        return count([] if len(x) == 0 else x.astype("intp"), *args, **options)

    return counted


def no_less_than_a_tick(measure: Callable[..., Any]) -> Callable[..., Any]:
    """Return a measurement by name without a zero, which says less than one tick."""

    def measured(*args: Any, **options: Any) -> Any:
        found = measure(*args, **options)
        for name, seconds in found.items():
            found[name] = max(seconds, TICK)
        return found

    return measured


@contextlib.contextmanager
def of_a_browser(*measured: object, margin: float = 0.2) -> Iterator[None]:
    """Judge no claim about time: compiled for a browser, other code is the faster."""
    with contextlib.suppress(AssertionError):
        yield
    print("not confirmed: these are the times of a browser")


@contextlib.contextmanager
def newer_matplotlib(svg: Any) -> Iterator[None]:
    """Let the library read what Matplotlib 3.8 draws: its fonts in one property."""
    compact = svg._compact
    svg._compact = lambda text, *rest: compact(FONT.sub(one_by_one, text), *rest)
    try:
        yield
    finally:
        svg._compact = compact


def one_by_one(font: re.Match[str]) -> str:
    """Return the property ``font`` of a style as the properties that it sets."""
    parts = [f"font-size: {font['size']}", f"font-family: {font['family']}"]
    for word in font["before"].split():
        name = "font-style" if word in ("italic", "oblique") else "font-weight"
        parts += [f"{name}: {word}"] * (word != "normal")
    return "; ".join(parts)
