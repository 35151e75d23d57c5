"""Let the tests import the extension as Sphinx does: from the folder ``_ext``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "_ext"))
