"""Write goldens as JSON that reads well in a diff."""

import json
import re
from pathlib import Path
from typing import Any


def store(golden: dict[str, Any], name: str) -> None:
    """Write a file next to this one, each innermost list of numbers on one line."""
    text = re.sub(
        r"\[[^\[\]]*\]",
        lambda found: " ".join(found[0].split()),
        json.dumps(golden, indent=1),
    )
    path = Path(__file__).with_name(name)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
