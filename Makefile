# One command each. Every target sets up what it needs; nothing to do costs nothing. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install chat test lint format types check bench soak clean
MAKEFLAGS += --no-print-directory

EXTRAS ?= worker
ARGS ?=
PY := .venv/bin/python
# A file of tests stays together, and in the order of the folders: the long stories begin first, so none is left for the end.
# One process more than there are cores: stories wait for servers of their own a third of the time.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
SIDE_BY_SIDE := -n $(shell expr $(CORES) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help: ## this list
	@echo 'make TARGET [ARGS="..."] [TORCH=auto|cpu|cuda] [PYTHON=python3.12]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile

install: ## make .venv and install what EXTRAS names (worker; discord,telegram,slack,worker,dev)
	@scripts/install $(EXTRAS)

chat: ## talk to a persona in this terminal; ARGS="--persona NAME --plain"
	@scripts/install worker
	@exec .venv/bin/limen chat $(ARGS)

test: ## run the tests, up to four files at once; ARGS="-k queue -x", ARGS="-n 0" one by one
	@scripts/install dev,worker
	@$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: ## ruff: faults and formatting
	@scripts/install dev,worker
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: ## ruff: mend what can be mended
	@scripts/install dev,worker
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: ## mypy, strict
	@scripts/install dev,worker
	@$(PY) -m mypy

check: ## lint, types and test, in this order: before every push, and what CI runs
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) test

bench: ## run the benchmarks; each prints one JSON object last
	@scripts/install dev,worker
	@for name in startup queue events adapters markdown engine; do $(PY) -m "bench.$$name" || exit 1; done

soak: ## a worker under load, LoRAs changing in between; ARGS="--minutes 10"
	@scripts/install dev,worker
	@$(PY) -m bench.soak $(ARGS)

clean: ## take away .venv and the caches; people's data stays
	rm -rf .venv .venv.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
