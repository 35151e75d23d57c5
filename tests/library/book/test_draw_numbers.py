"""The numbers in the drawings are those that the library computes."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from deepopt_lib import autodiff, compress, optim, parallel, privacy
from deepopt_lib.book import draw
from deepopt_lib.book.draw import sparse as drawn_sparse
from deepopt_lib.book.draw.training import GRADIENTS
from deepopt_lib.parallel.ring import ring_all_reduce
from tests.library.book.drawn import Drawn
from tests.library.parallel.threads import run_ranks

A = np.array(drawn_sparse.MATRIX, np.float64)


def wide(box: tuple[float, float, float, float]) -> float:
    return box[2] - box[0]


@pytest.mark.parametrize(("x", "w", "y"), [(2.0, 3.0, 5.0), (-1.5, 0.5, 2.0)])
def test_the_tape_has_the_values_and_derivatives_of_autodiff(
    x: float, w: float, y: float
) -> None:
    def loss(p: Any) -> Any:
        e = p["w"] * p["x"] + p["p"] - y
        return (e + p["e"]) ** 2

    point = {"w": np.array(w), "x": np.array(x), "p": np.zeros(()), "e": np.zeros(())}
    value, grads = autodiff.value_and_grad(loss)(point)
    shown = Drawn(draw.tape(x, w, y))
    assert shown.numbers("value loss") == pytest.approx([value], rel=1e-3)
    assert shown.numbers("value p") == [w * x]
    assert shown.numbers("value e") == [w * x - y]
    assert shown.numbers("slope loss") == [1]
    for name, slope in grads.items():
        assert shown.numbers(f"slope {name}") == [slope]


def test_an_epoch_has_every_sample_once() -> None:
    shown = Drawn(draw.minibatch(12, 3, 5))
    batches = [shown.numbers(f"batch {b}") for b in range(4)]
    order = np.random.default_rng(5).permutation(12)
    assert np.array_equal(np.reshape(batches, -1), order)
    assert len(list(shown.paths("draw-s-blue"))) == 4  # a line for each of a class


@pytest.mark.parametrize(("lr", "mu", "steps"), [(1.7, 0.5, 12), (1.2, 0.3, 8)])
def test_the_paths_are_those_of_the_rules(lr: float, mu: float, steps: int) -> None:
    shown = Drawn(draw.velocity((0.06, 1.0), lr, mu, steps))
    curvature = np.array([0.06, 1.0])
    rules: list[tuple[str, Any]] = [
        ("blue", optim.GradientDescent()),
        ("vermilion", optim.Momentum(mu)),
    ]
    for k, (color, rule) in enumerate(rules):
        optimizer = optim.Optimizer(rule, lr)
        params = {"w": np.array([-5.6, 0.95])}
        state, path = optimizer.init(params), [params["w"]]
        for _ in range(steps):
            grads = {"w": curvature * params["w"]}
            params, state = optimizer.step(grads, state, params)
            path.append(params["w"])
        part = abs(path[-1][0] / path[0][0])
        assert shown.named("left")[k] == f"{part:.0%} of the way to go"
        tips = np.array(shown.tips(color))
        middle = 72 + 134 * k
        wanted = np.array(path[1:]) * [60, -26] + [392, middle]
        assert np.allclose(tips, wanted, atol=0.051)


def test_the_running_softmax_is_that_of_the_library() -> None:
    scores = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 0.0])
    shown = Drawn(draw.online_softmax(scores, 2))
    for tile in (1, 2, 3):
        seen = scores[: 2 * tile]
        assert shown.numbers("largest")[tile - 1] == seen.max()
        total = np.exp(seen - seen.max()).sum()
        assert shown.numbers("sum")[tile - 1] == pytest.approx(total, abs=0.005)
    assert shown.numbers("shrink") == [round(math.exp(3 - 5), 2), 1.0]
    q, k, v = np.ones((1, 1)), scores[:, None], np.eye(6)
    weights = autodiff.online_attention(q, k, v, block=2)
    last = np.exp(scores - shown.numbers("largest")[-1]) / shown.numbers("sum")[-1]
    assert np.allclose(weights, last, atol=0.003)
    assert shown.numbers("scores") == scores.tolist()


def test_gradients_are_clipped_as_the_library_does() -> None:
    clip, g = 0.8, np.array(GRADIENTS)
    shown = Drawn(draw.private_sgd(g, clip, 0.5, 3))
    factors = privacy.clip_factors(np.linalg.norm(g, axis=1), clip)
    circles = [c for c in shown.circles("draw-f-gray") if c[2] > 10]
    (x, y, r), (x2, y2, r2) = circles
    raw, clipped = np.array(shown.tips("gray")), np.array(shown.tips("blue"))
    assert np.allclose((raw - [x, y]) / r * [1, -1], g / clip, atol=0.01)
    wanted = g * factors[:, None] / clip
    assert np.allclose((clipped[:-1] - [x2, y2]) / r2 * [1, -1], wanted, atol=0.01)
    assert len([c for c in shown.circles("draw-f-gray") if c[2] < 2]) == 40
    start = next(p[0] for p in shown.paths("draw-s-blue") if p[0][0] > 290)
    total = (clipped[-1] - start) * [1, -1]  # the sum points where it should
    assert np.allclose(total / np.linalg.norm(total),
                       (wanted.sum(axis=0)) / np.linalg.norm(wanted.sum(axis=0)),
                       atol=0.01)  # fmt: skip


@pytest.mark.parametrize("matrix", [A, np.eye(3, 6), np.tile([[1, 0], [2, 0]], (2, 2))])
def test_the_three_arrays_rebuild_the_matrix(matrix: np.ndarray) -> None:
    shown = Drawn(draw.csr(matrix))
    parts = [shown.numbers(name) for name in ("data", "indices", "indptr")]
    built = sparse.csr_array(tuple(map(np.array, parts)), matrix.shape)
    built.indptr, built.indices = (a.astype(int) for a in (built.indptr, built.indices))
    assert np.array_equal(built.toarray(), matrix)
    stored = sum(compress.storage(sparse.csr_array(matrix.astype("f4"))).values())
    assert f"CSR: {stored} bytes" in [w.text for w in shown.words]
    assert f"dense: {4 * matrix.size} bytes" in [w.text for w in shown.words]
    cells = [box for box, _ in shown.rects() if box[1] == 136]
    ends = [box[0] for box in cells] + [cells[-1][2]]
    tips = {c: shown.tips(c) for c in (*drawn_sparse.ROWS[: len(matrix)], "gray")}
    for (tip,), begin in zip(tips.values(), parts[2], strict=True):
        assert tip[0] == pytest.approx(ends[int(begin)], abs=0.11)


def test_two_of_four_are_stored_as_the_codec_does() -> None:
    column = np.array([0.9, -0.1, 0.2, -0.7, 0.1, 0.6, -0.8, 0.3])
    shown = Drawn(draw.two_four(column))
    pruned = np.where(np.isin(np.arange(8), [0, 3, 5, 6]), column, 0)[:, None]
    code = compress.NM().encode(pruned)
    assert shown.numbers("values") == code.values.ravel().tolist()
    places = [int(p, 2) for p in shown.named("places")]
    assert places == [0, 3, 1, 2]
    half = compress.NM().encode(pruned.astype(np.float16))
    size = half.values.nbytes + half.places.nbytes
    assert f"float16: 16 bytes → {size} bytes" in [w.text for w in shown.words]


def test_blocks_are_those_of_scipy() -> None:
    for matrix, block in [(np.array(draw.blocks.BLOCKS, float), 2), (np.eye(6), 3)]:
        bsr = sparse.bsr_array(matrix, blocksize=(block, block))
        shown = Drawn(draw.block_sparse(matrix, block))
        assert shown.numbers("columns") == bsr.indices.tolist()
        zeros = int((bsr.data == 0).sum())
        assert shown.named("stored") == [
            f"{np.count_nonzero(matrix)} entries, {zeros} zeros"
        ]
        entries = [e for _, e in shown.rects() if e.get("fill-opacity") == "0.75"]
        assert len(entries) == 2 * np.count_nonzero(matrix)


@pytest.mark.parametrize(
    ("bits", "low", "high"), [(3, -1.0, 2.0), (2, -0.5, 1.0), (4, 0.0, 1.0)]
)
def test_the_grid_is_that_of_the_codec(bits: int, low: float, high: float) -> None:
    values = np.array([-0.86, -0.35, 0.1, 0.55, 1.35, 2.6])
    shown = Drawn(draw.quantization_grid(values, bits, low, high))
    grid = compress.Affine(bits).fit(np.array([low, high]))
    words = [w.text for w in shown.words]
    assert f"zero point {int(grid.zero.item())}" in words
    assert f"scale {grid.scale.item():.3g}" in words
    codes = grid.codes(values[None])[0]
    at = {int(w.text): w.x for w in shown.words if w.name == "codes"}
    assert sorted(at) == list(range(2**bits))
    tips = [x for color in ("blue", "vermilion") for x, _ in shown.tips(color)]
    assert sorted(tips) == pytest.approx(sorted(at[int(k)] for k in codes), abs=0.11)
    beyond = (values < grid.values(np.array([[0]])).item() - grid.scale.item() / 2) | (
        values > grid.values(np.array([[2**bits - 1]])).item() + grid.scale.item() / 2
    )
    assert len(shown.tips("vermilion")) == beyond.sum()


def test_the_codes_of_a_state_are_those_of_the_codec() -> None:
    state = np.array([0.02, -0.05, 0.03, 8.0, 0.4, -1.5, 0.3, -0.1, 0.2])
    shown = Drawn(draw.state_blocks(state, 3))
    for name, block in [("one scale", 9), ("each block", 3)]:
        codec = compress.Blockwise("linear", 8, block)
        scales = np.repeat(np.abs(state).reshape(-1, block).max(axis=1), block)
        codes = np.rint(codec.decode(codec.encode(state)) / scales * 127)
        assert shown.numbers(name) == codes.tolist()
    lost = shown.numbers("one scale").count(0)
    assert len(shown.rects("draw-f-vermilion")) == lost == 2


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_staircase_is_level_and_its_slope_zero(bits: int) -> None:
    shown = Drawn(draw.straight_through(bits))
    stairs = max(shown.paths("draw-s-blue"), key=len)
    assert len({y for _, y in stairs}) == 2**bits
    (line, used) = (p for p in shown.paths("draw-s-vermilion"))
    (x0, y0), (x1, y1) = line
    for (a, y), (b, _) in zip(stairs[::2], stairs[1::2], strict=True):
        middle = y0 + ((a + b) / 2 - x0) / (x1 - x0) * (y1 - y0)
        assert y == pytest.approx(middle, abs=0.11)
    assert used[0][1] == used[1][1]
    spikes = [p for p in shown.paths("draw-s-blue") if len(p) == 2]
    assert len(spikes) == 2**bits - 1 + 1  # and the floor


@pytest.mark.parametrize(
    "counts", [(9, 4, 2, 1), (4, 4, 4, 4), (1, 2, 9), (3, 5), (5, 1, 1, 5)]
)
def test_words_are_as_long_as_huffmans(counts: tuple[int, ...]) -> None:
    each = np.repeat(np.arange(len(counts)), counts)
    labels = np.resize(each, 16).reshape(4, 4)
    shown = Drawn(draw.code_book(labels, np.arange(len(counts)) / 4))
    n = np.bincount(labels.ravel())
    words = shown.named("words")
    assert [len(w) for w in words] == compress.code_lengths(n).tolist()
    assert shown.numbers("counts") == n.tolist()
    for a in words:
        assert not any(b != a and b.startswith(a) for b in words)
    assert sum(0.5 ** len(w) for w in words) == 1
    fixed = 16 * math.ceil(math.log2(len(n)))
    bits = sum(len(w) * k for w, k in zip(words, n, strict=True))
    assert shown.named("bits") == [f"{fixed} bits → {bits} bits"]


def test_thin_matrices_are_counted() -> None:
    shown = Drawn(draw.low_rank(784, 512, 16))
    assert shown.numbers("dense") == [784 * 512]
    code = compress.LowRank(16).encode(np.random.default_rng(0).normal(size=(784, 512)))
    thin = sum(a.size for a in code)
    assert shown.named("thin") == [f"{thin:,}, {784 * 512 / thin:.1f} times fewer"]
    whole, *_ = (box for box, _ in shown.rects("draw-f-gray"))
    assert wide(whole) / (whole[3] - whole[1]) == pytest.approx(512 / 784, abs=0.01)
    shown = Drawn(draw.lora(784, 256, 4))
    assert shown.named("trained") == ["trained: 4,160 of 200,704"]
    assert shown.named("share") == ["2.1%"]


def test_the_surgeon_does_what_the_library_does() -> None:
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        x = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 4))
        H = 2 / len(x) * x.T @ x
        H = (H + H.T) / 2
        w = rng.normal(size=4)
        w /= np.abs(w).max()
        after = compress.obs(w[:, None], x, 0.25, damp=1e-12)[:, 0]
        if np.abs(after).max() > 2 or np.abs(w).min() < 0.2:
            continue  # a good drawing needs weights of one size
        seen += 1
        shown = Drawn(draw.brain_surgeon(w, H))
        assert np.allclose(shown.numbers("after"), after[after != 0], atol=0.0051)
        rise = 0.5 * (after - w) @ H @ (after - w)
        stays = 0.5 * w[after == 0].item() ** 2 * H[after == 0][:, after == 0].item()
        words = [t.text for t in shown.words]
        assert f"others move: +{rise:.2f}" in words
        assert f"others stay: +{stays:.2f}" in words
    assert seen > 5


def test_the_teacher_is_a_softmax() -> None:
    z = np.array([7.0, 4.5, 3.0, 0.0])
    shown = Drawn(draw.distillation(z, ("7", "9", "1", "0"), 4.0))
    for k, (t, color) in enumerate([(1.0, "blue"), (4.0, "green")], 1):
        p = np.exp(autodiff.log_softmax(z / t))
        assert shown.named(f"T {k}") == [f"{p[0]:.0%}", f"{p[1]:.0%}"]
        bars = [b for b, e in shown.rects(f"draw-f-{color}") if e.get("rx") == "0"]
        tall = np.array([b[3] - b[1] for b in bars])
        assert np.allclose(tall / 86, p, atol=0.001)


def test_the_bars_of_deep_compression_are_to_scale() -> None:
    sizes = np.array([1e6, 1e5, 5e4, 2e4])
    shown = Drawn(draw.deep_compression(sizes))
    assert shown.numbers("size") == [1000, 100, 50, 20]
    assert [t.split(", ")[1] for t in shown.named("size")[1:]] == [
        "10 ×",
        "20 ×",
        "50 ×",
    ]
    bars = [wide(b) for b, e in shown.rects() if e.attrib["height"] == "16"]
    assert np.allclose(np.array(bars) / bars[0], sizes / sizes[0], atol=0.001)
    default = Drawn(draw.deep_compression()).numbers("size")
    bits = np.array([32, 0.08 * 37, 0.08 * 11, 0.08 * 8.8])
    assert np.allclose(default, 266_200 * bits / 8 / 1000, atol=0.51)


@pytest.mark.parametrize("n", [3, 4])
def test_the_ring_is_that_of_the_library(n: int) -> None:
    """Every rank sends ones: what a chunk holds is how many were added."""

    def work(ranks: parallel.Ranks) -> list[list[int]]:
        states, comm = [], ranks.comm
        send = comm.Sendrecv

        def noted(out: Any, *rest: Any, **more: Any) -> None:
            states.append(out.base.astype(int).tolist())
            send(out, *rest, **more)

        comm.Sendrecv = noted
        total, sent = ring_all_reduce(comm, np.ones(n))
        states.append(total.astype(int).tolist())
        assert sent == 2 * (n - 1) * 8
        return states

    found = run_ranks(n, work)
    shown = Drawn(draw.ring(n))
    for k, rounds in enumerate((0, n - 1, 2 * n - 2)):
        held = np.reshape(shown.numbers(f"state {k}"), (n, n))
        assert held.tolist() == [states[rounds] for states in found]
    assert held.min() == n
    assert f"{2 * (n - 1) / n:g} times" in shown.named("share")[0]


def test_zero_divides_what_it_says() -> None:
    assert Drawn(draw.zero()).numbers("cost") == [16, 10, 7, 4]
    shown = Drawn(draw.zero(2, 2, 12, 2))
    assert shown.numbers("cost") == [16, 10, 9, 8]
    for color, cut in [("blue", 1), ("vermilion", 2), ("green", 3)]:
        bars = [wide(b) for b, e in shown.rects(f"draw-f-{color}") if wide(b) != 12]
        full = max(bars)
        assert len(bars) == 8
        assert sum(w == pytest.approx(full / 2, abs=0.11) for w in bars) == 2 * cut


@pytest.mark.parametrize(("stages", "parts"), [(4, 4), (2, 5), (3, 1)])
def test_the_pipeline_does_all_in_order(stages: int, parts: int) -> None:
    shown = Drawn(draw.pipeline(stages, parts))
    when: dict[tuple[str, int, int], float] = {}
    for name in ("forward", "backward"):
        words = [w for w in shown.words if w.name == name]
        rows = sorted({w.box[1] for w in words})
        assert len(words) == stages * parts and len(rows) == stages
        for w in words:
            when[name, rows.index(w.box[1]), int(w.text)] = w.x
    assert len(set((k[1], x) for k, x in when.items())) == 2 * stages * parts
    for s in range(stages):
        for k in range(1, parts + 1):
            assert s == 0 or when["forward", s - 1, k] < when["forward", s, k]
            later = when["backward", s, k]
            assert s == stages - 1 or when["backward", s + 1, k] < later
            assert when["forward", s, k] < later
    idle = [e for _, e in shown.rects() if "stroke-dasharray" in e.attrib]
    slots = len(idle) + 2 * stages * parts
    assert shown.named("bubble") == [f"bubble: {len(idle) / slots:.0%}"]


@pytest.mark.parametrize("gradients", [[0.75] * 4, [0.5, 0.75, 1.0, 0.25, 0.5]])
def test_error_feedback_is_that_of_the_library(gradients: list[float]) -> None:
    class Floor(compress.BaseCodec):
        def encode(self, x: Any, /) -> Any:
            return np.floor(x)

        def decode(self, code: Any, /) -> Any:
            return code

    e: Any = np.zeros(())
    sent, kept = [], []
    for g in gradients:
        _, u, e = parallel.encode_with_feedback(Floor(), np.array(g), e)
        sent.append(float(u))
        kept.append(float(e))
    shown = Drawn(draw.error_feedback(gradients))
    assert shown.numbers("sent") == sent
    assert shown.numbers("gradient") == gradients
    assert shown.numbers("kept") == [k for k in kept[:-1] if k]
    assert shown.named("total") == [
        f"sent {sum(sent):g} of {sum(gradients):g}, {kept[-1]:g} stays"
    ]
    assert sum(sent) + kept[-1] == sum(gradients)


def test_programs_stand_on_the_roof() -> None:
    kernels = {"a": 0.25, "b": 2.0, "c": 64.0}
    shown = Drawn(draw.roofline(10e9, 80e9, kernels))
    assert shown.numbers("ridge") == [8]
    speed = [min(80e9, 10e9 * k) for k in kernels.values()]
    dots = shown.circles("draw-f-ink")
    heights = np.array([y for _, y, _ in dots])
    doublings = np.log2(speed[-1] / np.array(speed))
    assert np.allclose(np.diff(heights) / np.diff(doublings), 162 / 8, atol=0.05)
    across = np.diff([x for x, _, _ in dots]) / np.diff(np.log2(list(kernels.values())))
    assert np.allclose(across, 420 / 15, atol=0.05)


def test_memories_widen_and_say_how_far_they_are() -> None:
    shown = Drawn(draw.memory())
    assert shown.named("bytes") == ["1 kB", "30 kB", "30 MB", "30 GB", "10 TB"]
    assert shown.named("wait") == ["0.3 ns", "1 ns", "15 ns", "90 ns", "20 µs"]
    widths = [wide(b) for b, _ in shown.rects()]
    assert np.all(np.diff(widths) > 0)
    tints = [float(e.attrib["fill-opacity"]) for _, e in shown.rects()]
    assert np.all(np.diff(tints) < 0)


def test_nothing_is_changed_by_drawing() -> None:
    w, H = np.array([0.9, -0.6, 0.5]), np.eye(3) + 0.2
    before = w.copy(), H.copy()
    draw.brain_surgeon(w, H)
    assert np.array_equal(w, before[0]) and np.array_equal(H, before[1])
