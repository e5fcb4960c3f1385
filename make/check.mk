# What every push needs, in under a minute: format, lint, types, import contracts, generated files. Tests: make unit.
# Another environment: make check PYTHON=/path/to/venv/bin/python
PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
ON_PATH := PYTHONPATH=operator:images/harness
SOURCES := operator images/harness local tests bench demo examples

.PHONY: check format lint types imports crds crds-fresh unit

check: lint types imports crds-fresh

format:  ## rewrite the sources
	$(PYTHON) -m ruff format $(wildcard $(SOURCES))
	$(PYTHON) -m ruff check --fix $(wildcard $(SOURCES))

lint:
	$(PYTHON) -m ruff format --check --quiet $(wildcard $(SOURCES))
	$(PYTHON) -m ruff check --quiet $(wildcard $(SOURCES))

types:
	$(ON_PATH) $(PYTHON) -m mypy operator/edgeramp

imports:
	$(ON_PATH) $(PYTHON) -c 'from importlinter.cli import lint_imports_command as run; run()'

crds:  ## crds/ and the chart's templates from the pydantic models
	$(ON_PATH) $(PYTHON) -m edgeramp.cli.crds

crds-fresh:
	$(ON_PATH) $(PYTHON) -m edgeramp.cli.crds --check

unit:  ## no cluster, no API server, no network
	$(PYTHON) -m pytest tests/unit tests/property -m 'not cluster and not apiserver and not long'
