# `make book` writes the book to _build/html, `make test` tests it. Both need Python 3.11 and make, nothing else.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book pdf style types fast lint check test long fuzz notebooks chapter lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV ?= .venv
# One more than the cores of a small machine, since tests of pages and commands wait for other processes.
JOBS ?= 3

PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
BUILT := _build/html/.built

# No path, data folder or kernel of the user may replace what the lock installs,
# and one thread per process keeps sums, and therefore printed digits, the same on every machine.
unexport PYTHONPATH PYTHONHOME PSPS_DATA
# LANG=C is harmless, since Python turns it into UTF-8; LC_ALL=C is not, if the path to this folder has non-ASCII letters.
unexport LC_ALL
# Nor may the user's settings and typefaces have an effect, and a read-only HOME must do.
STATE := $(abspath $(VENV))/state
export MPLCONFIGDIR := $(STATE)/matplotlib
export MPL_IGNORE_SYSTEM_FONTS := 1
export IPYTHONDIR := $(STATE)/ipython
export JUPYTER_CONFIG_DIR := $(STATE)/jupyter/config
export JUPYTER_DATA_DIR := $(STATE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(STATE)/jupyter/runtime
# Text is UTF-8 in any locale.
export PYTHONUTF8 := 1
# Commands that tests run start faster from compiled modules.
unexport PYTHONDONTWRITEBYTECODE
export JUPYTER_PREFER_ENV_PATH := 1
export PYTHONHASHSEED := 0
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# Results that several chapters need are computed once for each state of data and code; each build starts afresh.
book test: export PSPS_BUILD_CACHE := $(CURDIR)/_build/checked

# Folders are included, since their time changes when a file is added or removed. "book/." is the folder, "book" the target.
SOURCES := $(shell find book/. data/. src/. \( -name '__pycache__' -o -name '*.egg-info' -o -name '.ipynb_checkpoints' \) -prune -o -print)

help:
	@echo 'make book       build the book into _build/html; each chapter is executed and compared with its stored output'
	@echo 'make pdf        print the whole book, and a two-page summary for clinicians, into _build/html/pdf (needs Chromium)'
	@echo 'make check      check style, spelling, imports between rooms and types, and run the fast tests; no book needed'
	@echo 'make test       make lint, compare every chapter with its stored output (nbval), build the pages and run every test'
	@echo 'make test FILE=tests/test_x.py   run one file, or book/NAME.ipynb, or several in quotes'
	@echo 'make long       run some tests of make test on many more cases (about 10 minutes)'
	@echo 'make fuzz       import random files for MINUTES (30), and compare each with an independent reading'
	@echo 'make notebooks  execute the chapters in place; a second run changes no byte'
	@echo 'make chapter NAME=x              begin the chapter book/x.ipynb from a template'
	@echo 'make lock       resolve pyproject.toml into requirements.lock (needs uv)'
	@echo 'make clean      remove everything built or installed here'

# pip would compile all 11,000 modules of the lock, of which most are never imported. What every chapter and every build
# imports is compiled here, by one process, before several need it. Matplotlib lists its typefaces when it is first
# imported, and says so on stderr, where a chapter must write nothing.
IMPORTED := matplotlib.font_manager, ipykernel.kernelapp, jupyter_book.cli.main, myst_nb, sphinx.application, \
  pytest, hypothesis, psps_paper.book.display, psps_paper.living.chapters
$(INSTALLED): pyproject.toml requirements.lock
	@if [ -z "$(PYTHON)" ]; then echo 'No Python found. Install Python 3.11, or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; v = "%d.%d" % sys.version_info[:2]; v == "3.11" or sys.exit(f"{sys.executable} is Python {v}; the lock is for Python 3.11. Name one: make PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --no-compile --disable-pip-version-check --requirement requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(PY) -c 'import $(IMPORTED)'
	touch $@

# --all and -W --keep-going: nothing stale is kept, and every warning (a missing reference, citation or glue) is an error.
# An outdated stored output is an error too, here as in `make test`.
$(BUILT): $(INSTALLED) $(SOURCES) _config.yml _toc.yml
	rm -rf _build
	$(VENV)/bin/jupyter-book build . --all -W --keep-going
	$(PY) -m psps_paper.site.executed _build/jupyter_execute/book book
	touch $@

book: $(BUILT)

# The front page links to the PDFs once they exist.
pdf: $(BUILT)
	$(PY) -m psps_paper.site.printing _build/html

# The settings of each tool are in pyproject.toml.
style: $(INSTALLED)
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/codespell
	$(VENV)/bin/lint-imports --no-logo

types: $(INSTALLED)
	$(VENV)/bin/mypy

lint: style types

# Tests in files without a module-wide mark that need neither the book nor Chromium
FAST ?= $(shell grep -L '^pytestmark' tests/test_*.py)
fast: $(INSTALLED)
	$(PY) -m pytest $(FAST) -m 'not slow and not built and not browser' -q -n 2 --dist loadscope

# Types and tests run side by side: without a mypy cache they take about equally long.
check: style
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target types fast

# --complete: an unexpected skip, or a test file from which nothing ran, is a failure.
ifdef FILE
test: $(INSTALLED)
	$(PY) -m pytest $(FILE) --nbval --nbval-current-env
else
# No chapter is executed twice: nbval executes it and compares the outputs with the stored ones, from which the pages
# under test are then built.
test: lint
	rm -rf _build && mkdir _build
	$(PY) -m pytest book --nbval --nbval-current-env -n $(JOBS) --dist loadscope -q
	sed 's/execute_notebooks: force/execute_notebooks: "off"/' _config.yml > _build/stored.yml
	$(VENV)/bin/jupyter-book build . --all -W --keep-going --config _build/stored.yml
	$(PY) -m pytest tests --complete -n $(JOBS) --dist loadscope --no-loadscope-reorder
endif

# PSPS_LONG makes the tests marked long run their full number of cases.
long: $(INSTALLED)
	PSPS_LONG=1 $(PY) -m pytest tests -m long -n $(JOBS) --dist load

MINUTES := 30
fuzz: $(INSTALLED)
	$(PY) tests/fuzz/test_fuzz_import.py --minutes $(MINUTES)

notebooks: $(INSTALLED)
	$(PY) -m psps_paper.site.notebooks book --jobs $(JOBS)

chapter: $(INSTALLED)
	@if [ -z "$(NAME)" ]; then echo 'Name the chapter: make chapter NAME=harms_by_age' >&2; exit 1; fi
	$(PY) -m psps_paper.site.new_chapter "$(NAME)"

lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	uv lock
	uv export --quiet --all-extras --no-hashes --no-emit-project --output-file requirements.lock
	sed -i.bak "s/ ; python_full_version < '3.12'$$//; s/python_full_version < '3.12' and //" requirements.lock && rm requirements.lock.bak

clean:
	rm -rf _build $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name '__pycache__' -prune -exec rm -rf {} +
