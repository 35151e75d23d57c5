"""The papers' own experiments, at the papers' own scale: ``make reproduce``.

Each module that defines `PIECES` is one experiment:

- ``PAPER``: the paper's numbers; ``SEEDS``; ``PIECES``: what can be run by itself under
  each seed, ``()`` if that is one thing;
- ``run(piece, seed, report)`` does a piece and returns plain values: counts, bytes, and
  for every network what `common.score` makes of its logits on the test images;
  ``report(fraction)`` moves a bar;
- ``tune(report)``, if anything was tuned: what was tried, on validation images and with
  seeds from 100 on. What it chose stands in the module as a constant;
- ``claims(runs)``: what the paper claims, and whether the runs say so.

`runner` does what is not done yet, and `store` keeps it in ``<name>.json``, together
with a hash of the code that has made it.
"""
