# `make book` writes the book to _build/html, `make test` proves it. Both need Python 3.11 and make, nothing else.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book pdf style types fast lint check test long fuzz notebooks chapter lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV ?= .venv
# One more than the cores of a small machine: tests of pages and of commands wait for other processes.
JOBS ?= 3

PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
BUILT := _build/html/.built

# No path, data folder or kernel of the user's own may stand in for what the lock installs,
# and one thread per process keeps sums, and so printed digits, the same on every machine.
unexport PYTHONPATH PYTHONHOME PSPS_DATA PSPS_BUILT
# LANG=C does no harm, since Python makes UTF-8 of it; LC_ALL=C does, where the path to this folder has other letters.
unexport LC_ALL
# The same holds for settings and typefaces of the user's own; and a HOME that nothing can be written to does as well.
STATE := $(abspath $(VENV))/state
export MPLCONFIGDIR := $(STATE)/matplotlib
export MPL_IGNORE_SYSTEM_FONTS := 1
export IPYTHONDIR := $(STATE)/ipython
export JUPYTER_CONFIG_DIR := $(STATE)/jupyter/config
export JUPYTER_DATA_DIR := $(STATE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(STATE)/jupyter/runtime
# Text is UTF-8 in any locale.
export PYTHONUTF8 := 1
# Each command of the tests starts from compiled modules.
unexport PYTHONDONTWRITEBYTECODE
export JUPYTER_PREFER_ENV_PATH := 1
export PYTHONHASHSEED := 0
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# What all chapters ask for is computed once for each state of data and code; each build begins without it.
book test: export PSPS_BUILD_CACHE := $(CURDIR)/_build/checked

# Folders are listed too: their time changes when a file is added or removed. "book/." is the folder, "book" the target.
SOURCES := $(shell find book/. data/. src/. \( -name '__pycache__' -o -name '*.egg-info' -o -name '.ipynb_checkpoints' \) -prune -o -print)

help:
	@echo 'make book       build the book into _build/html; each chapter is executed and compared with its stored output'
	@echo 'make pdf        print the whole book, and two pages for clinicians, into _build/html/pdf (needs Chromium)'
	@echo 'make check      style, spelling, imports between rooms, types and the fast tests; no book needed'
	@echo 'make test       make lint, compare every chapter with its stored output (nbval), build its pages and run every test'
	@echo 'make test FILE=tests/test_x.py   run one file, or book/NAME.ipynb, or several in quotes'
	@echo 'make long       the same kinds of test as in make test on many more cases (about 10 minutes)'
	@echo 'make fuzz       import random files for MINUTES (30), each compared with another reading of it'
	@echo 'make notebooks  execute the chapters in place; a second run changes no byte'
	@echo 'make chapter NAME=x              begin the chapter book/x.ipynb from a template'
	@echo 'make lock       resolve pyproject.toml into requirements.lock (needs uv)'
	@echo 'make clean      remove all that was built or installed here'

# Matplotlib lists its typefaces when it is first imported, and tells so on stderr, where a chapter must write nothing.
$(INSTALLED): pyproject.toml requirements.lock
	@if [ -z "$(PYTHON)" ]; then echo 'No Python found. Install Python 3.11, or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; v = "%d.%d" % sys.version_info[:2]; v == "3.11" or sys.exit(f"{sys.executable} is Python {v}; the lock is for Python 3.11. Name one: make PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(PY) -c 'import matplotlib.font_manager'
	touch $@

# --all and -W --keep-going: nothing stale is kept, and each warning (a missing reference, citation or glue) is an error.
# A stored output that is not what its chapter gives now is an error too, here as in `make test`.
$(BUILT): $(INSTALLED) $(SOURCES) _config.yml _toc.yml
	rm -rf _build
	$(VENV)/bin/jupyter-book build . --all -W --keep-going
	$(PY) -m psps_paper.site.executed _build/jupyter_execute/book book
	touch $@

book: $(BUILT)

# The front page links to the PDFs once they are there.
pdf: $(BUILT)
	$(PY) -m psps_paper.site.printing _build/html

# Settings of each tool stand in pyproject.toml.
style: $(INSTALLED)
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/codespell
	$(VENV)/bin/lint-imports --no-logo

types: $(INSTALLED)
	$(VENV)/bin/mypy

lint: style types

# Of the files that no mark sets apart, what needs neither the book nor Chromium
FAST ?= $(shell grep -L '^pytestmark' tests/test_*.py)
fast: $(INSTALLED)
	$(PY) -m pytest $(FAST) -m 'not slow and not built and not browser' -q -n 2 --dist loadscope

# Types and tests side by side: without a cache of mypy each takes about as long as the other.
check: style
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target types fast

# --complete: a skip without leave, or a test file from which nothing ran, is a failure.
ifdef FILE
test: $(INSTALLED)
	$(PY) -m pytest $(FILE) --nbval --nbval-current-env
else
# No chapter is executed twice: nbval executes it and compares what it gives with what is stored, and the pages under
# test are made of these outputs.
test: lint
	rm -rf _build && mkdir _build
	$(PY) -m pytest book --nbval --nbval-current-env -n $(JOBS) --dist loadscope -q
	sed 's/execute_notebooks: force/execute_notebooks: "off"/' _config.yml > _build/stored.yml
	$(VENV)/bin/jupyter-book build . --all -W --keep-going --config _build/stored.yml
	$(PY) -m pytest tests --complete -n $(JOBS) --dist loadscope --no-loadscope-reorder
endif

# PSPS_LONG gives the tests marked long their full number of cases.
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
