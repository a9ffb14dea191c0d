# What a contributor needs, in one word each. "make" alone lists them.

PYTHON ?= python3
VENV ?= .venv
LOWEST_VENV ?= .venv-lowest

IS_NEW = $(shell { $(PYTHON) -c 'import sys; print("1" * (sys.version_info >= (3, 11)))'; } 2>/dev/null)
HAS_VENV = $(shell $(PYTHON) -c 'import ensurepip, venv; print(1)' 2>/dev/null)
PIP_INSTALL = python -m pip install --quiet --disable-pip-version-check
PROJECT = setup.cfg pyproject.toml
# Tests wait for servers and browsers most of the time, on two cores as well.
IN_PARALLEL = --numprocesses 3 --dist worksteal

# Without what takes long, or is not about the Python or the versions it runs with.
FAST = $(addprefix --ignore=tests/,browser packaging benchmarks storm test_concurrency.py \
	test_state_machine.py sandbox examples model test_ipn_flood.py \
	test_account_flood.py client/test_connections.py \
	client/test_payments.py)

.NOTPARALLEL:
.PHONY: help demo docs translations test test-fast test-lowest storm lint screenshots clean

help:
	@echo 'make demo         run the example platform against the sandbox (PORT=8000 SANDBOX_PORT=8010)'
	@echo 'make test         run all tests (ARGS="tests/test_denial.py -k state" for some of them)'
	@echo 'make test-fast    run those that take little time (PYTHON=python3.13 VENV=.venv-3.13 for another Python)'
	@echo 'make test-lowest  run them with the lowest versions that are supported'
	@echo 'make storm        kill workers in the midst of 10 000 callbacks, on PostgreSQL, MariaDB and SQLite'
	@echo 'make docs         build the documentation into docs/_build/html, and check its links, spelling and prose'
	@echo 'make translations compile what the pages say in other languages'
	@echo 'make screenshots  take the pictures of the documentation anew'
	@echo 'make bench        measure this package beside its peers (ARGS="calls workers --rounds 5" for some of it)'
	@echo 'make lint         check style, types and the direction of imports'
	@echo 'make clean        remove all that these commands made, the data of the demo too'

demo: $(VENV)/.demo
	@$(VENV)/bin/python examples/demo.py

test: $(VENV)/.test
	$(VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),$(IN_PARALLEL) --cov $(REPORTS))

test-fast: $(VENV)/.test
	$(VENV)/bin/python -m pytest $(IN_PARALLEL) $(FAST) $(ARGS)

test-lowest: $(LOWEST_VENV)/.test
	$(LOWEST_VENV)/bin/python -m pytest $(IN_PARALLEL) $(FAST) --ignore=tests/docs --ignore=tests/recipes $(ARGS)

storm: $(VENV)/.test
	WEPAY_STATE_MACHINE=1000x50 $(VENV)/bin/python -m pytest -q tests/test_state_machine.py
	PYTHONPATH=tests $(VENV)/bin/python -m storm

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy --strict flask_wepay tests/typed/program.py
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(VENV)/bin/pyright --warnings --pythonpath $(VENV)/bin/python tests/typed/program.py
	$(VENV)/bin/lint-imports

translations: $(VENV)/.test
	$(VENV)/bin/pybabel compile --directory flask_wepay/web/translations --domain wepay

docs: $(VENV)/.docs
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	$(VENV)/bin/codespell README.rst CHANGES.rst CONTRIBUTING.rst SECURITY.rst docs/*.rst docs/images/*.svg
	$(VENV)/bin/python docs/prose.py
	@echo 'The documentation is in docs/_build/html/index.html'

screenshots: $(VENV)/.test
	WEPAY_SCREENSHOTS=docs/images $(VENV)/bin/python -m pytest -q tests/browser/test_screenshots.py

clean:
	rm -rf $(VENV) $(LOWEST_VENV) $(BENCH_VENV) build dist docs/_build *.egg-info examples/instance
	rm -rf .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# A stamp per set of packages: what is installed already is not installed again.

$(VENV)/.created $(LOWEST_VENV)/.created:
	$(if $(IS_NEW),,$(error Flask-WePay needs Python 3.11 or newer, and "$(PYTHON)" is not: install it, or name another one in PYTHON))
	$(if $(HAS_VENV),,$(error "$(PYTHON)" cannot make virtual environments: install its "venv" (on Debian and Ubuntu the package python3-venv)))
	@$(PYTHON) -m venv $(@D)
	@touch $@

$(VENV)/.demo: $(VENV)/.created $(PROJECT) examples/crowdfunding/requirements.txt
	@echo 'Installing Flask-WePay and its example into $(VENV) ...'
	@$(VENV)/bin/$(PIP_INSTALL) -e . -r examples/crowdfunding/requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.created $(PROJECT) $(wildcard examples/crowdfunding/requirements*.txt) requirements/test.txt requirements/recipes.txt requirements/python-wepay.txt
	@echo 'Installing Flask-WePay and what its tests need into $(VENV) ...'
	@$(VENV)/bin/$(PIP_INSTALL) -e . -r requirements/test.txt -r requirements/recipes.txt
	@$(VENV)/bin/$(PIP_INSTALL) --no-deps --upgrade --target $(VENV)/python-wepay -r requirements/python-wepay.txt
	@! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(VENV)/npm wepay@0.0.9
	@touch $@

$(VENV)/.lint: $(VENV)/.created $(PROJECT) requirements/lint.txt
	@echo 'Installing Flask-WePay and the linters into $(VENV) ...'
	@$(VENV)/bin/$(PIP_INSTALL) -e . -r requirements/lint.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.created $(PROJECT) requirements/docs.txt
	@echo 'Installing Flask-WePay and what builds its documentation into $(VENV) ...'
	@$(VENV)/bin/$(PIP_INSTALL) -e . -r requirements/docs.txt
	@touch $@

$(LOWEST_VENV)/.test: $(LOWEST_VENV)/.created $(PROJECT) $(wildcard examples/crowdfunding/requirements*.txt) requirements/lowest.txt requirements/test.txt
	@echo 'Installing the lowest versions into $(LOWEST_VENV) ...'
	@$(LOWEST_VENV)/bin/$(PIP_INSTALL) -e . -r requirements/test.txt -c requirements/lowest.txt
	@touch $@

# Benchmarks have an environment of their own.

BENCH_VENV ?= .venv-bench
.PHONY: bench soak

bench: $(BENCH_VENV)/.bench
	$(BENCH_VENV)/bin/python -m benchmarks $(ARGS)

soak: $(BENCH_VENV)/.bench $(VENV)/.test
	WEPAY_FORGED_IPNS=100000 $(VENV)/bin/python -m pytest -q tests/test_ipn_flood.py
	WEPAY_FLOOD_ROUNDS=6 $(VENV)/bin/python -m pytest -q tests/test_account_flood.py
	$(BENCH_VENV)/bin/python -m benchmarks soak $(ARGS)

$(BENCH_VENV)/.bench: $(PROJECT) benchmarks/requirements.txt
	$(if $(IS_NEW),,$(error Flask-WePay needs Python 3.11 or newer, and "$(PYTHON)" is not: install it, or name another one in PYTHON))
	@echo 'Installing Flask-WePay and what its benchmarks need into $(BENCH_VENV) ...'
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/$(PIP_INSTALL) -e . -r benchmarks/requirements.txt
	@touch $@
