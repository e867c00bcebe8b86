# Everything one does here, from a bare python3 with pip. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
# Images for containers like to set it; then each process compiles all it imports, and there are hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup
# Only root can make users and cgroups, so only root can run every test there is.
EVERYTHING := $(shell [ "$$(id -u)" -eq 0 ] && echo --nothing-skipped)

.PHONY: help demo up test test-all quick check format fuzz bench bench-peers soak proxies peers reference lock runtime dev bubblewrap chromium identity clients chaos clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

runtime:
	@tools/environment runtime

dev:
	@tools/environment dev

bubblewrap:
	@tools/environment bubblewrap

chromium:
	@tools/environment chromium

identity:
	@tools/environment identity

clients:
	@tools/environment clients

demo: bubblewrap runtime ## Watch an agent work: answer, run code, ask before harm, survive a kill
	@$(BIN)/freehold demo

up: bubblewrap runtime ## Start the platform on the data folder
	@$(BIN)/freehold up

quick: check bubblewrap ## For every commit, under 3 minutes: check, and the suites that start no platform
	$(PYTEST) -q -m "not long" tests/unit tests/rules tests/property tests/contract

test: bubblewrap chromium identity clients dev ## Some minutes (5 is the goal): every suite without its long tests
	$(PYTEST) -q -m "not long" tests

test-all: bubblewrap chromium identity clients dev ## Under 45 minutes: every test there is
	$(PYTEST) $(EVERYTHING) tests

check: dev ## Lint, format, types, import contracts, dependencies, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .
	$(BIN)/codespell

format: dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

fuzz: bubblewrap dev ## As long as you like: send the API more of everything (FUZZ=500 of each)
	FUZZ=$${FUZZ:-500} $(PYTEST) tests/security/test_api_robustness.py

chaos: dev ## About ten minutes: kill the gateway under load more often (KILLS=200)
	KILLS=$${KILLS:-200} $(PYTEST) tests/chaos/test_calls_killed.py

proxies:
	@tools/environment proxies

peers:
	@tools/environment peers

bench: bubblewrap dev proxies ## Measure, and write docs/reference/benchmarks.md and build/bench.json
	$(BIN)/python -m tests.bench.run

bench-peers: bubblewrap dev proxies peers ## The same, beside LiteLLM's proxy too (half a gigabyte more)
	$(BIN)/python -m tests.bench.run --peers

soak: dev ## About an hour: a million model calls and 100,000 broken streams; what it did is kept, and gone on from
	$(BIN)/python -m tests.bench.soak

reference: dev ## Write the pages of the reference that the code knows
	@$(BIN)/python -m tools.reference

lock: dev ## Renew the hashed requirement files (UPGRADE=--upgrade for the newest versions)
	$(BIN)/python -m pip install --quiet uv
	@for set in runtime dev; do \
	    extras=$$([ $$set = dev ] && echo "--all-extras --group dev --constraint requirements/runtime.txt" || true); \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	        --no-header --no-emit-index-url --no-emit-find-links $(UPGRADE) --group build $$extras \
	        pyproject.toml -o requirements/$$set.txt; \
	done
	@for set in clients clients-litellm mcp; do \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	        --no-emit-index-url --no-emit-find-links $(UPGRADE) requirements/$$set.in -o requirements/$$set.txt; \
	done

clean: ## Remove what was built here, the environment too
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
