"""Models in files: the same bits back, and nothing else taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepopt_lib import data, language
from deepopt_lib.core.files import write_arrays

MODEL = language.LanguageModel(
    symbols=5, context=8, dim=8, layers=1, heads=2, groups=1, hidden=8
)
PARAMS = MODEL.init(np.random.default_rng(0))


def test_a_model_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    language.save_model(path, language.TrainedModel(MODEL, PARAMS, {"test": 2.0}))
    model, params, facts = language.load_model(path)
    assert model == MODEL and facts == {"test": 2.0}
    assert params.keys() == PARAMS.keys()
    assert all(np.array_equal(params[k], w) for k, w in PARAMS.items())


def test_parameters_of_another_shape_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for change, name in (({"norm.g": np.ones(9)}, "norm.g"), ({"x": np.ones(1)}, "x")):
        with pytest.raises(ValueError, match=f"{name!r} has the shape"):
            language.save_model(path, language.TrainedModel(MODEL, PARAMS | change, {}))
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no language model"),
        ("{}", "is no language model: 'sizes'"),
        ('{"sizes": {"symbols": 5}, "facts": {}}', "is no language model"),
        (
            '{"sizes": {"symbols": 5, "context": 8, "dim": 8, "layers": 2, "heads": 2,'
            ' "groups": 1, "hidden": 8}, "facts": {}}',
            "'layer1.norm1.g' has the shape None, the sizes ask for",
        ),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "model.safetensors"
    write_arrays(str(path), PARAMS, text)
    with pytest.raises(ValueError, match=message):
        language.load_model(path)


def test_the_novel_is_split_by_chapters() -> None:
    text = data.prose()
    parts = text.train, text.validation, text.test
    assert sum(map(len, parts)) + 0 == 1_191_933 and len(text.symbols) == 80
    assert text.to_text(text.train[:20]).startswith("CHAPTER 1. Loomings.")
    assert text.to_text(text.test[:22]) == "CHAPTER 20. All Astir."
    assert "CHAPTER 10." in text.to_text(text.validation[:20])
    line = "Call me Ishmael."
    assert text.to_text(text.to_ids(line)) == line
    with pytest.raises(ValueError, match="no symbol for"):
        text.to_ids("naïve §")
    with pytest.raises(ValueError, match=r"ids must be in \[0, 80\), got 80"):
        text.to_text(np.array([3, 80]))


def test_the_model_of_the_book_predicts_as_well_as_its_file_says() -> None:
    model, params, facts = language.mobydick()
    text = data.prose()
    assert model.symbols == len(text.symbols)
    assert sum(w.size for w in params.values()) == 736_384
    whole = language.bits_per_byte(model, params, text.test)
    assert whole == pytest.approx(facts["test"], abs=1e-3)
    counted = language.NGrams(text.train, 5, 80)
    assert whole < counted.bits_per_byte(text.test) - 0.3
    assert facts["validation"][0] == pytest.approx(np.log2(80), abs=0.1)


def test_it_goes_on_with_words() -> None:
    model, params, _ = language.mobydick()
    text = data.prose()
    prompt = text.to_ids("Call me ")
    found = language.generate(
        model, params, prompt, 200, np.random.default_rng(0), temperature=0.5
    )
    known = set(text.to_text(text.train).split())
    words = text.to_text(found).split()[1:-1]
    assert sum(word in known for word in words) > 0.8 * len(words) > 20
