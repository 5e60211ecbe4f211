# Backbridge: `make run` starts it, `make test` tests it; everything else is below.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
T ?= tests

.DEFAULT_GOAL := help
.PHONY: help setup run test lint fix docs bench lock clean

help: ## Show what there is to do
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make the virtual environment with the `backbridge` command

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	@echo "Setting up $(VENV): about a minute, once ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Backbridge needs Python 3.11 or newer; set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "  installing the locked packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@echo "  installing the backbridge command ..."
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "  ready."

run: setup ## Start the gateway with a demonstration clinic on http://127.0.0.1:$(PORT)
	@$(BIN)/backbridge serve --demo --port $(PORT)

test: setup ## Run the tests (T=tests/store for a part)
	@$(BIN)/python -m pytest $(T)

lint: setup ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

fix: setup ## Put right what the linter can put right
	@$(BIN)/ruff check --fix .

docs: setup ## Write the generated parts of the documentation anew
	@$(BIN)/python -m gateway.documentation

bench: setup ## Measure, against floors in the same run
	@$(BIN)/backbridge bench

lock: setup ## Resolve the dependencies anew into the hash-locked requirements
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.txt

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
