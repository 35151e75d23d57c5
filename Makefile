# DeepOpt: `make book` builds the site, `make test` checks everything. Both set up .venv first.

PYTHON ?= $(shell command -v python3 || command -v python || echo python3)
BIN := .venv/bin
export PYTHONPATH := .
export PYTHONDONTWRITEBYTECODE := 1

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env book html test check lint types library notebooks site execute report serve lab \
        lighthouse screenshots bench clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

env: ## create or update .venv from constraints.txt (every target does)
	@command -v $(PYTHON) > /dev/null || { \
	  echo "DeepOpt: Python 3.11, 3.12 or 3.13 is needed, and none was found." >&2; exit 1; }
	@$(PYTHON) tools/setup_env.py

book: html ## build the site into _build/html
	@echo "The book is at $(CURDIR)/_build/html/index.html (make serve: http://127.0.0.1:8000)"

# Always from a clean folder: a warm build forgets the warnings of the pages it keeps.
html: env
	@rm -rf _build/html _build/.doctrees _build/jupyter_execute
	@$(BIN)/jupyter-book build . -W -n --keep-going -q > _build.log 2>&1 \
	  && rm -f _build.log \
	  || { grep -E -A 4 'WARNING|ERROR|rror:' _build.log || cat _build.log; rm -f _build.log; \
	       echo "DeepOpt: the book was not built cleanly." >&2; exit 1; }

test: env ## run every check
	@$(BIN)/python tools/check.py lint types library notebooks nbval html site

check: env ## run the fast half: lint, types, library tests, notebook rules
	@$(BIN)/python tools/check.py lint types library notebooks

execute: env ## run all notebooks again and store their outputs (NB=path: only that one)
	@$(BIN)/python tools/execute.py $(NB)

report: env ## run all notebooks one by one, store times and versions (NB=path: only that one)
	@$(BIN)/python -m tools.report $(if $(JOBS),--jobs $(JOBS)) $(NB)

serve: env ## show the built site at http://127.0.0.1:8000
	@$(BIN)/python tools/serve.py

lab: env ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab chapters --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

lighthouse: env ## measure three pages of the built site with Lighthouse
	@$(BIN)/python tools/lighthouse.py

screenshots: env ## photograph the built site (PAGES="chapters/background": only these)
	@$(BIN)/python tools/screenshots.py $(PAGES)

bench: env ## time the library beside PyTorch, optax and SciPy (ten minutes, one core)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fast,peers]'
	@$(BIN)/python -m benchmarks

clean: ## remove what was built and cached, keep .venv
	rm -rf _build .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv
