# `make` alone lists the targets. PYTHON=python3.12 chooses the interpreter of the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run suite test test-fast test-metrics chaos bench bench-device check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with everything at its tested version

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, but '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>&1 | head -n 1)." \
			"Name another: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: install ## run the example ablation and print its table
	$(BIN)/hipart-search run codebook_ablation

suite: install ## run every experiment of the paper at smoke scale, as one stage graph
	$(BIN)/hipart-search run --suite paper --scale smoke

test: install ## all tests, with coverage (fails under 90 %)
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 15 --cov

test-fast: install ## quick tests only, no coverage, stop at the first failure
	$(BIN)/python -m pytest -m "not slow" -x -q -n 2 --dist loadfile

test-metrics: ## every query of the Grafana boards against a cluster that Prometheus watches
	$(PYTHON) -m venv $(VENV)-metrics
	$(VENV)-metrics/bin/python -m pip install -q --disable-pip-version-check \
		-c constraints.txt -e '.[dev,metrics]'
	$(VENV)-metrics/bin/python -m pytest tests/scheduling/test_metrics_board.py

chaos: install ## 200 random faults over real runs, and what must hold afterwards (minutes)
	$(BIN)/python -m tests.chaos --faults 200

bench: install ## measure this code beside its peers, every figure from one run
	$(BIN)/python -m benchmarks

bench-device: ## steps and generation on a GPU (or, reduced, on the CPU); needs torch and the model
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m benchmarks.device; \
		else $(PYTHON) -m benchmarks.device; fi

check: install ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove .venv, caches and build products (never .hipart or results)
	rm -rf $(VENV) $(VENV)-metrics build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache \
		.pytest_cache .import_linter_cache .hypothesis
	find hipart tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
