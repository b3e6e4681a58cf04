# Every target sets up what it needs in .venv, from a clean clone on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow check bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/core  ## install, run the main job once on the embedded model, say where the pictures are
	$(BIN)/genir quickstart

test: $(VENV)/dev  ## the test suite (minutes, CPU, offline)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

test-slow: $(VENV)/dev  ## the long tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

check: $(VENV)/dev  ## lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/dev  ## the benchmarks, quickly
	for file in tests/bench/*.py; do $(BIN)/python $$file --quick || exit 1; done

clean:  ## remove the virtual environment
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "genir needs Python 3.11 or newer; name one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: pyproject.toml | $(BIN)/python
	@echo "installing genir and PyTorch into $(VENV), a few minutes and gigabytes the first time"
	$(PIP) -e .
	@touch $@

$(VENV)/dev: pyproject.toml | $(BIN)/python
	@echo "installing genir, PyTorch and the development tools into $(VENV)"
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/core
