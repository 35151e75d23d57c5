# DeepOpt: `make book` builds the site, `make test` checks everything. Both set up .venv first.

BIN := .venv/bin
export PYTHONPATH := .
export PYTHONDONTWRITEBYTECODE := 1

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env book html pdf epub course test check lint types library notebooks nbval foreign site execute report portable \
        trials model versions serve lab lighthouse screenshots bench reproduce mutate clean distclean

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

book: html ## build the site into _build/html (LIVE=1: its pages run in the browser; fetches Pyodide once)
	@$(if $(LIVE),$(BIN)/python -m tools.live)
	@echo "The book is at $(CURDIR)/_build/html/index.html (make serve: http://127.0.0.1:8000)"

# Always from a clean folder: a warm build forgets the warnings of the pages it keeps.
html: env
	@rm -rf _build/html _build/.doctrees _build/jupyter_execute
	@$(BIN)/jupyter-book build . -W -n --keep-going -q > _build.log 2>&1 \
	  && rm -f _build.log \
	  || { grep -E -A 4 'WARNING|ERROR|rror:' _build.log || cat _build.log; rm -f _build.log; \
	       echo "DeepOpt: the book was not built cleanly." >&2; exit 1; }

NO_BOOK := { echo "DeepOpt: there is no book yet, make book first." >&2; exit 1; }

pdf: env ## print the whole built book as _build/deepopt.pdf (make book first; needs Chromium)
	@test -d _build/html || $(NO_BOOK)
	@$(BIN)/python -m tools.pdf

epub: env ## bind the whole built book as _build/deepopt.epub (make book first)
	@test -d _build/html || $(NO_BOOK)
	@$(BIN)/python -m tools.epub

course: env ## make slides and notebooks for students in _build/course (make book first; fetches reveal.js once)
	@test -d _build/html || $(NO_BOOK)
	@$(BIN)/python -m tools.course

serve: env ## show the built site at http://127.0.0.1:8000 (PORT=8001: there)
	@test -d _build/html || $(NO_BOOK)
	@$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 $(or $(PORT),8000)

# Of a notebook that it does not trust JupyterLab shows no drawing before its cell is run.
lab: env ## open the notebooks in JupyterLab
	@$(BIN)/jupyter trust chapters/*.ipynb chapters/*/*.ipynb > /dev/null
	@$(BIN)/jupyter lab chapters --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

execute: env ## run all notebooks again and store their outputs (NB=path: only that one)
	@$(BIN)/python -m tools.execute $(NB)

report: env ## run all notebooks one by one, store times and versions (NB=path: only that one)
	@$(BIN)/python -m tools.report $(if $(JOBS),--jobs $(JOBS)) $(NB)

trials: env ## compute every comparison of the pages again (MODE=check: and compare with what is kept; NB=path)
	@DEEPOPT_TRIALS=$(or $(MODE),again) $(BIN)/python -m tools.execute $(NB)

# ── the checks ──

PYTEST := $(BIN)/python -m pytest -q
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

# All of them, whatever fails, each with a line at the end. What is joined by + runs side by side.
SYNC := $(if $(filter output-sync,$(.FEATURES)),-O)
define in_turn
@rm -rf .cache/checks .cache/unconfirmed.txt && mkdir -p .cache/checks; \
for group in $(1); do \
  $(MAKE) --no-print-directory -o env -j 2 $(SYNC) $$(printf ' timed-%s' $${group//+/ }); \
done; \
echo "──"; if [ -s .cache/unconfirmed.txt ]; then \
  echo "$$(wc -l < .cache/unconfirmed.txt) timing claims not confirmed: the machine is busy"; \
  cat .cache/unconfirmed.txt; echo "──"; fi; \
cd .cache/checks && cat $(subst +, ,$(1)) && ! grep -q FAILED *
endef

timed-%:
	@echo "── $*"; SECONDS=0; word=passed; $(MAKE) --no-print-directory -o env $* || word=FAILED; \
	printf '%s %5d s  %s\n' $$word $$SECONDS $* > .cache/checks/$*

test: env ## run every check
	$(call in_turn,html+lint+types+notebooks library nbval+foreign site)

check: env ## run the fast half: lint, types, library tests, notebook rules
	$(call in_turn,lint+types+notebooks library)

lint: env
	@status=0; $(BIN)/ruff check -q || status=1; $(BIN)/ruff format --check -q || status=1; exit $$status

types: env
	@$(BIN)/mypy

library: env
	@$(PYTEST) tests/library tests/reproductions tests/extension tests/tools -n 2

notebooks: env
	@$(PYTEST) tests/notebooks

# The longest first; a cell that times something has the machine for itself (tools/turns.py).
nbval: env
	@$(PYTEST) --nbval $$($(BIN)/python -m tools.notebooks) $(BESIDE)

# The pages of principles on a processor that is not here: kernels and loops for SSE.
foreign: env
	@if variables=$$($(BIN)/python -m tools.portable.foreign); then \
	  env $$variables $(PYTEST) --nbval chapters/principles $(BESIDE:2=1); \
	else echo "skipped: $$variables"; fi

site: env
	@$(PYTEST) tests/site -n 2 --dist loadgroup

lighthouse: env ## measure ten pages of the built site with Lighthouse
	@$(BIN)/python -m tools.lighthouse

screenshots: env ## photograph the built site (PAGES="chapters/background": only these)
	@$(BIN)/python -m tools.screenshots $(PAGES)

portable: env ## run the notebooks in every arithmetic at hand, store what moved (NB=path VARIANT=name)
	@$(BIN)/python -m tools.portable $(NB) $(if $(VARIANT),--variant "$(VARIANT)")

# What the library and its tests import, and no more: the newest releases, or the oldest allowed.
NEEDED := -e '.[fast,parallel]' hypothesis ipython markdown-it-py matplotlib nbval pytest pytest-xdist threadpoolctl

versions: ## test the library with the oldest and the newest NumPy and SciPy (AGE=oldest: only these)
	@status=0; for age in $(or $(AGE),oldest newest); do \
	  "$(PYTHON)" -m venv --clear .cache/$$age && .cache/$$age/bin/python -m pip install -q --disable-pip-version-check \
	    $$([ $$age = newest ] || echo -c constraints-oldest.txt) $(NEEDED) \
	  && .cache/$$age/bin/python -m pytest -q tests/library -n 2 || status=1; \
	done; exit $$status

bench: env ## time the library beside PyTorch, optax and SciPy (ten minutes, one core)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fast,peers]'
	@$(BIN)/python -m benchmarks

model: env ## train the book's language model again, from the last checkpoint (half an hour; OUT=file)
	@$(BIN)/python -m tools.model $(if $(OUT),--out "$(OUT)")

reproduce: env ## run the papers' own experiments that are not done yet (RUN="pruning adam" JOBS=2)
	@$(BIN)/python -m reproductions $(RUN) --jobs $(or $(JOBS),2) $(if $(OUT),--out "$(OUT)")

mutate: env ## change the library one place at a time: a test must fail (MUTATE=path SAMPLE=0.1)
	@$(BIN)/python -m tools.mutate $(if $(SAMPLE),--sample $(SAMPLE)) $(MUTATE)

clean: ## remove what was built and cached, keep .venv
	rm -rf _build .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv
