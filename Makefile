# somray: two commands do all set-up and work: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

.PHONY: demo test check bench schemas clean

demo: .venv/ready
	$(BIN)/somray demo --out demo

test: .venv/ready
	$(BIN)/pytest

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell somray jobs tests README.md CHANGELOG.md

bench: .venv/ready
	$(BIN)/pytest --bench -s --timeout 3600 tests/benchmarks/bench_*.py

schemas: .venv/ready
	$(BIN)/python -m jobs.write_schemas

# torch goes first and by its exact pin: where a CPU wheel lies on disk, pip takes it only so.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo build *.egg-info
