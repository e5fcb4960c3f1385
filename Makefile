# Everything a person types here. `make up` needs root, Go 1.26 and Python 3.11; what is missing is installed or named.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
CLUSTER := $(PYTHON) local/cluster.py
export PYTHONPATH := operator:images/harness
# The development environment (made on first use): targets that need it say `PY=$$($(VENV))/bin/python` first.
VENV := $(CLUSTER) venv

include make/check.mk make/test.mk

.DEFAULT_GOAL := help
.PHONY: help up down status images venv lock
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up:  ## start the local cluster (kind where an engine answers)
	$(CLUSTER) up

down:  ## stop it and leave nothing behind
	$(CLUSTER) down

status:  ## show components, nodes and addresses; fails if something is down
	$(CLUSTER) status

images:  ## build and push the images whose inputs changed
	$(CLUSTER) images

venv:  ## make the development environment
	@$(VENV)

lock:  ## resolve the development environment anew (requirements/dev.lock, local/tools/envoy)
	uv pip compile pyproject.toml --group dev --group examples --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements/dev.lock
	uv pip compile --group docs --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements/docs.lock
	cd local/tools/envoy && uv pip compile requirements.in --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --quiet --output-file requirements.lock
