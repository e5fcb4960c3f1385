# What every push needs, in under a minute: format, lint, types, import contracts, generated files. Tests: make unit.
# Another environment than the locked one: make check DEV_PYTHON=/path/to/venv/bin/python
DEV_PYTHON ?= $(eval DEV_PYTHON := $(shell $(VENV))/bin/python)$(DEV_PYTHON)
SOURCES := operator images/harness local tests bench demo examples

.PHONY: check format lint types imports crds crds-fresh reference site unit

check: lint types imports crds-fresh  ## format, lint, types, import contracts, generated files: before every push

format:  ## rewrite the sources
	$(DEV_PYTHON) -m ruff format $(wildcard $(SOURCES))
	$(DEV_PYTHON) -m ruff check --fix $(wildcard $(SOURCES))

lint:
	$(DEV_PYTHON) -m ruff format --check --quiet $(wildcard $(SOURCES))
	$(DEV_PYTHON) -m ruff check --quiet $(wildcard $(SOURCES))

types:
	$(DEV_PYTHON) -m mypy operator/edgeramp

imports:
	$(DEV_PYTHON) -c 'from importlinter.cli import lint_imports_command as run; run()'

crds:  ## crds/ and the chart's templates from the pydantic models
	$(DEV_PYTHON) -m edgeramp.cli.crds

crds-fresh:
	$(DEV_PYTHON) -m edgeramp.cli.crds --check
	$(DEV_PYTHON) -m edgeramp.cli.reference --check
	$(DEV_PYTHON) -m tests.cases --check

reference:  ## docs/reference from the code: every field, every reason; which test holds which behaviour
	$(DEV_PYTHON) -m edgeramp.cli.reference
	$(DEV_PYTHON) -m tests.cases

site:  ## the documents as a static site in .state/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $$($(VENV) docs)/bin/python -m mkdocs build --quiet

unit:  ## no cluster, no API server, no network
	$(DEV_PYTHON) -m pytest tests/unit tests/property -m 'not cluster and not apiserver and not long'
