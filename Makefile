# Two commands matter: `make run` serves a demo event, `make test` runs the whole test suite.
# `make help` lists all. Each sets up what it needs in .venv, from requirements locked with hashes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for something; those of a file share services. The short ones, of the units, go last.
SPREAD := -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: help install dev run test test-long test-compose simulate model lint format loadtest crowd show chaos bench growth lock clean

install: $(VENV)/.run  # set soldout up in .venv
dev: $(VENV)/.dev  # that, and what lint, tests and the guide's last page need

help:  # list these targets
	@awk -F ':.*# ' '/^[a-z-]+:.*# / { printf "%-14s%s\n", $$1, $$2 }' Makefile

run: $(VENV)/.run  # serve a demo event at http://127.0.0.1:8000
	$(BIN)/soldout serve --demo

test: $(VENV)/.dev  # the whole test suite, but for what the next two have
	$(BIN)/pytest $(SPREAD) -m "not long" $(ARGS)

test-long: $(VENV)/.bench  # the longer fault runs, which CI adds
	$(BIN)/pytest $(SPREAD) -m "long and not compose" $(ARGS)

test-compose: $(VENV)/.dev  # the containers; as root, with docker.io, docker-compose, redis-server
	$(BIN)/pytest -m compose $(ARGS)

simulate: $(VENV)/.dev  # sales under simulated faults, until stopped; or one: SEED=7 LEDGER=redis
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(LEDGER),--ledger $(LEDGER)) $(ARGS)

lint: $(VENV)/.dev  # check format, style, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  # write the code as lint wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

model: $(VENV)/.dev  # search all states of the protocol's model (docs/model); needs spin and gcc
	$(BIN)/python -m tests.model

loadtest: $(VENV)/.dev  # the rush at a soldout of its own for a minute, judged by invariants
	$(BIN)/python -m loadtest $(ARGS)

crowd: $(VENV)/.dev  # the rush at the service that `make run` serves, to be watched at its /admin
	$(BIN)/python -m loadtest --host $(or $(SOLDOUT_URL),http://127.0.0.1:8000) --seconds 30 $(ARGS)

show: $(VENV)/.dev  # the same rush against a program without a lock and against soldout, on one page
	$(BIN)/python -m loadtest --show $(ARGS)

chaos: $(VENV)/.dev  # break real processes and a real Redis under load: ARGS="--seconds 180 --seed 7"
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/.bench  # sales a second beside nine rivals, on this machine
	$(BIN)/python -m loadtest.bench $(ARGS)

growth: $(VENV)/.dev  # with two million orders, a thousand events, more workers, for minutes
	$(BIN)/python -m loadtest.growth $(ARGS)

lock:  # write the hashes anew after a change to requirements/*.in; needs uv
	cd requirements && for name in run loadtest dev bench; do \
	    uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --upgrade \
	        --no-header --no-annotate --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt || exit 1; \
	done

clean:  # remove what all of these have made, but for data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info reports

$(VENV)/.run: requirements/run.txt pyproject.toml
	@echo "setting up in $(VENV): half a minute, the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	touch $@
