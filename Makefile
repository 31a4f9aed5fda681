# Leadstream: every task sets up what it needs by itself, once, in .venv.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test kafka check bench peers soak lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(READY)  ## the virtual environment, from the lock file

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Leadstream needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## the sample through the whole path, then live traffic (ONCE=1: stop after the summary)
	$(BIN)/leadstream demo $(if $(ONCE),--once)

test: $(READY)  ## every test, on the embedded broker and, with Java 17 and Maven, on Apache Kafka
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

kafka: $(READY)  ## Apache Kafka on this machine until Ctrl-C (BROKERS=3, PORT=9092); its data goes with it
	$(BIN)/python -m tests.kafka --brokers $(or $(BROKERS),1) --port $(or $(PORT),9092)

check: $(READY)  ## lint, formatting, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## events per second through one worker, and where the time goes
	$(BIN)/python -m tests.bench $(ARGS)

peers: $(READY)  ## the engine, stock Faust, Quix Streams and Kafka Streams at one job (needs Java 17 and Maven)
	$(BIN)/python -m tests.bench.peers $(ARGS)

soak: $(READY)  ## ten minutes of steady load (RATE=events a second): memory, lag, files, tasks
	$(BIN)/python -m tests.bench.soak --rate $(or $(RATE),1500) $(ARGS)

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 --universal --output-file requirements.lock

clean:  ## everything that make made
	rm -rf .venv build out .data .kafka .peers *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
