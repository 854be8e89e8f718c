# The two commands of the README, and what they stand on. Each works on a fresh clone.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: venv dev demo test lint lock clean

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

venv: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@echo "installing into .venv (a minute or two, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src examples
	@touch $@

# What the tests need beyond it: every provider's client, the browser driver, the checkers.
dev: .venv/.installed-dev

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing what the tests need (a minute or two, once)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

demo: venv
	@$(BIN)/nightpane demo $(ARGS)

# A file's tests share a server, so they stay together. One worker more than there are processors:
# much of the time is waiting for servers and browsers.
WORKERS ?= $(shell expr $$(nproc) + 1)

test: dev
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile $(ARGS)

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Renews both locks, hashes included, from pyproject.toml; the extra smallmodel, which takes minutes
# to build, is in neither.
COMPILE := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock: dev
	$(COMPILE) --extra server --extra demo --extra build --extra optimizer --extra litellm \
		--extra loops --extra gtm --extra token-machine --extra png --extra dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --extra server --extra demo --extra build --constraint requirements-dev.lock \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
