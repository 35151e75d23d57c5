"""Add what ``make book LIVE=1`` adds to a built site: see `tools.live`."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from deepopt_lib.book.tones import DARK
from deepopt_lib.core.files import write_bytes
from tools.live import marks, pages, project
from tools.live.runtime import Runtime
from tools.notebooks import ROOT, code_cells
from tools.serve import HTML

MB = 1e6
OWN = Path(__file__).parent
SCRIPTS = ("run.js", "show.js", "worker.js", "run.css")
FOLDER = "run"


def build(site: Path, runtime: Runtime, root: Path = ROOT) -> str:
    """Add to the site in place, and say what and how large it is.

    Raises
    ------
    ValueError
        If a page is missing, was built from another notebook, or has been changed.
    """
    python, code = runtime.contents(), project.library(root)
    data = project.read_later(root)
    files = {f"pyodide/{name}": content for name, content in python.items()}
    files |= {f"files/{name}": content for name, content in data.items()}
    files |= {name: (OWN / name).read_bytes() for name in SCRIPTS}
    files["library.zip"] = code
    files["files.json"] = json.dumps({k: len(v) for k, v in data.items()}).encode()
    loaded = megabytes(python) + len(code) / MB
    changed = {}
    for path in find_notebooks(root / "chapters"):
        page = pages.name_of(path, root / "chapters")
        html = page_of(site, page)
        why_not = pages.reason(page)
        if not why_not:
            cells = code_cells(path)
            html = marks.mark(html, cells, page)
            files[f"pages/{page}.json"] = marks.page_data(cells, DARK).encode()
        lines = marks.head_lines(page, why_not, f"{loaded:.0f}")
        changed[site / f"{page}.html"] = marks.with_head(html, page, lines)
    shutil.rmtree(site / FOLDER, ignore_errors=True)
    for name, content in files.items():
        file = site / FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for file, html in changed.items():
        write_bytes(str(file), html.encode())
    run = sum(name.startswith("pages/") for name in files)
    return (
        f"{run} of {len(changed)} pages run in the browser, which loads "
        f"{loaded:.1f} MB and, of {megabytes(data):.1f} MB of data, what a page reads"
    )


def find_notebooks(chapters: Path) -> list[Path]:
    """Return the notebooks below a folder, without copies that an editor keeps."""
    found = chapters.rglob("*.ipynb")
    return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)


def page_of(site: Path, page: str) -> str:
    """Return a built page that nothing has been added to."""
    file = site / f"{page}.html"
    if not file.is_file():
        raise ValueError(f"{page} is not built in {site}: make book")
    html = file.read_text("utf8")
    if 'name="run-page"' in html:
        raise ValueError(f"{page} has been changed already: make book")
    return html


def megabytes(files: dict[str, bytes]) -> float:
    """Return the size of some files in MB."""
    return sum(map(len, files.values())) / MB


def main() -> None:
    """Add to the site."""
    parser = argparse.ArgumentParser(description="Let the pages run in the browser.")
    parser.add_argument("--site", type=Path, default=HTML, help="the built site")
    args = parser.parse_args()
    print(build(args.site, Runtime()))


if __name__ == "__main__":
    main()
