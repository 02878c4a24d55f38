# Two commands matter: `make demo` and `make test`. Each sets up all that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCENARIO ?= demo
SPEED ?= 1
SECONDS ?= 0
PORT ?= 8080

.DEFAULT_GOAL := help
.PHONY: help demo test check bench nightly format clean coverage mutants

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/runtime.ok: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed 需要 Python 3.11+")'
	@$(PYTHON) -m venv $(VENV)
	@echo "installing packages 安装软件包 …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev.ok: $(VENV)/runtime.ok
	@echo "installing test packages 安装测试软件包 …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/runtime.ok  ## a simulated mine being guarded (SCENARIO= SPEED= SECONDS= PORT=)
	@sh tools/debian.sh mosquitto
	@$(BIN)/minewatch demo --scenario $(SCENARIO) --speed $(SPEED) --seconds $(SECONDS) --port $(PORT)

check: $(VENV)/dev.ok  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12

test: $(VENV)/dev.ok  ## everything that must hold before a change lands
	@sh tools/debian.sh mosquitto mbpoll socat chromium fonts-noto-cjk libmodbus-dev tshark spin gcc
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -q -n 2 --dist worksteal -m "not nightly and not system and not browser"
	@$(BIN)/pytest -q -n 2 --dist loadfile -m "(system or browser) and not nightly"

bench: $(VENV)/dev.ok  ## measured figures, each beside a peer or a limit
	@for each in bench/*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

nightly: $(VENV)/dev.ok  ## slow campaigns
	@sh tools/debian.sh mosquitto mbpoll socat chromium fonts-noto-cjk libmodbus-dev tshark spin gcc
	@$(BIN)/pytest -q -m nightly --timeout 7200
	@$(MAKE) --no-print-directory coverage

coverage: $(VENV)/dev.ok  ## every branch of the core is passed by its own tests
	@$(BIN)/coverage run --branch --source=minewatch/core -m pytest -q tests/core -m "not nightly" -p no:xdist
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=100

mutants: $(VENV)/dev.ok  ## change the core in thousands of ways; a test must notice (hours)
	@$(BIN)/python tools/mutants/run.py --jobs 2

format: $(VENV)/dev.ok  ## put the code in form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove what was built
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
