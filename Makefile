# Herald's commands. `make` alone lists them.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := libs/contracts libs/messaging lab/devstack lab/chaos services/users-api services/notifier services/auditor lab/benchmarks
STAMP := .venv/.installed
PEERS := .venv-bench/.installed
SHARED := dramatiq|email-validator|fastapi|httptools|psycopg|psycopg-binary|psycopg-pool|pydantic|pydantic-core|redis|starlette|uvicorn|uvloop

.DEFAULT_GOAL := help
.PHONY: help install run demo test check contracts contracts-check chaos chaos-guards soak bench lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with everything in it

$(STAMP): requirements.lock $(PACKAGES:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Herald needs Python 3.11 or newer; $(PYTHON) is older. Name another: make install PYTHON=python3.12"; exit 1; }
	@echo "Making .venv (a minute, once) ..."
	@$(PYTHON) -m venv --clear .venv || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $(STAMP)

run: $(STAMP) ## Start everything: PostgreSQL, Redis, a mailbox, the API, relay and consumers (PORT=)
	@exec $(BIN)/devstack run

demo: $(STAMP) ## Watch Herald for 90 s while its mail server, a worker and Redis fail: nothing is lost (PORT= SECONDS=)
	@exec $(BIN)/devstack demo $(SECONDS:%=--seconds %)

test: TESTERS ?= 4
test: check contracts-check ## Run every check and test; many tests wait, so four processes suit two cores (TESTERS=)
	@$(BIN)/pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder

chaos: $(STAMP) ## Inject each fault into a running Herald and count what is lost (FAULT="7 13" SEED= REGISTRATIONS=)
	@$(BIN)/herald-chaos $(FAULT:%=--fault %) $(SEED:%=--seed %) $(REGISTRATIONS:%=--registrations %)

chaos-guards: $(STAMP) ## Switch off each guard in turn: the ledger must turn red (GUARD= SEED= REGISTRATIONS=)
	@$(BIN)/herald-chaos guards $(GUARD:%=--guard %) $(SEED:%=--seed %) $(REGISTRATIONS:%=--registrations %)

soak: MINUTES ?= 10
soak: $(STAMP) ## Ten minutes of load and random faults: does anything grow? (MINUTES= SEED=)
	@$(BIN)/herald-chaos soak --minutes $(MINUTES) $(SEED:%=--seed %)

bench: $(STAMP) $(PEERS) ## Measure Herald and its peers doing the same work (ONLY=herald,rq ROUNDS= REGISTRATIONS=)
ifneq ($(ONLY)$(ROUNDS)$(REGISTRATIONS),)
	@$(BIN)/herald-bench $(ONLY:%=--only %) $(ROUNDS:%=--rounds %) $(REGISTRATIONS:%=--registrations %)
else
	@$(BIN)/herald-bench; status=$$?; $(BIN)/herald-bench report --json var/bench.json; exit $$status
endif

$(PEERS): lab/benchmarks/requirements.lock
	@echo "Making .venv-bench for Herald's peers (a minute, once) ..."
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r lab/benchmarks/requirements.lock
	@touch $(PEERS)

check: $(STAMP) ## Check lint, format, types and imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

contracts: $(STAMP) ## Publish the contracts: JSON Schemas, AsyncAPI, OpenAPI, pacts, docs/events.md
	@$(BIN)/contracts generate libs/contracts --events docs/events.md
	@made="$$($(BIN)/users-api openapi)" && printf '%s\n' "$$made" > services/users-api/openapi.json
	@$(BIN)/python -m tests.contract.pact_files

contracts-check: $(STAMP) ## Compare the contracts with all that is published: would a deploy break something?
	@$(BIN)/contracts check libs/contracts

lock: ## Pin every dependency, with hashes (UPGRADE=1: the newest of each)
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-package herald-contracts --no-emit-package herald-messaging \
	  --group pyproject.toml:dev pyproject.toml $(PACKAGES:=/pyproject.toml) $(UPGRADE:%=--upgrade) --output-file requirements.lock
	@grep -E '^($(SHARED))==' requirements.lock | sed -E 's/ *\\$$//' > .venv-lock/shared.txt
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --constraints .venv-lock/shared.txt --override lab/benchmarks/overrides.txt $(UPGRADE:%=--upgrade) \
	  lab/benchmarks/requirements.in --output-file lab/benchmarks/requirements.lock
	@rm -rf .venv-lock

clean: ## Remove .venv and all local data
	rm -rf .venv .venv-bench var preview bin
