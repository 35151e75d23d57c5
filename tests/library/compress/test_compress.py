"""The command: compress, evaluate and restore, and a sentence on what is wrong."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from deepopt_lib import compress
from deepopt_lib.compress import predict, read_weights
from deepopt_lib.compress.cli import LARGE, main
from deepopt_lib.core import Array, Params, nbytes
from deepopt_lib.data import mnist5k

pytestmark = pytest.mark.usefixtures("quick")
TORCH = Path(__file__).parents[2] / "golden" / "torch_mlp.safetensors"
NAMES = {"0.weight": (20, 196), "0.bias": (20,), "2.weight": (10, 20), "2.bias": (10,)}


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def example() -> dict[str, Any]:
    return {
        "a.W": normal(40, 30),
        "b.W": 0.1 * normal(30, 40, seed=1).astype(np.float32),
        "b.b": normal(40),
        "flags": np.array([True, False]),
        "half": 20 * normal(50, 40, seed=2).astype(np.float16),  # squares overflow
        "ids": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "number": np.array(2.0),
    }


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(example(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def run(*words: Any) -> int:
    return main([str(word) for word in words])


def refused(capsys: pytest.CaptureFixture[str], message: str, *words: Any) -> None:
    """Expect 2 and one sentence, after the bar if there is one."""
    capsys.readouterr()
    assert run(*words) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        rf"deepopt_lib\.compress: .*{message}.*", error.splitlines()[-1]
    )
    assert "Traceback" not in error


# Compress, restore.


@pytest.mark.parametrize(
    ("options", "sparsity", "n_bits"),
    [([], 0, 4), (["--prune", 0.75, "--bits", 3], 0.75, 3)],
)
def test_compress_and_restore(
    options: list[Any],
    sparsity: float,
    n_bits: int,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, back = weights.with_name("m.dcz"), weights.with_name("back.safetensors")
    assert run(weights, *options, "--out", out) == 0
    size, before = out.stat().st_size, weights.stat().st_size
    assert capsys.readouterr().out == (
        f"{weights}: {before:,} bytes\n"
        f"{out}: {size:,} bytes, {before / size:.1f} times smaller\n"
    )
    before = sum(a.nbytes for a in example().values())
    assert run("restore", out, "--out", back) == 0
    assert capsys.readouterr().out == f"{back}: {before:,} bytes of arrays\n"
    restored, expected = load_file(back), compress.decompress(compress.read_model(out))
    assert set(restored) == set(expected) == set(example())
    for k, w in example().items():
        assert (restored[k].dtype, restored[k].shape) == (w.dtype, w.shape)
        assert restored[k].tobytes() == expected[k].tobytes()
        if k not in ("a.W", "b.W", "half"):
            assert restored[k].tobytes() == w.tobytes()
            continue
        kept = round(w.size * (1 - sparsity))
        least = np.sort(np.abs(w), axis=None)[w.size - kept]
        np.testing.assert_array_equal(restored[k] != 0, np.abs(w) >= least)
        assert len(set(restored[k].ravel().tolist()) - {0.0}) <= 2**n_bits - 1
        shared = compress.decode_sparse(
            compress.encode_sparse(w * (np.abs(w) >= least), n_bits)
        )
        np.testing.assert_array_equal(restored[k], shared)


def test_one_threshold_for_all(weights: Path) -> None:
    save_file({k: example()[k] for k in ("a.W", "b.W")}, weights)
    out = weights.with_name("m.dcz")
    assert run(weights, "--prune", 0.5, "--global", "--out", out) == 0
    every = np.sort(
        np.concatenate([np.abs(w).ravel() for w in load_file(weights).values()])
    )
    for k, w in compress.decompress(compress.read_model(out)).items():
        np.testing.assert_array_equal(w != 0, np.abs(example()[k]) >= every[1200])


# Evaluate.


def test_evaluate(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = weights.with_name("m.dcz")
    run(weights, "--prune", 0.5, "--out", out)
    model = compress.read_model(out)
    capsys.readouterr()
    assert run("evaluate", out) == 0
    plain = capsys.readouterr().out.splitlines()
    assert run("evaluate", out, "--against", weights) == 0
    lines = capsys.readouterr().out.splitlines()
    assert plain[0].split() == ["array", "shape", "kept", "bytes", "bits/entry"]
    assert lines[0] == plain[0] + "   error"
    assert lines[-1] == plain[-1]
    before = sum(a.nbytes for a in example().values())
    size = out.stat().st_size
    ratio = f"{before / size:.1f} to 1"
    assert lines[-1] == f"file {size:,} bytes, arrays {before:,} bytes: {ratio}"
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert rows.keys() == example().keys()
    for k, w in example().items():
        code = model[k]
        back = (
            compress.decode_sparse(code)
            if isinstance(code, compress.SparseCode)
            else code
        )
        a, b = back.astype(float), w.astype(float)
        error = np.sqrt(np.sum((a - b) ** 2)) / np.sqrt(np.sum(b**2))
        expected = [
            "x".join(str(n) for n in w.shape) or "-",
            f"{100 * np.sum(back != 0) / w.size:.1f}%",
            f"{nbytes(code):,}",
            f"{8 * nbytes(code) / w.size:.2f}",
            f"{error:.3f}",
        ]
        kept = [] if isinstance(code, compress.SparseCode) else ["as", "it", "was"]
        assert rows[k] == expected + kept


def test_weights_from_pytorch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained and saved there: four bits cost less than two points."""
    params, split = read_weights(str(TORCH)), mnist5k(2)
    assert {k: w.shape for k, w in params.items()} == NAMES
    out = tmp_path / "mlp.dcz"
    assert run(TORCH, "--bits", 4, "--out", out) == 0
    assert out.stat().st_size < TORCH.stat().st_size / 6
    shared = compress.decompress(compress.read_model(out))
    found = []
    for p in (params, shared):
        h = np.maximum(split.x_test @ p["0.weight"].T + p["0.bias"], 0)
        logits = h @ p["2.weight"].T + p["2.bias"]
        np.testing.assert_array_equal(predict(p, split.x_test), logits)
        found.append(float(np.mean(logits.argmax(axis=1) == split.y_test)))
    assert found[0] > 0.88
    assert abs(found[1] - found[0]) < 0.02
    capsys.readouterr()
    assert run("evaluate", out, "--against", TORCH, "--data", "mnist5k") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"test accuracy of {out}: {found[1]:.2%}",
        f"test accuracy of {TORCH}: {found[0]:.2%}",
    ]
    message = "0.weight is no layer for 64 inputs"
    assert run("evaluate", out, "--data", "digits") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("how", ["name", "path", "symlink", "hard link"])
def test_the_input_is_never_the_output(
    how: str, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was replaced by what was left of it: the weights were gone."""
    model = weights.with_name("m.dcz")
    run(weights, "--out", model)
    for source, words in ((weights, [weights]), (model, ["restore", model])):
        out, whole = source.with_name("other"), source.read_bytes()
        if how == "symlink":
            out.symlink_to(source)
        elif how == "hard link":
            out.hardlink_to(source)
        else:
            out = source if how == "name" else source.parent / "." / source.name
        message = f"--out {out} is the file that is read, which would be lost"
        refused(capsys, message, *words, "--out", out)
        assert source.read_bytes() == whole
        out.with_name("other").unlink(missing_ok=True)


def test_bfloat16_is_read_bit_by_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One such tensor made the whole file useless. It is half of a float32."""
    whole = normal(30, 20).astype(np.float32)
    upper = whole.view(np.uint32) >> 16
    path, out = tmp_path / "half.safetensors", tmp_path / "m.dcz"
    write_raw(path, "BF16", [30, 20], upper.astype("<u2").tobytes())
    found = read_weights(str(path))["a"]
    assert (found.dtype.name, found.shape) == ("float32", (30, 20))
    np.testing.assert_array_equal(found.view(np.uint32), upper << 16)
    np.testing.assert_allclose(found, whole, rtol=2**-7)
    assert run(path, "--bits", 5, "--out", out) == 0
    ratio = f"{path.stat().st_size / out.stat().st_size:.1f} times smaller"
    assert ratio in capsys.readouterr().out  # than the file, not than its float32
    assert run("restore", out, "--out", tmp_path / "back") == 0
    assert load_file(tmp_path / "back")["a"].dtype == np.float32


def test_every_type_of_the_format_is_read(tmp_path: Path) -> None:
    types = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
    arrays = {t: np.arange(6).astype(t).reshape(2, 3) for t in types}
    arrays |= {"c8": np.array([1 + 2j], np.complex64), "none": np.zeros((2, 0))}
    save_file(arrays, tmp_path / "all")
    found = read_weights(str(tmp_path / "all"))
    assert list(found) == sorted(arrays)  # on every run
    for k, a in arrays.items():
        assert (found[k].dtype, found[k].shape) == (a.dtype, a.shape)
        assert found[k].tobytes() == a.tobytes()
        assert found[k].flags.writeable


def test_kernels_are_compressed_and_what_is_empty_is_kept(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = normal(8, 3, 5, 5).astype(np.float32)
    save_file({"conv.weight": kernel, "none": np.zeros((0, 4), np.float32)}, weights)
    out, back = weights.with_name("m.dcz"), weights.with_name("back")
    assert run(weights, "--prune", 0.5, "--bits", 6, "--out", out) == 0
    model = compress.read_model(out)
    assert isinstance(model["conv.weight"], compress.SparseCode)
    assert run("restore", out, "--out", back) == 0
    restored = load_file(back)
    assert restored["none"].shape == (0, 4)
    assert restored["conv.weight"].shape == kernel.shape
    kept = np.abs(kernel) >= np.median(np.abs(kernel))
    np.testing.assert_array_equal(restored["conv.weight"] != 0, kept)
    np.testing.assert_allclose(restored["conv.weight"], kernel * kept, atol=0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--bits", 4], set()),
        (["--bits", 2], {"0.weight", "2.weight"}),
        (["--prune", 0.5], {"2.weight"}),
        (["--prune", 0.9], {"0.weight", "2.weight"}),
    ],
)
def test_a_layer_that_lost_much_is_named(
    options: list[Any],
    named: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nine of ten entries gone without training left 11.6 % of 88.9, in silence."""
    assert run(TORCH, *options, "--out", tmp_path / "m.dcz") == 0
    params = read_weights(str(TORCH))
    shared = compress.decompress(compress.read_model(tmp_path / "m.dcz"))
    lines = capsys.readouterr().err.splitlines()
    warnings = [line for line in lines if "warning" in line]
    expected = []
    for k in sorted(named):
        w, v = params[k].astype(float), shared[k]
        lost = np.sqrt(np.sum((v - w) ** 2) / np.sum(w**2))
        expected.append(
            f"deepopt_lib.compress: warning: {k} is off by {lost:.0%}, more than 20%: "
            "prune less, take more bits, or train what is left"
        )
    assert warnings == expected


def test_the_threshold_of_the_warning_tells_good_from_bad() -> None:
    """What the comment beside it says, on the network of the tests."""
    params, split = read_weights(str(TORCH)), mnist5k(2)

    def score(p: Params) -> float:
        found = predict(p, split.x_test).argmax(axis=1)
        return float(np.mean(found == split.y_test))

    full, worst = score(params), {True: 0.0, False: 1.0}
    for sparsity in (0.0, 0.3, 0.7, 0.9):
        for bits in (2, 4, 5):
            masks = compress.layer_masks(params, sparsity, ["0.weight", "2.weight"])
            model = compress.compress(compress.apply_masks(params, masks), bits)
            shared = compress.decompress(model)
            errors = [
                np.linalg.norm(shared[k] - w) / np.linalg.norm(w)
                for k, w in params.items()
            ]
            quiet, lost = bool(max(errors) <= LARGE), full - score(shared)
            pick = max if quiet else min
            worst[quiet] = pick(worst[quiet], lost)
    assert worst[True] < 0.005 < 0.03 < worst[False]


def test_images_fit_the_first_layer_and_not_the_first_array(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "10.weight" comes before "2.weight" by name, and after it as a number."""
    path, out = tmp_path / "w", tmp_path / "m.dcz"
    arrays = {"2.weight": normal(196, 49), "10.weight": normal(10, 196)}
    save_file(arrays, path)
    assert run(path, "--bits", 6, "--out", out) == 0
    assert run("evaluate", out, "--data", "mnist5k") == 0
    assert f"test accuracy of {out}: " in capsys.readouterr().out


# Networks by their names.


def test_layers_go_by_number_in_either_layout() -> None:
    x = normal(7, 3, seed=9)
    ours = {"net.10.W": normal(5, 6), "net.2.W": normal(4, 5), "net.0.W": normal(3, 4)}
    ours["net.2.b"], ours["net.10.b"] = normal(5, seed=3), normal(6, seed=4)
    h = x @ ours["net.0.W"]
    h = np.where(h > 0, h, 0) @ ours["net.2.W"] + ours["net.2.b"]
    expected = np.where(h > 0, h, 0) @ ours["net.10.W"] + ours["net.10.b"]
    np.testing.assert_allclose(predict(ours, x), expected, rtol=1e-13)
    theirs = {
        k.replace(".W", ".weight").replace(".b", ".bias"): w.T for k, w in ours.items()
    }
    np.testing.assert_allclose(predict(theirs, x), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"b": normal(3)}, r"no array is named \*.weight or \*.W: \['b'\]"),
        ({"0.weight": normal(3, 4)}, "0.weight is no layer for 3 inputs"),
        ({"0.W": normal(4, 3)}, "0.W is no layer for 3 inputs"),
        ({"0.W": normal(3, 4), "1.weight": normal(4)}, "1.weight is no layer for 4"),
        ({"0.W": normal(3, 4), "0.b": normal(3)}, r"0.W \(3, 4\) does not fit a bias"),
    ],
)
def test_what_is_no_network(params: Params, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict(params, normal(2, 3))


# What is wrong.


BITS, SPARSITY = r"--bits must be an int in \[1, 12\]", r"--prune must be in \[0, 1\)"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--bits", b, f"{BITS}, got {b}") for b in (0, 13, 17, -1)]
    + [("--prune", s, f"{SPARSITY}, got {s}") for s in (1.0, -0.1, "nan", 2.5)],
)
def test_options_out_of_range(
    option: str,
    value: Any,
    message: str,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(capsys, message, weights, option, value, "--out", weights.with_name("m"))
    assert not weights.with_name("m").exists()


def write_raw(path: Path, dtype: str, shape: list[int], data: bytes) -> None:
    """Write a safetensors file by its specification."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    text = json.dumps({"a": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_files_that_cannot_be_used(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, bad = tmp_path / "m.dcz", tmp_path / "bad"
    missing = rf"No such file or directory: '{tmp_path}/no.*'"
    run(weights, "--out", out)
    for words in ([], ["evaluate"], ["restore"]):
        end = [] if words == ["evaluate"] else ["--out", bad]
        refused(capsys, missing, *words, tmp_path / "none", *end)
        refused(capsys, "Is a directory", *words, tmp_path, *end)
    refused(capsys, missing, "evaluate", out, "--against", tmp_path / "none")
    refused(capsys, missing, weights, "--out", tmp_path / "no" / "m.dcz")
    refused(capsys, missing, "restore", out, "--out", tmp_path / "no" / "w")
    assert not bad.exists()
    bad.write_bytes(b"loss = 0.1")
    refused(capsys, f"{bad} is no safetensors file", bad, "--out", out)
    refused(capsys, f"{bad} is no safetensors", "evaluate", out, "--against", bad)
    refused(capsys, f"{bad} is no compressed model", "evaluate", bad)
    refused(capsys, f"{bad} is no compressed model", "restore", bad, "--out", out)
    write_raw(bad, "F8_E5M2", [2, 2], bytes(4))
    message = f"a of {bad} has the type F8_E5M2, which NumPy has not"
    refused(capsys, message, bad, "--out", out)
    damaged = bytearray(out.read_bytes())
    damaged[-1] ^= 1
    bad.write_bytes(damaged)
    refused(capsys, f"{bad} is truncated or damaged", "evaluate", bad)
    refused(capsys, f"{bad} is truncated or damaged", "restore", bad, "--out", weights)
    assert set(load_file(weights)) == set(example())


@pytest.mark.parametrize(
    "options", [[], ["--prune", 0.5], ["--prune", 0.5, "--global"]]
)
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"b": normal(3), "ids": np.ones((2, 2), np.int64)},
            "no floating-point matrix or kernel",
        ),
        ({"a": normal(2, 2), "V": np.array([[1, np.nan]])}, "V has 1 entries that are"),
        ({"V": np.zeros((0, 2))}, "no floating-point matrix or kernel"),
    ],
)
def test_arrays_that_cannot_be_compressed(
    arrays: Any,
    message: str,
    options: list[Any],
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_file(arrays, weights)
    refused(capsys, message, weights, *options, "--out", weights.with_name("m.dcz"))


def test_types_that_have_no_place_in_the_other_file(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compress.write_model(path, {"a": np.array([1 + 2j])})
    out = path.with_name("w.safetensors")
    refused(
        capsys, f"{out} cannot be written: .*complex", "restore", path, "--out", out
    )


# From a shell.


@pytest.mark.parametrize("words", [[], ["evaluate"], ["restore"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "the following arguments are required" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["w"], ["restore", "m"]])
def test_the_output_has_to_be_named(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "arguments are required: --out" in capsys.readouterr().err


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "deepopt_lib.compress"]
    found = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    for word in (
        "--prune SPARSITY",
        "--bits",
        "--global",
        "--out",
        "evaluate",
        "restore",
    ):
        assert word in found.stdout
    found = subprocess.run(
        [*command, "none", "--out", "m"], capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr.startswith("deepopt_lib.compress: [Errno 2] No such file or")
