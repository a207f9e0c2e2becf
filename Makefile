# Two commands do everything on a fresh machine: `make app` and `make test`.
PYTHON ?= python3
VENV := .venv
PORT ?= 8501
ADDRESS ?= 127.0.0.1
WORKERS ?= $(RESFLOW_WORKERS)
CLUSTER ?= $(RESFLOW_CLUSTER)
EMBED ?= $(RESFLOW_EMBED)
HOSTS ?= $(RESFLOW_HOSTS)
PROXY ?= $(RESFLOW_PROXY)
BIN := $(VENV)/bin

.PHONY: app quick test slow lint mutants benchmarks clean

app: $(VENV)/kernels-made $(if $(CLUSTER),$(VENV)/ray-installed)
	$(BIN)/python -m app --port $(PORT) --address $(ADDRESS) --workers "$(WORKERS)" --cluster "$(CLUSTER)" --embed "$(EMBED)" \
		--hosts "$(HOSTS)" --proxy "$(PROXY)"

# What needs more than half a second of CPU time a case (`thorough`) and the browser wait for `make test`.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --max-worker-restart 0 --dist loadfile
PYTHON_TESTS := tests/core tests/app tests/golden tests/hostile tests/web tests/test_*.py
.PHONY: quick-python test-python test-browser
quick: $(VENV)/tests-installed
	+@.ci/parts quick-python lint

quick-python: $(VENV)/tests-installed
	$(PYTEST) -m "not slow and not thorough" $(PYTHON_TESTS)

# What `.ci/run` runs. All parts, also where one of them has failed, and a line for each at the end.
test: $(VENV)/tests-installed
	+@.ci/parts lint test-python test-browser

test-python: $(VENV)/tests-installed
	$(PYTEST) -m "not slow" $(PYTHON_TESTS)

test-browser: $(VENV)/tests-installed chromium
	$(PYTEST) -m "not slow" tests/browser

# By hand, before a release: killed processes, crowds, clusters, memory. They load the whole machine, so one at a time.
slow: $(VENV)/tests-installed chromium
	$(BIN)/python -m pytest -m slow tests

# Which tests notice a planted bug: by hand or weekly, for it takes hours. It can be stopped, and goes on.
mutants: $(VENV)/tests-installed chromium
	test -e build/mutants/core.coverage || $(BIN)/python -m tests.mutants reach
	$(BIN)/python -m tests.mutants run
	$(BIN)/python -m tests.mutants control
	$(BIN)/python -m tests.mutants table

# mypy is strict on the paper's files, but for what torch leaves untyped.
.PHONY: lint-style lint-paper lint-web
lint:
	@$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target lint-style lint-paper lint-web

lint-style: $(VENV)/tests-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-paper: $(VENV)/tests-installed
	$(BIN)/mypy --cache-dir .mypy_cache/strict --strict --allow-untyped-calls --no-warn-return-any --follow-imports silent resflow_core/*.py

# The types of the modules below app/web, which stand in their comments, and their linter. From within, since both take
# the folder that they begin in as theirs.
lint-web: tests/web/node_modules/.package-lock.json
	cd tests/web && PATH="$(CURDIR)/$(BIN):$$PATH" node_modules/.bin/tsc
	cd tests/web && node_modules/.bin/biome lint --error-on-warnings . ../../app/web

# About three hours; each module says how to run less of it. Let the machine do nothing else meanwhile.
benchmarks: $(VENV)/tests-installed
	$(BIN)/python -m tests.benchmarks.speed
	$(BIN)/python -m tests.benchmarks.engine
	$(BIN)/python -m tests.benchmarks.cluster
	$(BIN)/python -m tests.benchmarks.sessions
	$(BIN)/python -m tests.benchmarks.pictures
	$(BIN)/python -m tests.benchmarks.evaluator
	$(BIN)/python -m tests.benchmarks.quality
	$(BIN)/python -m tests.benchmarks.estimator
	$(BIN)/python -m tests.benchmarks.roulette --jobs 2
	$(BIN)/python -m tests.benchmarks.traces --jobs 2
	$(BIN)/python -m tests.benchmarks.activations
	$(BIN)/python -m tests.benchmarks.compare
	$(BIN)/python -m tests.benchmarks.joint
	$(BIN)/python -m tests.benchmarks.dimensions
	$(BIN)/python -m tests.benchmarks.hostile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) \
		|| { echo "If venv is missing (Debian): apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/app-installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

# Training waits for kernels here rather than begin without them. Where they cannot be made, torch computes.
$(VENV)/kernels-made: $(VENV)/app-installed $(wildcard resflow_core/fast/kernel/*.py)
	@$(BIN)/python -m resflow_core.training.compilation && touch $@ || true

$(VENV)/ray-installed: pyproject.toml | $(VENV)/app-installed
	$(BIN)/python -m pip install --quiet $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["ray"])')
	@touch $@

$(VENV)/tests-installed: requirements.txt tests/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement tests/requirements.txt
	@touch $@ $(VENV)/app-installed

# Node and npm come with the tests' packages. Nothing that is installed here is served.
tests/web/node_modules/.package-lock.json: tests/web/package.json $(VENV)/tests-installed
	cd tests/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --silent --no-package-lock --no-audit --no-fund
	@touch $@

# The browser tests drive Debian's Chromium. It is installed where that is allowed, and named where it is not.
.PHONY: chromium
chromium:
	@command -v chromium > /dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null; \
		else \
			echo "The browser tests need Chromium; install it once with: sudo apt-get install chromium" >&2; exit 1; \
		fi; }

clean:
	rm -rf $(VENV)
