"""A small language model of today's parts, and what counting predicts without one.

`LanguageModel` has the sizes and predicts; `generate` draws one symbol after the other
and keeps keys and values in a `Cache`; `bits_per_byte` scores, and `NGrams` is what a
model has to beat. `mobydick` is the model of the book, trained on `data.prose`.
"""

from deepopt_lib.language.decode import Cache, generate
from deepopt_lib.language.model import LanguageModel
from deepopt_lib.language.ngrams import NGrams
from deepopt_lib.language.score import bits_per_byte, loss, windows
from deepopt_lib.language.stored import TrainedModel, load_model, mobydick, save_model

__all__ = [
    "Cache",
    "LanguageModel",
    "NGrams",
    "TrainedModel",
    "bits_per_byte",
    "generate",
    "load_model",
    "loss",
    "mobydick",
    "save_model",
    "windows",
]
