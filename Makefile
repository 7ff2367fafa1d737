# Two commands do everything: `make demo` and `make test`. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMPS := $(VENV)/stamps

.PHONY: demo test soak live foreign check format clean help

help:
	@echo "make demo    a model on this machine answers, unsure drafts go on, a table says what it cost"
	@echo "make test    all tests that need nothing more than the install"
	@echo "make soak    the long runs: more examples, more kills, 5,000 requests among failing clouds"
	@echo "make live    a few calls to each real cloud whose variables are set; under a cent"
	@echo "make foreign clients of other people against the sidecar: OpenAI for Node, Anthropic, LangChain, and more"
	@echo "make check   format, lint, types"

$(STAMPS)/venv:
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'firsthop needs Python 3.11 or later; try: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/app: $(STAMPS)/venv pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[convert]"
	@touch $@

$(STAMPS)/dev: $(STAMPS)/app pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip --upgrade
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[all]" --group dev
	@touch $@

demo: $(STAMPS)/app
	$(BIN)/firsthop demo

test: $(STAMPS)/dev
	$(BIN)/firsthop models pull smollm2-135m
	$(BIN)/python -m pytest

soak: $(STAMPS)/dev
	$(BIN)/firsthop models pull smollm2-135m
	FIRSTHOP_SOAK=1 $(BIN)/python -m pytest --timeout 3600 tests/properties tests/e2e

live: $(STAMPS)/dev
	$(BIN)/python -m pytest tests/live

FOREIGN := $(VENV)/foreign
FOREIGN_BIN := $(FOREIGN)/$(notdir $(BIN))

$(STAMPS)/foreign: $(STAMPS)/dev tests/foreign/requirements.txt tests/foreign/package-lock.json
	$(PYTHON) -m venv $(FOREIGN)
	$(FOREIGN_BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/foreign/requirements.txt
	$(FOREIGN_BIN)/python tests/foreign/npm.py ci
	@touch $@

foreign: $(STAMPS)/foreign
	FIRSTHOP_FOREIGN_PYTHON=$(FOREIGN_BIN)/python $(BIN)/python -m pytest tests/foreign

check: $(STAMPS)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMPS)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
