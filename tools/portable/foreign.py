"""Print the environment of the variant that the tests add to this machine's own.

python -m tools.portable.foreign  prints NAME=value, ready for env; or why it cannot run
"""

from __future__ import annotations

import sys

from tools.portable.variants import FEATURES, FOREIGN, KERNELS, VARIANTS, loops, why_not


def main() -> int:
    """Print, and return 1 when this machine cannot run it."""
    (variant,) = (each for each in VARIANTS if each.name == FOREIGN)
    if reason := why_not(variant, loops()):
        print(f'variant "{FOREIGN}" cannot run here: {reason}')
        return 1
    env = variant.environment(loops())
    print(*(f"{name}={env[name]}" for name in (KERNELS, FEATURES)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
