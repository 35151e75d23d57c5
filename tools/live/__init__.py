"""Run it in the browser: what ``make book LIVE=1`` adds to the built site.

    python -m tools.live            _build/html, in place

Pyodide, the library and the data go into one folder, which the site serves itself
(`runtime`, `project`); a page that can run gets two lines in its head, and marks at the
code and the outputs of its cells (`pages`, `marks`). In the browser ``run.js`` puts a
button on the page, ``worker.js`` starts Python beside it, and there ``session.py`` runs
the cells. The usual build has nothing of this.
"""
