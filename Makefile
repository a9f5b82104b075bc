# somray: two commands do all set-up and work: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Every process compiles all that it imports anew, torch and Ray too, where this is set; containers often set it.
export PYTHONDONTWRITEBYTECODE :=
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

.PHONY: demo test check chaos bench peers schemas docs clean

demo: .venv/ready
	$(BIN)/somray demo --out demo

# Ray starts processes of its own, so its tests run by themselves, and mostly wait: two of them at a time. The others run
# meanwhile and give way to them, each process on one thread; Ray's workers would else give way to all (niceness 15).
# What goes to one process together is said in tests/conftest.py.
test: .venv/ready
	@mkdir -p build; RAY_worker_niceness=0 OMP_NUM_THREADS=1 $(BIN)/pytest -m ray -n 2 --dist loadfile \
	  --no-loadscope-reorder $$(grep -rlE "mark\.ray\b" tests --include="test_*.py") \
	  > build/ray.log 2>&1 & ray=$$!; \
	OMP_NUM_THREADS=1 nice -n 10 $(BIN)/pytest -m "not ray" -n $$(n=$$(nproc); echo $$((n < 4 ? n + 1 : 4))) --dist loadfile --no-loadscope-reorder; \
	found=$$?; wait $$ray || found=$$?; cat build/ray.log; exit $$found

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell somray jobs tests README.md CHANGELOG.md

# Runs that are broken on purpose, a hundred faults by a seed; takes an hour.
chaos: .venv/ready
	@mkdir -p build
	$(BIN)/python -m tests.chaos.storm --faults $${FAULTS:-100} --seed $${SEED:-0} --log build/chaos.md

bench: .venv/ready
	SOMRAY_PEERS=$${SOMRAY_PEERS:-$(wildcard $(CURDIR)/.peers/bin/python)} \
	$(BIN)/pytest --bench -s --timeout 3600 tests/benchmarks/bench_*.py

schemas: .venv/ready
	$(BIN)/python -m jobs.write_schemas

# Pages that are written from the code, then the site: build/site/index.html.
docs: .venv/ready
	$(BIN)/python -m jobs.write_docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml

# torch goes first and by its exact pin: where a CPU wheel lies on disk, pip takes it only so. Byte code is made at the
# first import: making it for all packages at once takes two minutes, and most of it is never read.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev]"
	touch $@

# Peers of the benchmarks that somray must not depend on, in an environment of their own; somoclu builds
# only with swig and without a CUDA compiler in sight. `make bench` takes them where they are.
peers:
	$(PYTHON) -m venv .peers
	.peers/bin/pip install --quiet "numpy<2" cython swig setuptools wheel scikit-learn minisom
	PATH=$(CURDIR)/.peers/bin:/usr/bin:/bin .peers/bin/pip install --quiet --no-cache-dir --no-build-isolation \
	  pyFlowSOM==0.1.16 XPySom==1.0.7 somoclu==1.7.6

clean:
	rm -rf .venv .peers demo build *.egg-info
