"""The experiments on LeNet-300-100, on a few images: that they run, and count right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from deepopt_lib import compress, core, data, nn, trials
from reproductions import (
    deep_compression,
    lenet,
    lottery_ticket,
    low_bits,
    pruning,
    rounding,
    rounds,
    sharing,
)
from reproductions.common import decode

EXPERIMENTS = (pruning, deep_compression, low_bits, lottery_ticket)
LEFT = {"layer1.W": 18_816, "layer2.W": 2700, "layer3.W": 260}


@pytest.fixture(scope="module")
def few() -> data.Split:
    whole = data.mnist(train=300, validation=100, dtype=np.float32)
    return whole._replace(x_test=whole.x_test[:100], y_test=whole.y_test[:100])


@pytest.fixture(autouse=True)
def small(few: data.Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenet, "images", lambda validation=0: few)
    for module in (lenet, rounds, rounding, deep_compression):
        monkeypatch.setattr(module, "EPOCHS", 1)
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    monkeypatch.setattr(low_bits, "IMAGES", 50)
    monkeypatch.setattr(lottery_ticket, "STEPS", 6)
    monkeypatch.setattr(lottery_ticket, "EVERY", 2)


@pytest.fixture
def net() -> core.Params:
    return lenet.draw(0)


def silent(fraction: float) -> None:
    assert 0 <= fraction <= 1


def scores(found: Any) -> list[Mapping[str, Any]]:
    if not isinstance(found, Mapping):
        return []
    if "right" in found:
        return [found]
    return [s for inner in found.values() for s in scores(inner)]


@pytest.mark.parametrize("module", EXPERIMENTS)
def test_an_experiment_runs_and_claims(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setattr(lenet, "SIZES", (784, 60, 100, 10))
    seen: list[float] = []
    runs = {f"all/{seed}": module.run("all", seed, seen.append) for seed in (0, 1)}
    assert min(seen) >= 0 and max(seen) == pytest.approx(1)
    runs = json.loads(json.dumps(runs, allow_nan=False))
    for run in runs.values():
        run |= {"seconds": 1.5, "code": "0123"}  # as the runner does
        assert scores(run)
        for scored in scores(run):
            assert scored["error"] == pytest.approx(100 - decode(scored).mean() * 100)
    claims = module.claims(runs)
    assert claims and all(isinstance(c.verdict, trials.Verdict) for c in claims)
    assert json.dumps(module.PAPER)


def test_the_network_is_lenet_300_100(net: core.Params) -> None:
    assert sum(net[k].size for k in lenet.MATRICES) == 266_200
    assert core.nbytes(net) == 4 * 266_610
    assert {w.dtype for w in net.values()} == {np.dtype(np.float32)}


def test_training_fits_and_changes_no_argument(
    net: core.Params, few: data.Split
) -> None:
    before = {k: w.copy() for k, w in net.items()}
    end = lenet.fit(net, few, np.random.default_rng(0), epochs=12, lr=1e-3)
    again = lenet.fit(net, few, np.random.default_rng(0), epochs=12, lr=1e-3)
    assert nn.accuracy(nn.mlp(end, few.x_train), few.y_train) > 0.9
    for k, w in end.items():
        np.testing.assert_array_equal(net[k], before[k])
        np.testing.assert_array_equal(w, again[k])
        assert w.dtype == np.float32 and w.flags.writeable


def test_decay_shrinks_the_weights(net: core.Params, few: data.Split) -> None:
    free, held = (
        lenet.fit(net, few, np.random.default_rng(0), epochs=5, lr=1e-2, decay=d)
        for d in (0.0, 3.0)
    )
    assert core.global_norm(held) < 0.9 * core.global_norm(free)


def test_what_is_masked_stays_zero(net: core.Params, few: data.Split) -> None:
    masks = compress.layer_masks(net, 0.5, lenet.MATRICES)
    end = lenet.fit(
        net, few, np.random.default_rng(0), epochs=2, lr=1e-2, decay=0.1, masks=masks
    )
    for k, mask in masks.items():
        assert not end[k][~mask].any()
        assert np.mean(end[k][mask] != net[k][mask]) > 0.5


def test_rounds_end_at_the_papers_counts(few: data.Split, net: core.Params) -> None:
    for pruned in (
        rounds.in_rounds(net, few, 0, silent),
        rounds.at_once(net, few, 0, silent),
    ):
        left = {k: int(np.count_nonzero(pruned[k])) for k in lenet.MATRICES}
        assert left == LEFT
    together = rounds.in_rounds(net, few, 0, silent, together=True)
    kept = sum(int(np.count_nonzero(together[k])) for k in lenet.MATRICES)
    assert abs(kept - sum(LEFT.values())) < 10
    assert 266_200 / sum(LEFT.values()) > 12


def test_halfway_there_is_the_root_of_the_density(net: core.Params) -> None:
    masks = rounds.layer_masks(net, 0.5)
    assert masks["layer1.W"].mean() == pytest.approx(0.08**0.5, abs=1e-4)
    smallest = np.abs(net["layer1.W"])[masks["layer1.W"]].min()
    assert smallest >= np.abs(net["layer1.W"])[~masks["layer1.W"]].max()


def test_shared_values_stay_where_they_are(few: data.Split, net: core.Params) -> None:
    pruned = compress.apply_masks(net, rounds.layer_masks(net, 1))
    values, places = sharing.share(pruned, 3)
    first = sharing.joined(pruned, values, places)
    end = sharing.train(
        pruned, values, places, few, np.random.default_rng(0), epochs=1, lr=1e-2
    )
    for k, count in LEFT.items():
        kept = pruned[k] != 0
        assert np.count_nonzero(kept) == count
        shared = np.unique(first[k][kept])
        assert len(values[k]) == 7 and {*shared} <= {*values[k]}
        assert len(shared) >= 6 and not first[k][~kept].any()
        assert not end[k][~kept].any() and end[k].dtype == np.float32
        # Who shared a value shares one now, and it is another one.
        assert len({*zip(first[k][kept], end[k][kept], strict=True)}) == len(shared)
        assert not np.array_equal(first[k], end[k])
        # Each weight has the nearest of the seven.
        gaps = np.abs(pruned[k][kept][:, None] - values[k])
        np.testing.assert_allclose(
            np.abs(pruned[k] - first[k])[kept], gaps.min(axis=1), atol=1e-6
        )
    assert not np.array_equal(end["layer1.b"], pruned["layer1.b"])


def test_a_layer_is_counted_by_hand() -> None:
    w = np.zeros((10, 10), np.float32)
    w.flat[[0, 40, 41]] = 1, 2, 3  # gaps 0, 39, 0: the second takes a filler of 32
    code = compress.compress({"w": w}, 2)["w"]
    assert isinstance(code, compress.SparseCode)
    found = deep_compression.layer(w, code, 2)
    assert found["weights"] == 100 and found["left"] == 3
    assert found["symbols of 5 bits"] == 4
    assert found["bytes, shared"] == 4 + 3 * 4  # 28 bits, three values
    assert found["bytes, coded"] == core.nbytes(code)


def test_bytes_of_few_bits_by_hand(few: data.Split, net: core.Params) -> None:
    biases, scales, shapes = 4 * 410, 4 * 410, 3 * 2 * 4
    sizes: dict[str, int] = {
        "4 bits": 266_200 // 2 + scales + 410 + shapes + biases,
        "three values": 266_200 // 4 + scales + shapes + biases,
        "two values": 266_200 // 8 + scales + shapes + biases,
    }
    for name, expected in sizes.items():
        codec = rounding.codec(name, "minmax")
        codes = rounding.nearest(net, codec)
        assert low_bits.scored(net, codec, codes, few)["bytes"] == expected


@pytest.mark.parametrize(("name", "levels"), [("two values", 2), ("three values", 3)])
def test_trained_codes_are_on_the_grid_of_the_start(
    few: data.Split, net: core.Params, name: str, levels: int
) -> None:
    codec = rounding.codec(name, "mse")
    end, codes = rounding.trained(net, codec, few, 0, silent, lr=1e-2)
    for k in lenet.MATRICES:
        now = codec.decode(codes[k])
        np.testing.assert_array_equal(codes[k].scale, codec.fit(net[k]).scale)
        assert max(len(np.unique(column)) for column in now.T) == levels
        assert np.mean(now != codec.round(net[k])) > 0.01  # some have moved
        assert len(np.unique(end[k])) > 100 * levels  # what is stepped is not rounded


def test_gptq_keeps_the_output_better(few: data.Split, net: core.Params) -> None:
    codec, x = rounding.codec("2 bits", "mse"), few.x_train
    W = net["layer1.W"]
    near, better = (
        codec.decode(codes["layer1.W"])
        for codes in (rounding.nearest(net, codec), rounding.by_gptq(net, codec, x))
    )
    assert compress.output_error(W, better, x) < compress.output_error(W, near, x) / 2


def test_a_ticket_is_pruned_by_hand() -> None:
    params = {
        "layer1.W": np.arange(1, 11, dtype=np.float32).reshape(2, 5),
        "layer2.W": -np.arange(10, 0, -1, dtype=np.float32).reshape(2, 5),
        "layer3.W": np.arange(1, 11, dtype=np.float32).reshape(2, 5),
    }
    masks = {k: np.ones((2, 5), np.bool_) for k in params}
    masks = lottery_ticket.prune(params, masks)
    assert np.flatnonzero(~masks["layer1.W"]).tolist() == [0, 1]
    assert np.flatnonzero(~masks["layer2.W"]).tolist() == [8, 9]
    assert np.flatnonzero(~masks["layer3.W"]).tolist() == [0]
    params["layer1.W"][0, :2] = 100  # what is gone stays gone, however large
    masks = lottery_ticket.prune(params, masks)
    assert np.flatnonzero(~masks["layer1.W"]).tolist() == [0, 1, 2, 3]  # 8 - 6.4


def test_tickets_have_the_papers_sizes() -> None:
    rng = np.random.default_rng(0)
    net = lottery_ticket.draw(rng)
    masks: lottery_ticket.Masks = {
        k: np.ones(net[k].shape, np.bool_) for k in lenet.MATRICES
    }
    sizes = [1.0]
    for _ in range(15):
        masks = lottery_ticket.prune(net, masks)
        sizes.append(100 * compress.density(masks))
    assert [round(sizes[r], 1) for r in (3, 7, 9, 15)] == [51.3, 21.1, 13.5, 3.6]
    for k, (n_in, n_out) in zip(
        lenet.MATRICES, [(784, 300), (300, 100), (100, 10)], strict=True
    ):
        assert net[k].std() == pytest.approx((2 / (n_in + n_out)) ** 0.5, rel=0.05)


def test_a_ticket_starts_where_the_dense_network_did(
    few: data.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    def train(
        start: core.Params, masks: lottery_ticket.Masks, *rest: Any
    ) -> tuple[dict[str, Any], core.Params]:
        starts.append((start, masks))
        return {}, {k: w + 1 for k, w in start.items()}

    monkeypatch.setattr(lottery_ticket, "train", train)
    lottery_ticket.run("all", 0, silent)
    assert len(starts) == 16 + 3
    first = starts[0][0]
    again = [i for i, (start, _) in enumerate(starts) if start is first]
    assert len(again) == 16  # and three are drawn anew
    for i in sorted({*range(19)} - {*again}):
        assert starts[i][1] is starts[i - 1][1]  # with the mask of the ticket
        assert not np.array_equal(starts[i][0]["layer1.W"], first["layer1.W"])


def test_a_ticket_is_scored_where_the_loss_is_lowest(few: data.Split) -> None:
    start = lottery_ticket.draw(np.random.default_rng(0))
    masks = {k: np.ones(start[k].shape, np.bool_) for k in lenet.MATRICES}
    found, _ = lottery_ticket.train(start, masks, few, np.random.default_rng(0), silent)
    assert len(found["loss"]) == 3
    assert found["stop"] == 2 * (1 + int(np.argmin(found["loss"])))
