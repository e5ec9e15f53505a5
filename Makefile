# One folder, .venv, holds all that is installed; stamps in it make repeated runs quick.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SETUP  := pyproject.toml constraints.txt
YEAR   ?= 2027
# The suite runs in as many processes as there are cores; `make test JOBS=0` runs it in one, for a debugger.
JOBS   ?= auto
CHECKED := logistics actors eventstore tests docs

.PHONY: help demo test lint format bench soak clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up and run the main job: every change of UTC offset in YEAR=$(YEAR)"
	@echo "make test    set up, lint, check types, run all tests with coverage"
	@echo "make lint    ruff and mypy only"
	@echo "make bench   our side, the peers and the bare limit in one table (ARGS='--quick --only W1,W2')"
	@echo "make soak    ten minutes of constant load with compaction: what grows (ARGS='--minutes 2 --rate 1000')"
	@echo "make clean   remove .venv, build products and caches"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	    echo "logistics needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; \
	    echo "Install it, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "logistics needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name a newer one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments: install its venv module" \
	         "(python3-venv on Debian and Ubuntu)." >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.cli: $(BIN)/python $(SETUP)
	@$(PIP) --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(BIN)/python $(SETUP)
	@$(PIP) --editable '.[cli,test,lint]'
	@touch $@

$(VENV)/.bench: $(BIN)/python $(SETUP)
	@$(PIP) --editable '.[cli,bench]'
	@touch $@

demo: $(VENV)/.cli
	$(BIN)/logistics run docs/examples/dst_calendar.toml --param year=$(YEAR) --output build/dst_calendar

lint: $(VENV)/.test
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --maxprocesses=8 --dist=worksteal \
	    --cov --cov-report=term:skip-covered $(ARGS)

format: $(VENV)/.test
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

soak: $(VENV)/.cli
	$(BIN)/python -m tests.benchmarks.soak $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
