"""Models in files: the weights, the sizes, and what was reached; and the book's own."""

from __future__ import annotations

import json
import os
from importlib.resources import as_file, files
from typing import Any, NamedTuple

from deepopt_lib.core.files import read_arrays, write_arrays
from deepopt_lib.core.types import Params
from deepopt_lib.language.model import LanguageModel

__all__ = ["TrainedModel", "load_model", "mobydick", "save_model"]


class TrainedModel(NamedTuple):
    """A model with its weights, and what is known of its training."""

    model: LanguageModel
    params: Params
    facts: dict[str, Any]


def save_model(path: str | os.PathLike[str], trained: TrainedModel) -> None:
    """Write a model to a safetensors file, whole or not at all.

    Raises
    ------
    ValueError
        If the parameters are not those of the model.
    OSError
        If the file cannot be written.
    """
    _fits("the parameters", trained.model, trained.params)
    told = {"sizes": trained.model._asdict(), "facts": trained.facts}
    write_arrays(os.fspath(path), trained.params, json.dumps(told))


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read what `save_model` has written.

    Raises
    ------
    ValueError
        If the file is damaged, was written by something else, or its arrays are not of
        the shapes that its sizes ask for.
    OSError
        If it cannot be read.
    """
    params, text = read_arrays(os.fspath(path))
    try:
        told = json.loads(text)
        model, facts = LanguageModel(**told["sizes"]), told["facts"]
        model.check()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no language model: {error}") from None
    _fits(os.fspath(path), model, params)
    return TrainedModel(model, params, facts)


def mobydick() -> TrainedModel:
    """Return the model of the book, which `make model` has trained on `data.prose`."""
    inside = files("deepopt_lib.language").joinpath("files", "mobydick.safetensors")
    with as_file(inside) as path:
        return load_model(path)


def _fits(what: str, model: LanguageModel, params: Params) -> None:
    """Refuse parameters of another model."""
    found = {name: w.shape for name, w in params.items()}
    if found != model.shapes():
        wanted = {k: v for k, v in model.shapes().items() if found.get(k) != v}
        name = next(iter(wanted or found.keys() - model.shapes().keys()))
        raise ValueError(
            f"{what}: {name!r} has the shape {found.get(name)}, the sizes "
            f"ask for {model.shapes().get(name)}"
        )
