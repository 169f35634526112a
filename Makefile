# Every target is one step of a maintainer; `make` alone lists them.
# PYTHON is the interpreter (3.11 or newer) for the virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# The virtual environment brings its own Node, so that no machine needs one.
NODE_PATH = PATH="$(CURDIR)/$(BIN):$$PATH"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help chaos mutants soak bench-recovery test-operations setup dev run test test-containers test-packaging site dist e2e browser screenshots bench bench-report bench-mix bench-whole bench-graph bench-bridge bench-origin bench-publish bench-settling bench-fanout bench-page bench-pure bench-storm bench-peers lint lint-cypher types layers requirements clean bench-growth bench-large bench-sizing bench-overload

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(VENV)/.run ## create .venv with everything that runs, and .venv/bin/friends-presence

dev: $(VENV)/.dev ## the same, with the tools that test and check

$(VENV)/.base: requirements/tools.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"friends-presence needs Python 3.11 or newer; {sys.executable} is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m virtualenv $(VENV) || { \
		echo "No venv module for $(PYTHON). On Debian: apt-get install python3-venv; then run make again."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

$(VENV)/.run: $(VENV)/.base requirements/run.txt pyproject.toml
	@$(UV) pip install --python $(BIN)/python --quiet --require-hashes -r requirements/run.txt
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@$(UV) pip install --python $(BIN)/python --quiet --require-hashes -r requirements/dev.txt
	@touch $@

run: setup ## start the databases, the API, the bridge and the demo users; prints the address
	@$(BIN)/friends-presence up $(ARGS)

test: dev ## set up and run the tests, three files at a time (ARGS="-n 0": one)
	@$(BIN)/python -m pytest -m "not containers and not browser and not packaging and not operations" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

mutants: dev ## break the code in more than a hundred ways, one at a time; a fast test must fail each (ARGS="NAME…": some)
	@$(BIN)/python -m tests.mutants $(ARGS)

test-containers: dev ## the service's image and deploy/ in containers, manifests, the graph's contract suite (NEO4J_IMAGE)
	@$(UV) pip install --python $(BIN)/python --quiet --require-hashes -r requirements/kubernetes.txt
	@$(BIN)/python -m pytest -m containers tests/containers $(ARGS)

test-operations: dev ## alerts and dashboard in a Prometheus that scrapes the running service; refused backups
	@$(BIN)/python -m pytest -m operations tests/operations $(ARGS)

test-packaging: dev ## build sdist and wheel, install the wheel alone, start everything from it
	@$(BIN)/python -m pytest -m packaging tests/packaging $(ARGS)

site: dev ## the documentation as a static site in build/docs/site; fails on a broken link
	@$(BIN)/python -m docs_site $(ARGS)

dist: $(VENV)/.base ## build sdist and wheel into dist/
	@$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .

e2e: dev ## the whole system through official clients and, where there is one, a browser
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

browser: dev ## the pages in the machine's own Chromium
	@$(BIN)/python -m pytest -m browser tests/e2e/web --durations=10 $(ARGS)

screenshots: dev ## take the screenshots of docs/images
	@$(BIN)/python -m tests.e2e.web.screenshots $(ARGS)

chaos: dev ## kill and disturb every part under load; prints a table, fails on a loss
	@$(BIN)/python -m chaos $(ARGS)

bench-recovery: dev ## duration of a backup of the graph and of a restore (JSON and table)
	@$(BIN)/python -m bench.graph.recovery $(ARGS)

soak: dev ## soak test, an hour of the whole system with demo users: memory, sockets, files (JSON, table, chart)
	@$(BIN)/python -m bench.system.soak $(ARGS)

bench: dev ## the benchmarks that fit into 15 minutes on two cores, then docs/benchmarks/README.md
	@$(BIN)/python -m bench $(ARGS)

bench-report: dev ## generate docs/benchmarks/README.md from the figures next to it
	@$(BIN)/python -m bench.report $(ARGS)

bench-mix: dev ## LinkBench's mix of reads and writes against the API at rising rates (JSON and table)
	@$(BIN)/python -m bench.graph.mix $(ARGS)

bench-whole: dev ## the whole system end to end at rising churn, up to its limit (ARGS="--sink": publishes into a sink)
	@$(BIN)/python -m bench.system.end_to_end $(ARGS)

bench-graph: dev ## graph queries on Neo4j and PostgreSQL, 20,000 users (JSON and table)
	@$(BIN)/python -m bench.graph.queries $(ARGS)

bench-bridge: dev ## the bridge against a stub: commits, fan-out, the whole pipeline, lateness under load (JSON and table)
	@$(BIN)/python -m bench.bridge.pipeline $(ARGS)

bench-settling: dev ## commits by batch size and number of friends, and syncs over HTTP (JSON and table)
	@$(BIN)/python -m bench.bridge.commit $(ARGS)

bench-fanout: dev ## notifications to acknowledged publishes by churn and batch window, memory of pending batches (JSON and table)
	@$(BIN)/python -m bench.bridge.fanout $(ARGS)

bench-publish: dev ## our publish path, the official SDK and aiohttp, near and far, with TLS (JSON and table)
	@$(BIN)/python -m bench.bridge.publish $(ARGS)

bench-origin: dev ## the local origin: open polls, publishes, here-now (JSON and table)
	@$(BIN)/python -m bench.system.origin $(ARGS)

bench-pure: dev ## limits of the pure-PubNub variant: friends by churn, in the Functions runtime (JSON and chart)
	@$(BIN)/python -m bench.system.pure_variant $(ARGS)

bench-page: dev ## the friends page: 1,000 friends, 100 changes/s, frames and memory (JSON and table)
	@$(BIN)/python -m bench.system.page $(ARGS)

bench-overload: dev ## twice the capacity for 5 minutes on every entry point (about 17 min; ARGS="--seconds 30": shorter)
	@$(BIN)/python -m bench.system.overload $(ARGS)

bench-growth: dev ## 20,000 and 100,000 users: import, store, sync, commits, suggestions must stay flat (about 6 min)
	@$(BIN)/python -m bench.bridge.growth $(ARGS)

bench-large: dev ## the same with 500,000 users and 183 million friendships: 13 GB of disk, 24 GB of memory, about 30 min
	@$(BIN)/python -m bench.bridge.growth --people 20000 --people 500000 --heap 3072 --page-cache 9216 $(ARGS)

bench-storm: dev ## all users drop and return, with storm mode and without: views, publishes, streams (about 4 min)
	@$(BIN)/python -m bench.system.storm $(ARGS)

bench-sizing: dev ## measure the unit costs of simulate, write them, and compare predictions with all benchmarks (within 20 %, about 6 min)
	@$(BIN)/python -m bench.bridge.sizing --json docs/benchmarks/sizing.json $(ARGS)
	@$(BIN)/python -m bench.bridge.check_sizing --write

bench-peers: dev ## compare with ejabberd (installed when this is root) and PostgreSQL, same users and transitions; Nakama quoted (about 10 min)
	@$(BIN)/python -m bench.peers $(ARGS)

lint: dev ## ruff, formatting included
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

lint-cypher: dev ## Neo4j's own language support over every query and migration
	@cd tests/cypher && $(NODE_PATH) npm ci --silent --no-audit --no-fund && \
		$(NODE_PATH) node lint.mjs $$(find ../../cypher ../../migrations -name '*.cypher')

types: dev ## mypy --strict
	@$(BIN)/mypy

layers: dev ## the import contracts between rooms
	@$(BIN)/lint-imports

requirements: $(VENV)/.base ## compile the hashed requirement files
	@$(UV) pip compile requirements/tools.in $(COMPILE) -o requirements/tools.txt
	@$(UV) pip compile pyproject.toml --group dev --extra local --extra speed --extra otel --extra sqs $(COMPILE) -o requirements/dev.txt
	@$(UV) pip compile pyproject.toml --extra local --extra speed $(COMPILE) -c requirements/dev.txt -o requirements/run.txt
	@$(UV) pip compile pyproject.toml --extra speed $(COMPILE) -c requirements/dev.txt -o requirements/serve.txt
	@$(UV) pip compile requirements/kubernetes.in $(COMPILE) -c requirements/dev.txt -o requirements/kubernetes.txt

COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

clean: ## remove .venv and the caches of tests and tools
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
