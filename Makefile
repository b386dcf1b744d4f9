# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DISTRIBUTIONS := . plugins/ubuntu plugins/centos plugins/custom_images
INSTALLED := $(VENV)/.installed
# empty means "write it": the tests start thousands of processes, and each would compile all modules
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install demo test lint format bench soak fuzz e2e constraints docs clean

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED)  ## Put the mirror, its plugins and its tools into .venv

$(INSTALLED): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@command -v gpg >/dev/null && command -v gpgv >/dev/null || { \
	  echo "GnuPG is needed: apt-get install gpg gpgv gpg-agent"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V)"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "apt-get install python3-venv, then try again"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  $(foreach d,$(DISTRIBUTIONS),-e $(d))
	@touch $@

demo: install  ## Build a signed upstream, mirror it, serve it (until Ctrl-C)
	$(BIN)/mirror demo

test: install lint  ## Lint, then all tests that take less than a few minutes
	$(BIN)/python -m compileall -q mirror plugins
	$(BIN)/pytest -q -n 5 --dist worksteal

lint: install  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## Measure against sstream-mirror, curl and nginx (about 15 minutes; root for nginx)
	$(BIN)/python -m benchmarks

soak: install  ## kill -9 at 50 random instants of sync and publish
	MIRROR_KILLS=50 $(BIN)/pytest -q tests/faults/test_sigkill.py --timeout 1800

fuzz: install  ## Damage images at random, more often than `make test` does (a few minutes; EXAMPLES=5000 longer)
	MIRROR_FUZZ_EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/pytest -q -n 4 --dist worksteal --timeout 1800 \
	  $(shell grep -rlE 'MIRROR_FUZZ_EXAMPLES|reader_fuzz' --include='test_*.py' tests plugins)

e2e: install  ## Mirror a stream made of Debian's packages (root, debootstrap; a few minutes)
	MIRROR_E2E=1 $(BIN)/pytest -q tests/e2e --timeout 1800

docs: install  ## Write the pages that are made from the code: errors, the reference for plugins
	$(BIN)/python docs/generate_errors.py > docs/errors.md
	$(BIN)/python docs/generate_plugin_reference.py > docs/plugin-reference.md

constraints: install  ## Pin everything anew, by name, version and hash
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/python -c 'import tomllib; \
	  load = lambda each: tomllib.load(open(each + "/pyproject.toml", "rb")); \
	  needs = [n for d in "$(DISTRIBUTIONS)".split() for n in load(d)["project"]["dependencies"]]; \
	  needs += load(".")["dependency-groups"]["dev"]; \
	  print("\n".join(n for n in needs if n != "maas-image-mirror"))' \
	  | $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-annotate --no-header \
	    --no-emit-index-url --no-emit-options --strip-extras --output-file constraints.txt -

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
