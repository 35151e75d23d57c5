"""Train the book's language model: `make model`, half an hour on two cores.

    python -m tools.model                           from the last checkpoint to the end
    python -m tools.model --epochs 1 --out x.safetensors --checkpoint y.safetensors

What is stored at the end are the weights, the sizes, and the bits per byte that were
measured on the validation chapters after each epoch.
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path

import numpy as np

from deepopt_lib import core, data, language, optim, training

ROOT = Path(__file__).parents[1]
OUT = ROOT / "deepopt_lib" / "language" / "files" / "mobydick.safetensors"
CHECKPOINT = ROOT / ".cache" / "model.safetensors"
MODEL = language.LanguageModel(
    symbols=80, context=128, dim=128, layers=4, heads=4, groups=2, hidden=344
)
EPOCHS, BATCH, STRIDE = 5, 16, 43  # each symbol is seen in three places of a window
LR, WARM, DECAY, LIMIT, SEED = 0.003, 200, 0.1, 1.0, 0


def main() -> None:
    """Train, and store what came out."""
    parser = argparse.ArgumentParser(description="Train the book's language model.")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    args = parser.parse_args()
    text = data.prose()
    pieces = language.windows(text.train, MODEL.context + 1, STRIDE)
    steps = args.epochs * -(-len(pieces) // BATCH)
    schedule = optim.warmup(optim.cosine(args.lr, steps), WARM)
    rng = np.random.default_rng(SEED)
    start = time.perf_counter()

    def evaluate(params: core.Params) -> dict[str, float]:
        bits = language.bits_per_byte(MODEL, params, text.validation)
        minutes = (time.perf_counter() - start) / 60
        print(f"\n{bits:.3f} bits per byte after {minutes:.1f} minutes", flush=True)
        return {"validation": bits}

    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    run = training.fit(
        functools.partial(language.loss, MODEL),
        MODEL.init(rng),
        optim.adamw(schedule, DECAY),
        pieces[:, :-1],
        pieces[:, 1:],
        epochs=args.epochs,
        batch_size=BATCH,
        rng=rng,
        evaluate=evaluate,
        transform=lambda grads: core.clip_by_global_norm(grads, LIMIT)[0],
        checkpoint=args.checkpoint,
        every=500,
        in_place=True,
    )
    test = language.bits_per_byte(MODEL, run.params, text.test)
    reached = [point["validation"] for point in run.metrics]
    facts = {"validation": reached, "test": test}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    language.save_model(args.out, language.TrainedModel(MODEL, run.params, facts))
    print(f"{test:.3f} bits per byte of the test chapters; written to {args.out}")


if __name__ == "__main__":
    main()
