"""Networks and loss functions: shapes, spreads, values and gradients in closed form."""

import math
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff
from deepopt_lib.autodiff import check_grads, cross_entropy, value_and_grad
from deepopt_lib.core import Array, Params
from deepopt_lib.nn import accuracy, distillation, init_mlp, mlp, mse

SIZES = [4, 5, 3, 2]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(rng(seed).standard_normal(shape))


# Networks.


def test_init_names_shapes_and_dtype() -> None:
    params = init_mlp(rng(), SIZES)
    assert {k: w.shape for k, w in params.items()} == {
        "layer1.W": (4, 5),
        "layer1.b": (5,),
        "layer2.W": (5, 3),
        "layer2.b": (3,),
        "layer3.W": (3, 2),
        "layer3.b": (2,),
    }
    assert list(params) == [f"layer{i}.{k}" for i in (1, 2, 3) for k in "Wb"]
    assert {w.dtype for w in params.values()} == {np.dtype(np.float64)}
    single = init_mlp(rng(), SIZES, dtype=np.float32)
    assert {w.dtype for w in single.values()} == {np.dtype(np.float32)}
    for k, w in single.items():
        np.testing.assert_allclose(w, params[k], rtol=1e-6)


def test_init_is_drawn_from_the_generator() -> None:
    a, b, c = (init_mlp(rng(seed), SIZES) for seed in (0, 0, 1))
    for k in a:
        np.testing.assert_array_equal(a[k], b[k])
    assert not np.array_equal(a["layer2.W"], c["layer2.W"])
    generator = rng()
    first, second = init_mlp(generator, SIZES), init_mlp(generator, SIZES)
    assert not np.array_equal(first["layer1.W"], second["layer1.W"])


@pytest.mark.parametrize("gain", [1.0, 2.0, 5.0])
def test_init_has_the_variance_of_he(gain: float) -> None:
    """N(0, gain/n_in): 40 000 draws know their standard deviation to 0.4 %."""
    params = init_mlp(rng(), [100, 400, 100], gain=gain)
    for name, n_in in (("layer1.W", 100), ("layer2.W", 400)):
        W = params[name]
        assert W.std() == pytest.approx(math.sqrt(gain / n_in), rel=0.015)
        assert abs(W.mean()) < 4 * math.sqrt(gain / n_in / W.size)
    for name in ("layer1.b", "layer2.b"):
        np.testing.assert_array_equal(params[name], 0.0)


def test_init_has_hes_gain_by_default() -> None:
    default, he = init_mlp(rng(), SIZES), init_mlp(rng(), SIZES, gain=2.0)
    np.testing.assert_array_equal(default["layer1.W"], he["layer1.W"])


def test_he_keeps_the_mean_square_through_relu_layers() -> None:
    """What gain=2 is for: a deep network neither dies out nor explodes."""
    x = normal(200, 256, seed=1)
    for gain, low, high in ((2.0, 0.3, 3.0), (1.0, 0.0, 0.05), (4.0, 50.0, math.inf)):
        params = init_mlp(rng(), [256] * 10, gain=gain)
        ratio = float(np.mean(mlp(params, x) ** 2)) / gain
        assert low < ratio < high


@pytest.mark.parametrize("sizes", [[], [4]])
def test_init_wants_two_sizes(sizes: Any) -> None:
    with pytest.raises(ValueError, match=r"^sizes must be 2 ints or more, got \["):
        init_mlp(rng(), sizes)


@pytest.mark.parametrize(
    "sizes", [[4, 0], [4, -1, 2], [4, 2.0], [4, True], [4, "2"], [2, None]]
)
def test_init_wants_positive_whole_sizes(sizes: Any) -> None:
    message = rf"^sizes\[1\] must be an int >= 1, got {sizes[1]!r}$"
    with pytest.raises(ValueError, match=message):
        init_mlp(rng(), sizes)


@pytest.mark.parametrize("gain", [-1.0, math.nan, math.inf, None, True])
def test_init_wants_a_gain(gain: Any) -> None:
    with pytest.raises(ValueError, match=rf"^gain must be in \[0, inf\), got {gain}"):
        init_mlp(rng(), SIZES, gain=gain)


def test_a_layer_may_have_one_unit() -> None:
    assert init_mlp(rng(), [1, 1])["layer1.W"].shape == (1, 1)


def test_sizes_may_come_from_numpy() -> None:
    sizes = np.array([4, 2])
    assert init_mlp(rng(), sizes)["layer1.W"].shape == (4, 2)  # type: ignore[arg-type]


def by_hand(params: Params, x: Array, activation: Any) -> Array:
    h = activation(x @ params["layer1.W"] + params["layer1.b"])
    h = activation(h @ params["layer2.W"] + params["layer2.b"])
    return np.asarray(h @ params["layer3.W"] + params["layer3.b"])


def biased() -> Params:
    params = init_mlp(rng(), SIZES)
    return {k: w + 0.3 * normal(*w.shape, seed=9) for k, w in params.items()}


@pytest.mark.parametrize(
    ("activation", "plain"),
    [(None, lambda h: np.maximum(h, 0)), (autodiff.tanh, np.tanh)],
    ids=["relu", "tanh"],
)
def test_mlp_is_three_lines_by_hand(activation: Any, plain: Any) -> None:
    params, x = biased(), normal(7, 4, seed=1)
    chosen = {} if activation is None else {"activation": activation}
    found = mlp(params, x, **chosen)
    assert found.shape == (7, 2)
    np.testing.assert_allclose(found, by_hand(params, x, plain), rtol=1e-13)


def test_mlp_of_one_layer_is_linear() -> None:
    params = init_mlp(rng(), [4, 2])
    x = normal(3, 4)
    np.testing.assert_array_equal(mlp(params, x), x @ params["layer1.W"])


def test_mlp_refuses_inputs_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"linear needs x \(batch, n_in\)"):
        mlp(init_mlp(rng(), SIZES), normal(7, 3))


@pytest.mark.parametrize("activation", [autodiff.relu, autodiff.tanh, autodiff.sigmoid])
def test_gradients_of_a_whole_network(activation: Any) -> None:
    params, x = biased(), normal(6, 4, seed=1)
    y = np.array([0, 1, 1, 0, 1, 0])
    names = list(params)

    def loss(*arrays: Any) -> Any:
        tree = dict(zip(names, arrays, strict=True))
        return cross_entropy(mlp(tree, x, activation), y)

    check_grads(loss, *params.values())


def test_a_network_can_be_trained_on_its_input() -> None:
    """Gradients reach the data as well, when the data are the parameter."""
    params = biased()
    check_grads(lambda x: mlp(params, x, autodiff.tanh), normal(3, 4))


# Losses.


def test_mse_is_half_the_squared_error() -> None:
    prediction = np.array([[1.0, 2.0], [0.0, -1.0]])
    target = np.array([[0.0, 0.0], [3.0, -1.0]])
    assert mse(prediction, target) == ((1 + 4) / 2 + 9 / 2) / 2
    _, grads = value_and_grad(lambda p: mse(p["y"], target))({"y": prediction})
    np.testing.assert_array_equal(grads["y"], (prediction - target) / 2)  # batch of 2
    check_grads(mse, normal(3, 2), normal(3, 2, seed=1))
    a, b = normal(3, 2), normal(3, 2, seed=1)
    assert mse(a, b) == pytest.approx(float(np.sum((a - b) ** 2)) / 2 / 3, rel=1e-13)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 2), (2,)])
def test_mse_does_not_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"prediction and target differ in shape: \(3, 2"
    ):
        mse(normal(3, 2), normal(*shape))


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_cross_entropy_of_a_guess_is_log_classes(classes: int) -> None:
    logits = np.full((4, classes), 3.3)
    found = cross_entropy(logits, np.array([0, 1, 1, 0]))
    assert found == pytest.approx(math.log(classes), rel=1e-13)


def test_cross_entropy_does_not_see_a_shift() -> None:
    logits, labels = normal(5, 3), np.array([0, 2, 1, 1, 0])
    shift = 100 * normal(5, 1, seed=1)
    shifted = cross_entropy(logits + shift, labels)
    assert shifted == pytest.approx(cross_entropy(logits, labels), rel=1e-12)


def kl_by_hand(z: Array, v: Array, T: float) -> float:
    """The mean over rows of sum p log(p/q), p the teacher's softmax at T, in floats."""
    total = 0.0
    for student, teacher in zip(z.tolist(), v.tolist(), strict=True):
        p = [math.exp(x / T) for x in teacher]
        q = [math.exp(x / T) for x in student]
        p = [x / math.fsum(p) for x in p]
        q = [x / math.fsum(q) for x in q]
        total += math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(z)


@pytest.mark.parametrize("T", [0.5, 1.0, 4.0, 20])
def test_distillation_is_t_squared_times_kl(T: float) -> None:
    z, v = normal(4, 3), normal(4, 3, seed=1)
    expected = T**2 * kl_by_hand(z, v, T)
    assert distillation(z, v, T) == pytest.approx(expected, rel=1e-10)
    assert distillation(z, v, T) > 0
    assert distillation(z, v.tolist(), T) == distillation(z, v, T)
    check_grads(lambda logits: distillation(logits, v, T), z)


@pytest.mark.parametrize("T", [1.0, 3.0])
def test_distillation_from_oneself_is_zero(T: float) -> None:
    z = normal(4, 3)
    assert distillation(z + 5.0, z, T) == pytest.approx(0.0, abs=1e-13)
    run = value_and_grad(lambda p: distillation(p["z"], z, T))
    np.testing.assert_allclose(run({"z": z})[1]["z"], 0.0, atol=1e-14)


def test_distillation_at_high_temperature_compares_logits() -> None:
    """Hinton et al. 2015, eq. 4: the gradient tends to (z - v)/N, both centered."""
    z, v = normal(2, 4), normal(2, 4, seed=1)
    z, v = z - z.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
    run = value_and_grad(lambda p: distillation(p["z"], v, 1e4))
    _, grads = run({"z": z})
    np.testing.assert_allclose(grads["z"], (z - v) / 4 / 2, rtol=1e-3)


@pytest.mark.parametrize("T", [0.0, -1.0, math.nan, math.inf, "2", None])
def test_distillation_wants_a_temperature(T: Any) -> None:
    with pytest.raises(ValueError, match=r"^T must be in \(0, inf\), got"):
        distillation(normal(2, 3), normal(2, 3), T)


@pytest.mark.parametrize("shape", [(1, 3), (3,), (2, 1), (4, 3)])
def test_distillation_does_not_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^logits and teacher_logits differ in shape"):
        distillation(normal(2, 3), normal(*shape), 2.0)


def test_accuracy_counts_rows() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 0.1], [5.0, 4.0]])
    assert accuracy(logits, np.array([1, 0, 1, 0])) == 1.0
    assert accuracy(logits, np.array([0, 0, 1, 0])) == 0.75
    assert accuracy(logits, [0, 1, 0, 1]) == 0.0
    assert type(accuracy(logits, np.array([1, 0, 1, 0]))) is float


@pytest.mark.parametrize("labels", [np.zeros((4, 1), int), np.zeros(1, int), 0])
def test_accuracy_does_not_broadcast(labels: Any) -> None:
    with pytest.raises(ValueError, match=r"^accuracy needs .* got \(4, 2\), \("):
        accuracy(normal(4, 2), labels)


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (np.array([True, False, True, False]), "bool"),
        (np.array([1.0, 0.0, 1.0, 0.0]), "float64"),
        (np.array([0, 1, 2, 1]), r"\[2\]"),
        (np.array([0, -1, 0, 1]), r"\[-1\]"),
    ],
)
def test_accuracy_wants_classes(labels: Any, got: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^labels must be ints in \[0, 2\), got {got}"
    ):
        accuracy(normal(4, 2), labels)


def test_accuracy_wants_a_sample() -> None:
    with pytest.raises(ValueError, match=r"^accuracy needs a sample or more, got 0$"):
        accuracy(np.zeros((0, 2)), np.zeros(0, int))


def test_a_temperature_does_not_promote() -> None:
    z = normal(4, 3).astype(np.float32)
    assert distillation(z, 2 * z, np.float64(3.0)).dtype == np.float32


def test_a_gain_of_numpy_does_not_promote() -> None:
    params = init_mlp(rng(), SIZES, gain=np.float64(1.0), dtype=np.float32)
    assert {w.dtype for w in params.values()} == {np.dtype(np.float32)}
