# dualchain: every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Processes are started by the hundred: without its cache each of them compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
INPUT ?=
KEEP ?=
ARGS ?=
SEEDS ?= 200
FIRST ?= 0

.PHONY: help demo test check sim sim-border sim-mutants bench fuzz endurance protos clean .venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

.venv: ## the Python environment (PYTHON=... chooses the interpreter)
	@scripts/venv.sh $(PYTHON)

demo: .venv ## the network of real processes with its story (INPUT=dir, KEEP=1)
	@$(BIN)/dualchain demo run --replace $(if $(INPUT),--input "$(INPUT)") $(if $(filter-out 0,$(KEEP)),--keep)

test: .venv ## all tests, in two processes (ARGS="-k name" chooses some; ARGS="-n 0" runs them in one)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

check: .venv ## ruff, mypy --strict, import-linter
	@failed=; for tool in "ruff check ." "ruff format --check ." mypy "lint-imports --no-cache"; do \
		echo "== $$tool"; $(BIN)/$$tool || failed="$$failed $${tool%% *}"; \
	done; [ -z "$$failed" ] || { echo "check failed:$$failed" >&2; exit 1; }

sim: .venv ## seeds of the simulator in worker processes (SEEDS=2000 FIRST=0 ARGS="--n 7")
	@$(BIN)/python -m tests.simulation --seeds $(FIRST)-$$(($(FIRST) + $(SEEDS) - 1)) --workers 0 --brief $(ARGS)

sim-border: .venv ## seeds of the border's simulation: one supervisory and 35 local chains (SEEDS=500 FIRST=0)
	@$(BIN)/python -m tests.border_simulation --seeds $(SEEDS) --first $(FIRST) --brief $(ARGS)

sim-mutants: .venv ## every seeded fault in the consensus must be caught by the simulator (ARGS="--only name")
	@$(BIN)/python -m tests.simulation.mutants $(ARGS)

bench: .venv ## throughput of a 4-node network on this machine (ARGS="--seconds 60")
	@$(BIN)/python -m benchmarks.throughput $(ARGS)

fuzz: .venv ## coverage-guided fuzzing of every decoder (SECONDS=120 for each harness, ARGS="--target session --json")
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --only-binary atheris --no-build-isolation --editable '.[fuzz]' >/dev/null 2>&1 || true
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),120) $(ARGS)

endurance: .venv ## minutes of faults on real processes: crashes, stopped nodes, archive, certificates, import, relayers (MINUTES=5)
	@$(BIN)/python -m tests.endurance.crash_matrix --kills $(or $(KILLS),200)
	@$(BIN)/python -m tests.endurance.stopped_nodes
	@$(BIN)/python -m tests.endurance.archive
	@$(BIN)/python -m tests.endurance.expired_certificate
	@$(BIN)/python -m tests.endurance.import_roll --holdings $(or $(HOLDINGS),20000) --registers $(or $(REGISTERS),200)
	@$(BIN)/python -m tests.endurance.relayers --minutes $(or $(MINUTES),5) --backlog $(or $(BACKLOG),5000)
	@$(BIN)/python -m benchmarks.window

protos: .venv ## generate chain_core/_pb from protos/
	@$(BIN)/python scripts/generate_protos.py

clean: ## remove the environment, caches and build output
	@rm -rf .venv .venv.lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
