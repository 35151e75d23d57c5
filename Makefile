# DeepOpt: `make book` builds the site, `make test` checks everything. Both set up .venv first.

BIN := .venv/bin
export PYTHONPATH := .
export PYTHONDONTWRITEBYTECODE := 1

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env book html test check lint types library notebooks nbval site execute report serve lab \
        lighthouse screenshots bench mutate clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# ── the environment ──

FITS := 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(shell \
  $(name) -c $(FITS) 2> /dev/null && echo $(name))))
NO_PYTHON := DeepOpt: Python 3.11, 3.12 or 3.13 with its module venv is needed (on Debian and Ubuntu: sudo \
  apt install python3-venv). If it is here under another name: make PYTHON=/path/to/python3.12
SETUP_LOG := .cache/setup.log
PIP := env -u PYTHONPATH -u PYTHONHOME PIP_USER=0 PIP_NO_INPUT=1 \
  $(BIN)/python -m pip install --disable-pip-version-check --retries 2

# Scripts in .venv name the folder: one that was moved or copied, or has lost its Python, starts afresh.
ifneq ($(shell $(BIN)/python -c '' 2> /dev/null && head -n 1 .venv/complete 2> /dev/null),$(CURDIR))
.PHONY: .venv/complete
AFRESH := yes
endif

# Two makes at once: the second waits, looks again, and finds nothing left to do.
env: ## create or update .venv from constraints.txt (every target does)
	@mkdir -p .cache
	@$(if $(shell command -v flock),flock .cache/setup.lock) $(MAKE) --silent .venv/complete

.venv/complete: constraints.txt pyproject.toml
	@$(if $(AFRESH),"$(PYTHON)" -c $(FITS) 2> /dev/null || { echo "$(NO_PYTHON)" >&2; exit 1; })
	@echo "Setting up .venv from constraints.txt (a minute or two, once) ..."
	@{ $(if $(AFRESH),rm -f $@ && "$(PYTHON)" -m venv --clear .venv &&) $(PIP) -r constraints.txt \
	  && $(PIP) --no-deps --no-build-isolation -e .; } > $(SETUP_LOG) 2>&1 \
	  || { tail -n 3 $(SETUP_LOG) >&2; echo "DeepOpt: .venv is not complete: see $(SETUP_LOG)," \
	       "then run make again." >&2; exit 1; }
	@echo "$(CURDIR)" > $@

# ── the book ──

book: html ## build the site into _build/html
	@echo "The book is at $(CURDIR)/_build/html/index.html (make serve: http://127.0.0.1:8000)"

# Always from a clean folder: a warm build forgets the warnings of the pages it keeps.
html: env
	@rm -rf _build/html _build/.doctrees _build/jupyter_execute
	@$(BIN)/jupyter-book build . -W -n --keep-going -q > _build.log 2>&1 \
	  && rm -f _build.log \
	  || { grep -E -A 4 'WARNING|ERROR|rror:' _build.log || cat _build.log; rm -f _build.log; \
	       echo "DeepOpt: the book was not built cleanly." >&2; exit 1; }

serve: env ## show the built site at http://127.0.0.1:8000 (PORT=8001: there)
	@test -d _build/html || { echo "DeepOpt: there is no book yet, make book first." >&2; exit 1; }
	@$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 $(or $(PORT),8000)

lab: env ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab chapters --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

execute: env ## run all notebooks again and store their outputs (NB=path: only that one)
	@$(BIN)/python -m tools.execute $(NB)

report: env ## run all notebooks one by one, store times and versions (NB=path: only that one)
	@$(BIN)/python -m tools.report $(if $(JOBS),--jobs $(JOBS)) $(NB)

# ── the checks ──

PYTEST := $(BIN)/python -m pytest -q

# All of them, whatever fails, each with a line at the end.
define in_turn
@status=0; summary=; for check in $(1); do \
  echo "── $$check"; SECONDS=0; word=passed; \
  $(MAKE) --no-print-directory -o env $$check || { word=FAILED; status=1; }; \
  summary+=$$(printf '%s %5d s  %s' $$word $$SECONDS $$check)$$'\n'; \
done; echo "──"; printf '%s' "$$summary"; exit $$status
endef

test: env ## run every check
	$(call in_turn,lint types library notebooks nbval html site)

check: env ## run the fast half: lint, types, library tests, notebook rules
	$(call in_turn,lint types library notebooks)

lint: env
	@status=0; $(BIN)/ruff check -q || status=1; $(BIN)/ruff format --check -q || status=1; exit $$status

types: env
	@$(BIN)/mypy

library: env
	@$(PYTEST) tests/library tests/extension tests/tools -n 2

notebooks: env
	@$(PYTEST) tests/notebooks

# Nothing runs beside a notebook that times something.
nbval: env
	@status=0; \
	names=$$($(BIN)/python -m tools.notebooks) && $(PYTEST) --nbval $$names -n 2 --dist loadfile || status=1; \
	names=$$($(BIN)/python -m tools.notebooks --alone) && $(PYTEST) --nbval $$names || status=1; \
	exit $$status

site: env
	@$(PYTEST) tests/site -n 2 --dist loadgroup

lighthouse: env ## measure three pages of the built site with Lighthouse
	@$(BIN)/python -m tools.lighthouse

screenshots: env ## photograph the built site (PAGES="chapters/background": only these)
	@$(BIN)/python -m tools.screenshots $(PAGES)

bench: env ## time the library beside PyTorch, optax and SciPy (ten minutes, one core)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fast,peers]'
	@$(BIN)/python -m benchmarks

mutate: env ## change the library one place at a time: a test must fail (MUTATE=path SAMPLE=0.1)
	@$(BIN)/python -m tools.mutate $(if $(SAMPLE),--sample $(SAMPLE)) $(MUTATE)

clean: ## remove what was built and cached, keep .venv
	rm -rf _build .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv
