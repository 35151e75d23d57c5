"""The command ``python -m deepopt_lib.parallel``."""

from deepopt_lib.parallel.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
