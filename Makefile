.DEFAULT_GOAL := help
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# The generated project needs Python 3.10 to 3.12 (xetrack needs numpy 1).
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
PROJECT := {{cookiecutter.project_slug}}
DEMO := digit-experiments
S3 ?=

.PHONY: help setup demo test test-fast lint benchmark lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed  ## the environment for demo, tests and baked projects, in .venv/

.venv/.installed: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10, 3.11 or 3.12 found"; echo "  → install one, or: make setup PYTHON=/path/to/python3.12"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: setup  ## bake build/digit-experiments and run it on real data (S3=1: with a real S3 server on loopback)
	@python tools/demo.py $(if $(S3),--s3)

test: setup  ## everything, about 15 minutes on 2 cores
	python -m pytest --numprocesses 2 --dist worksteal

test-fast: setup  ## under a minute
	python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

lint: setup  ## the template's own code; tests lint what it renders
	ruff check hooks tests tools benchmarks
	ruff format --check hooks tests tools benchmarks

benchmark: setup  ## merging, runs, retrieval beside what one would use instead: ratios, and build/benchmarks/*.json
	python benchmarks/merge.py
	python benchmarks/runs.py
	python benchmarks/retrieval.py

lock: setup  ## write both lock files anew
	python tools/lock.py

clean:  ## remove the environment and what was built
	rm -rf .venv build
