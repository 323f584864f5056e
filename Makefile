.DEFAULT_GOAL := help
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
S3 ?=

.PHONY: help setup demo test test-fast test-torch lint benchmark lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed  ## the environment for demo, tests and baked projects, in .venv/

# uv installs in seconds what takes pip a minute. The lock is complete: nothing is resolved again, every hash is checked.
LOCKED := --no-deps --require-hashes --requirement
PIP := .venv/bin/python -m pip install --disable-pip-version-check $(LOCKED)

.venv/.installed: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 found"; echo "  → install one, or: make setup PYTHON=/path/to/python3.13"; exit 2; }
	@test -x .venv/bin/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@command -v uv >/dev/null || { echo "installing uv"; sed -n '/^uv==/,/[^\\]$$/p' $< >.venv/uv.txt; $(PIP) .venv/uv.txt; } || \
		echo "uv cannot be had here; pip takes about a minute"
	@echo "installing what $< pins"
	@if command -v uv >/dev/null; then uv pip install --python .venv/bin/python $(LOCKED) $<; else $(PIP) $<; fi
	@touch $@

demo: setup  ## bake build/digit-experiments and run it on real data (S3=1: with a real S3 server on loopback)
	@python tools/demo.py $(if $(S3),--s3)

# uv leaves compiling to the first import, which never keeps it where PYTHONDONTWRITEBYTECODE is set, as in the tests.
# They start some thousand Pythons, most of them DVC's.
.venv/.compiled: .venv/.installed
	@echo "compiling what was installed"
	@python -m compileall -q -j 0 .venv/lib >/dev/null || true
	@touch $@

test: setup .venv/.compiled  ## everything, about half an hour on 2 cores
	python -m pytest --numprocesses 2 --dist worksteal

test-fast: setup .venv/.compiled  ## a minute
	python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

# PyTorch is in no lock, since its wheels may bring gigabytes for GPUs; pip takes one for the CPU where its configuration names a
# place that has it: make test-torch TORCH=torch==2.13.0
TORCH ?= torch>=2.5

.venv-torch/.installed: requirements-dev.lock
	@test -x .venv-torch/bin/python || python -m venv .venv-torch
	@if command -v uv >/dev/null; then uv pip install --python .venv-torch/bin/python $(LOCKED) $<; else .venv-torch/$(PIP:.venv/%=%) $<; fi
	.venv-torch/bin/python -m pip install --disable-pip-version-check --quiet "$(TORCH)"
	@touch $@

test-torch: setup .venv-torch/.installed  ## the example in PyTorch, with an environment of its own, .venv-torch/
	.venv-torch/bin/python -m pytest tests/with_torch.py

lint: setup  ## the template's own code; tests lint what it renders
	ruff check ask_again.py hooks tests tools benchmarks
	ruff format --check ask_again.py hooks tests tools benchmarks

benchmark: setup  ## merging, runs, retrieval beside what one would use instead, the gate by chance: ratios, and build/benchmarks/*.json
	python benchmarks/merge.py
	python benchmarks/runs.py
	python benchmarks/retrieval.py
	python benchmarks/python_access.py
	python benchmarks/report.py
	python benchmarks/pipeline.py
	python benchmarks/growth.py
	python benchmarks/growth_of_data.py
	python benchmarks/cluster_sweep.py
	python benchmarks/gate.py
	python benchmarks/cluster.py
	python benchmarks/scale.py

lock: setup  ## write all lock files anew
	python tools/lock.py

clean:  ## remove the environment and what was built
	rm -rf .venv .venv-torch build
