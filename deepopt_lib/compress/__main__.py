"""The command ``python -m deepopt_lib.compress``."""

from deepopt_lib.compress.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
