# Everything a newcomer or CI runs. Needs Python 3.11+, make and the network; no Java, no Docker, no database.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := lintas schemas streams connectors monitoring tests bench docs examples deploy/healthy

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml connectors/client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lintas needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "installing into $(VENV) (the first time takes a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=compat -e connectors/client -e .
	@touch $@

install: $(READY) ## install everything into .venv

demo: $(READY) ## start a bus, publish a day in the life of the state, show who received what
	@$(BIN)/lintas demo

up: $(READY) ## start the bus in the foreground; Ctrl-C stops it
	@$(BIN)/lintas up

test: $(READY) ## run the tests, on a real Kafka, registry and PostgreSQL, three files at a time: most of them wait
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## lint, format, types, import contracts
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@for part in . unit integration conformance acceptance chaos; do \
		MYPYPATH=.:connectors/client:tests:tests/$$part $(BIN)/mypy tests/$$part/*.py || exit 1; done
	@MYPYPATH=.:connectors/client $(BIN)/mypy bench/*.py bench/peers/*.py docs/*.py
	@$(BIN)/lint-imports

long: $(READY) ## run the tests that take many minutes: alerts of a broken bus, the console in a browser, the production stack, connectors killed for minutes
	@$(BIN)/python -m pytest -q -m long $(ARGS)

chaos: $(READY) ## break brokers, workers and the network for two hours, and judge what came out
	@$(BIN)/python -m pytest -q -m long tests/chaos
	@$(BIN)/python tests/chaos/run.py $(ARGS)

bench/.venv/.ready: bench/requirements.lock
	@$(PYTHON) -m venv bench/.venv
	@bench/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@touch $@

bench: $(READY) bench/.venv/.ready ## measure ours and the peers on this machine (PART=jobs, E, latency, scaling, memory, hostile, steps ...)
	@$(BIN)/python -m bench.run --part $(or $(PART),jobs) $(ARGS)

docs: $(READY) ## write the generated pages of docs/reference anew
	@$(BIN)/python docs/generate.py

dashboards: $(READY) ## write Grafana's dashboards anew
	@$(BIN)/python -m monitoring.dashboards.generate

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	--no-emit-find-links --no-emit-trusted-host --no-header

screenshots: $(READY) ## take the pictures of docs/console anew; needs a Chromium
	@$(BIN)/python -m docs.screenshots

lock: $(READY) ## resolve the dependencies anew: names, versions and hashes, no host
	@$(COMPILE) --extra dev --extra local --extra otel --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraint requirements.lock --extra otel --output-file deploy/requirements.lock pyproject.toml
	@echo 'setuptools>=77' | $(COMPILE) --constraint requirements.lock --output-file deploy/build.lock -
	@$(COMPILE) --output-file bench/requirements.lock bench/requirements.in

clean: ## stop the local bus and remove what make, the bus and the tests have made
	@for home in .lintas/demo .lintas; do \
		if [ -x $(BIN)/lintas ] && [ -d $$home ]; then LINTAS_HOME=$$home $(BIN)/lintas down 2>/dev/null || true; fi; done
	@rm -rf $(VENV) bench/.venv bench/peers/kafka-streams/target .lintas .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} + ; rm -rf *.egg-info connectors/client/*.egg-info

.PHONY: help install demo up test check long chaos bench docs dashboards lock clean
.DEFAULT_GOAL := help
