# Every target sets up what it needs in .venv by itself; the second time that takes no time.
# Another Python: make run PYTHON=python3.12    Another home for the data: make run BELLWETHER_HOME=somewhere

BELLWETHER_HOME ?= var
VENV := .venv
BIN := $(VENV)/bin
ROOMS := crm features models planning training serving

# Two stamps in one .venv: what `make run` uses, and that plus the tools for tests, notebooks and checks.
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help setup run test check studies pages bench bench-peers notebooks mlflow pins clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(RUN_READY) ## make .venv with what 'make run' uses
	@echo 'bellwether: $(VENV) is ready'

run: $(RUN_READY) ## build the sample company, train, score and serve it on http://127.0.0.1:8000
	@exec $(BIN)/bellwether demo --home $(BELLWETHER_HOME)

test: $(DEV_READY) ## run all tests but the slow studies and benchmarks, two files at a time
	@tools/test-system.sh
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(DEV_READY) ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

studies: $(DEV_READY) ## run the slow statistical studies
	@$(BIN)/python -m pytest -m slow_study -s

pages: $(DEV_READY) ## walk every page as each role in both languages, at two widths
	@tools/test-system.sh
	@$(BIN)/python -m pytest -m every_page

bench: $(DEV_READY) ## measure time and memory against their stated bounds
	@$(BIN)/python -m pytest -m bench

bench-peers: $(DEV_READY) ## compare with other tools, each in an environment of its own
	@$(BIN)/python -m pytest -m peers

notebooks: $(DEV_READY) ## open the notebooks in JupyterLab
	@BELLWETHER_HOME=$(abspath $(BELLWETHER_HOME)) $(BIN)/jupyter lab --notebook-dir notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

mlflow: $(RUN_READY) ## open MLflow's pages on the runs and models of this home
	@set -a; . mlflow/server.env; exec $(BIN)/mlflow server --backend-store-uri sqlite:///$(abspath $(BELLWETHER_HOME))/mlflow.db

pins: $(DEV_READY) ## renew requirements*.txt from pyproject.toml
	@tools/pins.sh

clean: ## remove .venv and every cache; the data under var/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(ROOMS) tests notebooks tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(RUN_READY): requirements.txt requirements-bootstrap.txt pyproject.toml tools/setup.sh tools/system.sh
	@tools/setup.sh $(VENV) run
	@touch $@

$(DEV_READY): requirements.txt requirements-dev.txt requirements-bootstrap.txt pyproject.toml tools/setup.sh tools/system.sh
	@tools/setup.sh $(VENV) dev
	@touch $(RUN_READY) $@
