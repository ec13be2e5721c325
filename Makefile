# Lead Sync. `make help` lists the targets. Needs Python 3.11 or newer and make, nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# `make PYTHON=… setup` makes the environment from that Python
PYTHON ?= $(or $(shell python3 scripts/choose_python.py),python3)
VENV := .venv
RUN := $(VENV)/bin/python
# One for each processor that CI has; tests/processors.py
PYTEST_WORKERS ?= 2

export LEADSYNC_HOME ?= $(CURDIR)/.leadsync
# Byte code is wanted: without it every Airflow command takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev demo test soak pictures lint format up bench lock audit clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the pinned dependencies into .venv (does nothing the second time)
	@$(PYTHON) scripts/setup_environment.py runtime

setup-dev: ## the same, with the tools for tests and linting
	@$(PYTHON) scripts/setup_environment.py dev
	@$(PYTHON) scripts/setup_browser.py

demo: setup ## play the story: Airflow, both systems, every rule; checks the outcome
	@$(RUN) -m scripts.demo

up: setup ## Airflow and the sandbox in the foreground; Ctrl-C stops both
	@$(RUN) -m scripts.up

test: setup-dev ## the whole test suite
	@$(RUN) -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

soak: setup-dev ## the proofs in their long form, with fresh seeds: SOAK_ARGS="--minutes 60 --seed 1"
	@$(RUN) -m scripts.soak $(SOAK_ARGS)

pictures: setup-dev ## take the pictures of docs/images anew, in the course of the browser tests
	@PICTURES=$(CURDIR)/docs/images $(RUN) -m pytest -q tests/local_airflow/test_console_in_a_browser.py

lint: setup-dev ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

format: setup-dev ## apply ruff's safe fixes
	@$(VENV)/bin/ruff check --fix .

bench: setup ## the benchmarks; prints a table and writes bench-results.json
	@$(RUN) -m scripts.bench

lock: setup ## resolve requirements/*.lock afresh within the bounds of requirements.txt
	@$(RUN) -m scripts.lock $(LOCK_ARGS)

audit: setup ## compare the pins with a copy of pypa/advisory-database: DATABASE=path
	@$(RUN) -m scripts.audit $(DATABASE)

clean: ## remove the environment, run-time data and caches
	rm -rf $(VENV) .leadsync .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
