# Two commands do all set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check accuracy bench soak docs clean

demo: $(VENV)/.core
	$(BIN)/foresail demo --force

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not accuracy" -n 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

accuracy: $(VENV)/.dev
	$(BIN)/python -m pytest -m accuracy --durations=10

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run --json

soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak

docs: $(VENV)/.dev
	$(BIN)/python -m foresail.service.reference docs/reference

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Foresail needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Foresail and its libraries into $(VENV) (about 1 GB, a minute or two) ..."
	$(PIP) install --constraint constraints.txt --editable .
	@echo "Compiling the kernels (once) ..."
	$(BIN)/foresail warm
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Installing the tools for tests and checks ..."
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .foresail-cache
