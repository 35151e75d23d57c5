"""Convolutional, recurrent and attending networks: parameters, layers, training."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff, nn
from deepopt_lib.autodiff import check_grads, cross_entropy, value_and_grad
from deepopt_lib.core import Array, Params
from deepopt_lib.optim import adam


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(rng(seed).standard_normal(shape))


def shapes(params: Params) -> dict[str, tuple[int, ...]]:
    return {k: w.shape for k, w in params.items()}


def moved(params: Params) -> Params:
    """Away from biases of 0 and scales of 1, which would hide a mistake."""
    return {k: w + 0.3 * normal(*w.shape, seed=9) for k, w in params.items()}


# One small network of each kind: parameters, the function, an input.
Network = tuple[Callable[..., Params], Callable[..., Any], Array]
NETWORKS: dict[str, Network] = {
    "conv_net": (
        lambda **k: nn.init_conv_net(rng(), (4, 8, 2), (3, 2), 3, **k),
        nn.conv_net,
        normal(2, 4, 8, 2, seed=1),
    ),
    "rnn": (
        lambda **k: nn.init_rnn(rng(), (2, 3, 4, 3), **k),
        nn.rnn,
        normal(2, 5, 2, seed=1),
    ),
    "lstm": (
        lambda **k: nn.init_lstm(rng(), (2, 3, 2, 3), **k),
        nn.lstm,
        normal(2, 5, 2, seed=1),
    ),
    "gru": (
        lambda **k: nn.init_gru(rng(), (2, 3, 2, 3), **k),
        nn.gru,
        normal(2, 5, 2, seed=1),
    ),
    "gru, every": (
        lambda **k: nn.init_gru(rng(), (2, 3, 3), **k),
        lambda p, x: nn.gru(p, x, every=True),
        normal(2, 4, 2, seed=1),
    ),
    "attention": (
        lambda **k: nn.init_attention(rng(), 4, **k),
        lambda p, x: nn.attention(p, x, heads=2),
        normal(2, 3, 4, seed=1),
    ),
    "transformer_block": (
        lambda **k: nn.init_transformer_block(rng(), 4, 6, **k),
        lambda p, x: nn.transformer_block(p, x, heads=2, causal=True),
        normal(2, 3, 4, seed=1),
    ),
    "transformer_block with dropout": (
        lambda **k: nn.init_transformer_block(rng(), 4, 6, **k),
        lambda p, x: nn.transformer_block(
            p, x, heads=1, pre_norm=True, rate=0.4, rng=rng(5)
        ),
        normal(2, 3, 4, seed=1),
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


# Parameters.


def test_names_and_shapes() -> None:
    assert shapes(nn.init_conv_net(rng(), (8, 12, 1), (16, 32), 10)) == {
        "conv1.W": (3, 3, 1, 16),
        "conv1.b": (16,),
        "conv2.W": (3, 3, 16, 32),
        "conv2.b": (32,),
        "out.W": (2 * 3 * 32, 10),
        "out.b": (10,),
    }
    assert shapes(nn.init_conv_net(rng(), (4, 4, 3), (2,), 5, kernel=5)) == {
        "conv1.W": (5, 5, 3, 2),
        "conv1.b": (2,),
        "out.W": (8, 5),
        "out.b": (5,),
    }
    for init, gates in ((nn.init_rnn, 1), (nn.init_lstm, 4), (nn.init_gru, 3)):
        new = {"layer1.b_new": (3,), "layer2.b_new": (4,)} if gates == 3 else {}
        assert shapes(init(rng(), (2, 3, 4, 5))) == {
            "layer1.W": (2, 3 * gates),
            "layer1.b": (3 * gates,),
            "layer1.U": (3, 3 * gates),
            "layer2.W": (3, 4 * gates),
            "layer2.b": (4 * gates,),
            "layer2.U": (4, 4 * gates),
            "out.W": (4, 5),
            "out.b": (5,),
            **new,
        }
    assert shapes(nn.init_attention(rng(), 6)) == {
        "W": (6, 18),
        "b": (18,),
        "Wo": (6, 6),
        "bo": (6,),
    }
    assert shapes(nn.init_transformer_block(rng(), 6, 10)) == {
        "attention.W": (6, 18),
        "attention.b": (18,),
        "attention.Wo": (6, 6),
        "attention.bo": (6,),
        "mlp.layer1.W": (6, 10),
        "mlp.layer1.b": (10,),
        "mlp.layer2.W": (10, 6),
        "mlp.layer2.b": (6,),
        "norm1.g": (6,),
        "norm1.b": (6,),
        "norm2.g": (6,),
        "norm2.b": (6,),
    }


@every_network
def test_dtype_and_generator(name: str) -> None:
    init, _, _ = NETWORKS[name]
    double, again, single = init(), init(), init(dtype=np.float32)
    assert {w.dtype for w in double.values()} == {np.dtype(np.float64)}
    assert {w.dtype for w in single.values()} == {np.dtype(np.float32)}
    for k, w in double.items():
        np.testing.assert_array_equal(w, again[k])
        np.testing.assert_allclose(single[k], w, rtol=1e-6)


def test_spreads_of_the_weights() -> None:
    """N(0, gain/n_in): ten thousand draws and more know it to 2 %."""
    conv = nn.init_conv_net(rng(), (4, 4, 16), (128,), 10)
    assert conv["conv1.W"].std() == pytest.approx(math.sqrt(2 / (9 * 16)), rel=0.03)
    conv = nn.init_conv_net(rng(), (16, 16, 1), (16,), 20)
    assert conv["out.W"].std() == pytest.approx(1 / math.sqrt(8 * 8 * 16), rel=0.03)
    gru = nn.init_gru(rng(), (64, 128, 100))
    for k, n_in in (("layer1.W", 64), ("layer1.U", 128), ("out.W", 128)):
        assert gru[k].std() == pytest.approx(1 / math.sqrt(n_in), rel=0.03)
    block = nn.init_transformer_block(rng(), 128, 256)
    for k, variance in (
        ("attention.W", 1 / 128),
        ("attention.Wo", 1 / 128),
        ("mlp.layer1.W", 2 / 128),
        ("mlp.layer2.W", 1 / 256),
    ):
        assert block[k].std() == pytest.approx(math.sqrt(variance), rel=0.03)


def test_biases_and_scales_at_the_start() -> None:
    for init, _, _ in NETWORKS.values():
        for k, w in init().items():
            if w.ndim == 1 and k != "layer1.b" and k != "layer2.b":
                np.testing.assert_array_equal(w, 1.0 if k.endswith(".g") else 0.0)
    for k, n in (("layer1.b", 3), ("layer2.b", 2)):  # the LSTM's forget gate is open
        b = NETWORKS["lstm"][0]()[k]
        np.testing.assert_array_equal(b, np.repeat([0.0, 1.0, 0.0, 0.0], n))
        np.testing.assert_array_equal(NETWORKS["gru"][0]()[k], 0.0)


# Functions.


@every_network
def test_gradients_of_the_whole_network(name: str) -> None:
    init, network, x = NETWORKS[name]
    params = moved(init())
    names = list(params)

    def f(x: Any, *arrays: Any) -> Any:
        return network(dict(zip(names, arrays, strict=True)), x)

    check_grads(f, x, *params.values())


@every_network
def test_float32_stays_float32(name: str) -> None:
    init, network, x = NETWORKS[name]
    params = init(dtype=np.float32)
    tape_values: list[Any] = []

    def loss(p: Any) -> Any:
        y = network(p, x.astype(np.float32))
        tape_values.extend(v.value for v in y.tape)
        return autodiff.mean(y * y)

    _, grads = value_and_grad(loss)(params)
    assert {np.asarray(v).dtype for v in tape_values} == {np.dtype(np.float32)}
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}
    assert network(params, x.astype(np.float32)).dtype == np.float32


@every_network
def test_float32_gradients_are_those_of_float64(name: str) -> None:
    init, network, x = NETWORKS[name]
    params = moved(init())
    single = {k: w.astype(np.float32) for k, w in params.items()}
    run = value_and_grad(lambda p, x: autodiff.mean(network(p, x) ** 2))
    _, exact = run(params, x)
    _, grads = run(single, x.astype(np.float32))
    for k, g in grads.items():
        np.testing.assert_allclose(g, exact[k], rtol=2e-4, atol=2e-6, err_msg=k)


@every_network
def test_arguments_are_only_read_and_calls_repeat(name: str) -> None:
    init, network, x = NETWORKS[name]
    params, x = init(), x.copy()
    for a in (*params.values(), x):
        a.setflags(write=False)
    run = value_and_grad(lambda p, x: autodiff.sum(network(p, x)))
    (first, grads), (second, again) = run(params, x), run(params, x)
    assert first == second
    for k in params:
        np.testing.assert_array_equal(grads[k], again[k])
        grads[k] *= 2  # its own array
    np.testing.assert_allclose(float(np.sum(network(params, x))), first, rtol=1e-12)


@pytest.mark.parametrize("name", [k for k in NETWORKS if "dropout" not in k])
def test_samples_do_not_see_each_other(name: str) -> None:
    init, network, x = NETWORKS[name]
    params = moved(init())
    alone = np.concatenate([network(params, x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(network(params, x), alone, rtol=1e-11)


def test_conv_net_is_its_layers() -> None:
    init, network, x = NETWORKS["conv_net"]
    p = moved(init())
    h = autodiff.relu(
        autodiff.max_pool(autodiff.conv2d(x, p["conv1.W"], p["conv1.b"], pad=1))
    )
    h = autodiff.relu(
        autodiff.max_pool(autodiff.conv2d(h, p["conv2.W"], p["conv2.b"], pad=1))
    )
    expected = h.reshape(2, -1) @ p["out.W"] + p["out.b"]
    np.testing.assert_allclose(network(p, x), expected, rtol=1e-12)


def test_conv_net_keeps_the_size_with_any_kernel() -> None:
    p, x = (
        moved(nn.init_conv_net(rng(), (6, 4, 1), (2,), 3, kernel=5)),
        normal(2, 6, 4, 1),
    )
    h = autodiff.conv_layer(x, p["conv1.W"], p["conv1.b"], pad=2)
    expected = h.reshape(2, -1) @ p["out.W"] + p["out.b"]
    np.testing.assert_allclose(nn.conv_net(p, x), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_recurrent_networks_are_their_layers(name: str) -> None:
    init, network, x = NETWORKS[name]
    layer = getattr(autodiff, f"{name}_layer")
    p = moved(init())
    h = x
    for i in (1, 2):
        names = ["W", "U", "b", *(["b_new"] if name == "gru" else [])]
        h = layer(h, *(p[f"layer{i}.{k}"] for k in names))
    expected = h @ p["out.W"] + p["out.b"]  # (batch, time, n_out)
    np.testing.assert_allclose(network(p, x), expected[:, -1], rtol=1e-12)
    np.testing.assert_allclose(network(p, x, every=True), expected, rtol=1e-12)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_transformer_block_is_its_branches(pre_norm: bool) -> None:
    p, x = moved(nn.init_transformer_block(rng(), 4, 6)), normal(2, 3, 4)

    def norm(i: int, x: Array) -> Any:
        return autodiff.layer_norm(x, p[f"norm{i}.g"], p[f"norm{i}.b"])

    def attend(x: Array) -> Any:
        return nn.attention(nn.part(p, "attention"), x, heads=2)

    def feed_forward(x: Array) -> Any:
        hidden = np.maximum(x @ p["mlp.layer1.W"] + p["mlp.layer1.b"], 0)
        return hidden @ p["mlp.layer2.W"] + p["mlp.layer2.b"]

    if pre_norm:
        h = x + attend(norm(1, x))
        expected = h + feed_forward(norm(2, h))
    else:
        h = norm(1, x + attend(x))
        expected = norm(2, h + feed_forward(h))
    found = nn.transformer_block(p, x, heads=2, pre_norm=pre_norm)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_transformer_block_drops_only_in_training() -> None:
    p, x = nn.init_transformer_block(rng(), 4, 6), normal(2, 3, 4)
    plain = nn.transformer_block(p, x, heads=2)
    evaluated = nn.transformer_block(p, x, heads=2, rate=0.5)
    np.testing.assert_array_equal(evaluated, plain)
    first, again, other = (
        nn.transformer_block(p, x, heads=2, rate=0.5, rng=rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, plain)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_transformer_block_drops_on_both_branches(pre_norm: bool) -> None:
    """One mask after the other, of what each branch adds."""
    p, x = moved(nn.init_transformer_block(rng(), 4, 6)), normal(2, 3, 4)
    masks = rng(5)

    def drop(h: Any) -> Any:
        rows = autodiff.dropout(h.reshape(-1, 4), rate=0.5, rng=masks)
        return rows.reshape(2, 3, 4)

    def norm(i: int, h: Any, wanted: bool) -> Any:
        g, b = p[f"norm{i}.g"], p[f"norm{i}.b"]
        return autodiff.layer_norm(h, g, b) if wanted else h

    def attend(h: Any) -> Any:
        return nn.attention(nn.part(p, "attention"), h, heads=2)

    def feed_forward(h: Any) -> Any:
        hidden = np.maximum(h @ p["mlp.layer1.W"] + p["mlp.layer1.b"], 0)
        return hidden @ p["mlp.layer2.W"] + p["mlp.layer2.b"]

    expected = x
    for i, branch in enumerate((attend, feed_forward), 1):
        out = drop(branch(norm(i, expected, pre_norm)))
        expected = norm(i, expected + out, not pre_norm)
    found = nn.transformer_block(p, x, heads=2, pre_norm=pre_norm, rate=0.5, rng=rng(5))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_parameters_under_a_prefix() -> None:
    inside = {"W": normal(2), "b": normal(3)}
    params = nn.prefixed("block1", inside) | nn.prefixed("block10", {"W": normal(4)})
    assert list(params) == ["block1.W", "block1.b", "block10.W"]
    found = nn.part(params, "block1")
    assert list(found) == ["W", "b"]
    assert found["W"] is inside["W"]


# Training: that every parameter's gradient points down is what makes a loss vanish.


def classify(network: Any, params: Params, x: Array, steps: int, lr: float) -> float:
    y = np.arange(len(x)) % 3
    run = value_and_grad(lambda p, x: cross_entropy(network(p, x), y))
    optimizer = adam(lr)
    state = optimizer.init(params)
    for _ in range(steps):
        loss, grads = run(params, x)
        params, state = optimizer.step(grads, state, params)
    return loss


@pytest.mark.parametrize("name", ["conv_net", "rnn", "lstm", "gru"])
def test_networks_learn_by_heart(name: str) -> None:
    init, network, x = NETWORKS[name]
    samples = normal(9, *x.shape[1:], seed=3)
    assert classify(network, init(), samples, 1, 0.03) > 0.7
    assert classify(network, init(), samples, 250, 0.03) < 0.05


def test_a_transformer_learns_by_heart() -> None:
    params = nn.prefixed("block", nn.init_transformer_block(rng(), 4, 8))
    params |= nn.init_mlp(rng(), (4, 3))

    def network(p: Any, x: Array) -> Any:
        h = nn.transformer_block(nn.part(p, "block"), x, heads=2)
        head = {k: p[f"layer1.{k}"] for k in "Wb"}
        return autodiff.linear(autodiff.mean(h, axis=1), head["W"], head["b"])

    samples = normal(9, 4, 4, seed=3)
    assert classify(network, params, samples, 1, 0.02) > 0.7
    assert classify(network, params, samples, 250, 0.02) < 0.05


def test_an_lstm_remembers_the_first_step() -> None:
    """The label comes first, then noise: what happened ten steps ago must arrive."""
    params = nn.init_lstm(rng(), (3, 8, 3))
    x = 0.1 * normal(30, 10, 3, seed=4)
    x[np.arange(30), 0, np.arange(30) % 3] += 1
    assert classify(nn.lstm, params, x, 150, 0.03) < 0.05


# Bad input.

GOOD: dict[str, Params] = {k: init() for k, (init, _, _) in NETWORKS.items()}
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "an image without channels": (
        lambda: nn.conv_net(GOOD["conv_net"], normal(2, 4, 8)),
        r"conv_net needs x \(batch, height, width, c\), got \(2, 4, 8\)",
    ),
    "an image of other channels": (
        lambda: nn.conv_net(GOOD["conv_net"], normal(2, 4, 8, 1)),
        r"conv_layer needs .* got \(2, 4, 8, 1\), \(3, 3, 2, 3\), \(3,\)",
    ),
    "an image of another size": (
        lambda: nn.conv_net(GOOD["conv_net"], normal(2, 8, 8, 2)),
        r"linear needs .* got \(2, 8\), \(4, 3\), \(3,\)",
    ),
    "an image that cannot be halved": (
        lambda: nn.conv_net(GOOD["conv_net"], normal(2, 4, 6, 2)),
        r"pool must divide height 2 and width 3, got 2",
    ),
    "sequences of other features": (
        lambda: nn.lstm(GOOD["lstm"], normal(2, 5, 3)),
        r"lstm_layer needs .* got \(2, 5, 3\), \(2, 12\), ",
    ),
    "one sequence": (
        lambda: nn.gru(GOOD["gru"], normal(5, 2)),
        r"gru_layer needs x \(batch, time, n_in\), .* got \(5, 2\), ",
    ),
    "empty sequences": (
        lambda: nn.rnn(GOOD["rnn"], normal(2, 0, 2)),
        r"a sequence needs a step or more, got states \(2, 0, 4\)",
    ),
    "attention to other features": (
        lambda: nn.attention(GOOD["attention"], normal(2, 3, 5), heads=1),
        r"self_attention needs .* got \(2, 3, 5\), \(4, 12\), ",
    ),
    "heads that do not divide": (
        lambda: nn.attention(GOOD["attention"], normal(2, 3, 4), heads=3),
        r"heads must divide dim = 4, got 3",
    ),
    "a block of one sequence": (
        lambda: nn.transformer_block(GOOD["transformer_block"], normal(3, 4), heads=2),
        r"transformer_block needs x \(batch, time, dim\), got \(3, 4\)",
    ),
    "a block of other features": (
        lambda: nn.transformer_block(
            GOOD["transformer_block"], normal(2, 3, 6), heads=2
        ),
        r"self_attention needs .* got \(2, 3, 6\), \(4, 12\), ",
    ),
    "a block with a rate of 1": (
        lambda: nn.transformer_block(
            GOOD["transformer_block"], normal(2, 3, 4), heads=2, rate=1.0, rng=rng()
        ),
        r"rate must be in \[0, 1\), got 1.0",
    ),
    "a prefix that is not there": (
        lambda: nn.part(GOOD["attention"], "block1"),
        r"no parameter is named block1.\*, there are \['W', 'b', 'Wo', 'bo'\]",
    ),
    "an image of two sizes": (
        lambda: nn.init_conv_net(rng(), (8, 8), (4,), 3),
        r"image must be \(height, width, c\), got \[8, 8\]",
    ),
    "an image of four sizes": (
        lambda: nn.init_conv_net(rng(), (2, 8, 8, 1), (4,), 3),
        r"image must be \(height, width, c\), got \[2, 8, 8, 1\]",
    ),
    "no channels": (
        lambda: nn.init_conv_net(rng(), (8, 8, 1), (), 3),
        r"channels must be 1 ints or more, got \[\]",
    ),
    "an image without height": (
        lambda: nn.init_conv_net(rng(), (0, 8, 1), (4,), 3),
        r"^image\[0\] must be an int >= 1, got 0",
    ),
    "a layer without channels": (
        lambda: nn.init_conv_net(rng(), (8, 8, 1), (4, 0), 3),
        r"^channels\[1\] must be an int >= 1, got 0",
    ),
    "no kernel": (
        lambda: nn.init_conv_net(rng(), (8, 8, 1), (4,), 3, kernel=0),
        r"^kernel must be an int >= 1, got 0",
    ),
    "an even kernel": (
        lambda: nn.init_conv_net(rng(), (8, 8, 1), (4,), 3, kernel=2),
        r"kernel must be odd, got 2",
    ),
    "too many layers": (
        lambda: nn.init_conv_net(rng(), (8, 12, 1), (4, 4, 4), 3),
        r"height and width must be multiples of 8 for 3 layers, got \[8, 12, 1\]",
    ),
    "too many layers for the height alone": (
        lambda: nn.init_conv_net(rng(), (6, 8, 1), (4, 4), 3),
        r"height and width must be multiples of 4 for 2 layers, got \[6, 8, 1\]",
    ),
    "no classes": (
        lambda: nn.init_conv_net(rng(), (8, 8, 1), (4,), 0),
        r"^classes must be an int >= 1, got 0",
    ),
    **{
        f"{init.__name__} without an output": (
            lambda init=init: init(rng(), (2, 3)),  # type: ignore[misc]
            r"sizes must be 3 ints or more, got \[2, 3\]",
        )
        for init in (nn.init_rnn, nn.init_lstm, nn.init_gru)
    },
    "a size that is a float": (
        lambda: nn.init_gru(rng(), (2, 3.0, 4)),  # type: ignore[arg-type]
        r"^sizes\[1\] must be an int >= 1, got 3.0",
    ),
    "a layer of no inputs": (
        lambda: nn.draw_linear(rng(), 0, 2, 1.0, np.float64),
        r"^n_in must be an int >= 1, got 0",
    ),
    "a layer of no outputs": (
        lambda: nn.draw_linear(rng(), 2, 0, 1.0, np.float64),
        r"^n_out must be an int >= 1, got 0",
    ),
    "attention of nothing": (
        lambda: nn.init_attention(rng(), 0),
        r"^dim must be an int >= 1, got 0",
    ),
    "a block of nothing": (
        lambda: nn.init_transformer_block(rng(), 0, 4),
        r"^dim must be an int >= 1, got 0",
    ),
    "a block without hidden units": (
        lambda: nn.init_transformer_block(rng(), 4, 0),
        r"^hidden must be an int >= 1, got 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
