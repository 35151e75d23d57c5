"""What holds for every test run: one thread, no progress bars, and three plugins."""

from __future__ import annotations

from tools.environment import prepare_environment

# Before NumPy is imported and before a notebook's kernel starts. The notebooks were
# stored under the same settings, so that nbval compares like with like.
prepare_environment()

pytest_plugins = ["tools.tolerance", "tools.busy", "tools.turns"]
