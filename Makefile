# Everything runs in .venv, made from pyproject.toml and constraints.txt. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# Without bytecode every Airflow process would compile all it imports again.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from
# The Python to make .venv with; by default the first of these that is 3.11 or newer.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
ROLLOUT ?= aws_accounts
CHANGE ?=
KUBECONFIG ?=
CONTEXT ?=
EXTRAS := .[sandbox,dev,s3,team]
# More arguments for pytest, for example: make test ARGS='-k soak'
ARGS ?=
export ARGS

# Run the tests with some markers. That there are none (5) is well only where ARGS chose others.
pytest = @$(BIN)/python -m pytest -ra -m '$(1)' $(2) $(ARGS) || { [ $$? -eq 5 ] && [ -n "$$ARGS" ]; }

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: venv
venv: $(STAMP) ## Make or refresh the virtual environment

$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "this needs Python 3.11 or newer; tried: $(CANDIDATES); name yours with: make PYTHON=…" >&2; \
	  exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) || { \
	    echo "cannot make $(VENV): on Debian and Ubuntu, install python3-venv" >&2; exit 1; }; \
	fi
	@echo "installing into $(VENV), which takes a few minutes the first time"
	@# uv takes seconds where pip takes minutes; where it does not get through, pip does the same.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '$(EXTRAS)' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	    -c constraints.txt -e '$(EXTRAS)'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true # some ship templates
	@touch $@

.PHONY: rollout
rollout: $(STAMP) ## Roll a change out in the sandbox and watch it: [CHANGE=include/changes/NAME] [ROLLOUT=aws_accounts]
	@$(BIN)/python -m sandbox.stack rollout $(ROLLOUT) $(if $(CHANGE),--change '$(CHANGE)')

.PHONY: up
up: $(STAMP) ## Start Airflow and the sandbox, leave them running, print address, users and passwords
	@$(BIN)/python -m sandbox.stack up

.PHONY: down
down: $(STAMP) ## Stop what `make up` started
	@$(BIN)/python -m sandbox.stack down

.PHONY: secrets
secrets: ## Write .env for docker-compose.yaml: passwords and keys of your own, random; never over one that is there
	@test ! -e .env || { echo '.env is there already: nothing was written' >&2; exit 1; }
	@umask 077; for name in POSTGRES_PASSWORD REDIS_PASSWORD ADMIN_PASSWORD API_SECRET_KEY JWT_SECRET; do \
	  echo "$$name=$$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"; \
	done > .env; \
	echo "FERNET_KEY=$$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')" >> .env
	@echo 'wrote .env; nobody else needs to read it, and git does not see it'

.PHONY: test
test: lint ## Run all checks and tests but the slow suites; prints what was skipped and why
	@# One after the other: what starts Airflow keeps all cores busy.
	$(call pytest,not integration and not browser and not faults,-n auto --dist loadfile)
	$(call pytest,integration and not faults)
	@echo 'left out: the slow suites, which take three quarters of an hour (disturbances, Chromium): make test-full'

.PHONY: test-full
test-full: $(STAMP) ## Run the slow suites: the UI in a headless Chromium, and every disturbance of real Airflow
	@# Two at once: many of these tests wait for most of their time.
	$(call pytest,browser or faults,-n 2 --dist loadgroup)

.PHONY: test-kubernetes
test-kubernetes: $(STAMP) ## Run the contract suite on a real cluster: KUBECONFIG=… [CONTEXT=…]; makes namespaces, and deletes them
	@test -f '$(KUBECONFIG)' || { echo 'name a kubeconfig: make test-kubernetes KUBECONFIG=…' >&2; exit 1; }
	@CONTRACT_KUBECONFIG='$(KUBECONFIG)' CONTRACT_CONTEXT='$(CONTEXT)' $(BIN)/python -m pytest -ra tests/contract \
	  --harness tests.contract.kubernetes:KubernetesHarness $(ARGS)

.PHONY: test-fast
test-fast: lint ## The same without the tests that start Airflow
	$(call pytest,not integration and not browser and not faults,-n auto --dist loadfile)

.PHONY: fuzz
fuzz: $(STAMP) ## Spoil configurations and changes in many ways: [FUZZ=100000]
	@FUZZ=$(or $(FUZZ),100000) $(BIN)/python -m pytest -ra --timeout=3600 tests/unit/test_fuzz.py $(ARGS)

.PHONY: bench-health
bench-health: $(STAMP) ## Measure the judge of health beside other rules; writes the table of docs/health.md: [RUNS=100]
	@PYTHONPATH=plugins OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.health --runs $(or $(RUNS),100)

.PHONY: faults
faults: $(STAMP) ## Kill task, scheduler, triggerer and database at each side effect of a rollout; writes the table of docs/faults.md
	@rm -rf .state/faults; for kind in task scheduler triggerer database; do \
	  FAULTS=.state/faults FAULTS_KILL=$$kind $(BIN)/python -m pytest -m faults tests/integration/test_kills.py $(ARGS) || true; \
	done; $(BIN)/python -m bench.faults .state/faults

.PHONY: bench
bench: $(STAMP) ## Measure parsing and rollouts; writes the tables of docs/performance.md: [RUNS=5] [ONLY='parsing overhead']
	@PYTHONPATH=plugins $(BIN)/python -m bench --runs $(or $(RUNS),5) $(if $(ONLY),--only $(ONLY))

.PHONY: audit
audit: $(STAMP) ## Ask an advisory service (OSV) about every pinned version; fails on what is known of one, and when it cannot ask
	@$(BIN)/python .ci/audit.py $(BIN)/uv

.PHONY: lint
lint: $(STAMP) ## Check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: format
format: $(STAMP) ## Mend style and format where that is automatic
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## Delete the virtual environment, the state of the stack and caches (run `make down` first)
	@rm -rf $(VENV) .state .pytest_cache .mypy_cache .ruff_cache .hypothesis
