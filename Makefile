# Enxerto. `make help` lists what there is; nothing is done twice.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
DEVICE ?= $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
RECIPE ?= recipes/quickstart.yaml
BASE   ?= smollm2-135m-instruct-awq
SUITE  ?= recipes/evals/quickstart.yaml
MODELS ?= base,support
NPROC  ?= 1
ARGS   ?=

BIN    := .venv/bin
STAMP  := .venv/.installed-$(DEVICE)
DEV    := .venv/.installed-dev
SYSTEM := .venv/.installed-system
SOURCES := data finetune serve tests bench
UV     := $(BIN)/uv

# make's variables know capitals: `recipe=mine.yaml` would be nothing, and the quickstart be trained.
small := $(foreach name,recipe base suite models nproc device args restart,$(if $(findstring command,$(origin $(name))),$(name)))
$(if $(strip $(small)),$(error write $(foreach name,$(small),$(shell echo $(name) | tr a-z A-Z)=) in capitals, as in make train RECIPE=recipes/quickstart.yaml))

export PATH := $(CURDIR)/$(BIN):$(PATH)

##@ Use
.PHONY: help quickstart train serve eval base
help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(STAMP) ## everything once, small: base, training, serving, evaluation (RESTART=1 begins again)
	@$(BIN)/python -m bench.quickstart $(if $(RESTART),--restart)

train: $(STAMP) ## train RECIPE=recipes/x.yaml into an adapter folder, with NPROC=n processes
	@$(BIN)/finetune train "$(RECIPE)" --processes $(NPROC) $(ARGS)

serve: $(STAMP) ## registry and Chat Completions endpoint over BASE=name
	@$(BIN)/serve up --base "$(BASE)" $(ARGS)

eval: $(STAMP) ## ask the served MODELS=base,support the questions of SUITE=recipes/evals/x.yaml
	@$(BIN)/finetune eval "$(SUITE)" --models "$(MODELS)" $(ARGS)

base: $(STAMP) ## build, download or link BASE=name|folder|owner/repo@revision
	@$(BIN)/finetune base "$(BASE)"

##@ Set up
.PHONY: setup lock samples clean
setup: $(STAMP) ## install everything pinned for DEVICE=cpu|gpu (found by itself)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
	  { echo "error: $(PYTHON) is not Python 3.11 or 3.12; give one with make PYTHON=..." >&2; exit 2; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check uv==0.13.9

$(STAMP): requirements/$(DEVICE).txt pyproject.toml | $(UV)
	@echo "installing requirements/$(DEVICE).txt (some minutes on a slow network)"
	@sh finetune/resources/install.sh $(BIN)/python requirements/$(DEVICE).txt $(DEVICE)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(DEV): requirements/dev.txt $(STAMP)
	@echo "installing requirements/dev.txt"
	@sh finetune/resources/install.sh $(BIN)/python requirements/dev.txt $(DEVICE)
	@touch $@

# The report's page is tested in a real browser.
$(SYSTEM): requirements/debian.txt | $(UV)
	@sh requirements/system.sh
	@touch $@

lock: $(UV) ## resolve pyproject.toml again into requirements/*.txt
	@sh requirements/lock.sh $(UV)

samples: $(STAMP) ## write data/samples/ again with its generator (same bytes every time)
	@$(BIN)/python -m data.generate

clean: ## remove the environment and caches of this checkout; bases and registry stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build *.egg-info

##@ Show
.PHONY: transcripts first-hour
transcripts: $(DEV) base ## what a terminal shows of base, train, up, push, chat, eval, into docs/transcripts/
	@$(BIN)/python -m bench.transcripts $(ARGS)

first-hour: $(DEV) ## a newcomer's first hour from a fresh clone on, played and written to docs/transcripts/
	@$(BIN)/python -m bench.first_hour $(ARGS)

##@ Measure
.PHONY: bench-train bench-train-gpu bench-estimate bench-render bench-validate bench-registry bench-serve bench-eval
.PHONY: bench-parity bench-bfcl bench-adopted bench-noisy
bench-train: $(STAMP) base ## this trainer beside plain TRL and PEFT: tokens per second, memory, loss
	@$(BIN)/python -m bench.train $(ARGS)

bench-train-gpu: $(STAMP) ## the trainer on a made-up base of Mistral-Small's shape, on a GPU
	@$(BIN)/python -m bench.train_gpu $(ARGS)

bench-estimate: $(STAMP) base ## finetune estimate beside short runs: memory, disk, time
	@$(BIN)/python -m bench.estimate $(ARGS)

bench-render: $(STAMP) base ## tokens per second of rendering, beside plain apply_chat_template
	@$(BIN)/python -m bench.render $(ARGS)

bench-validate: $(STAMP) base ## time finetune validate on 100 000 conversations, beside plain apply_chat_template
	@$(BIN)/python -m bench.validate $(ARGS)

bench-registry: $(DEV) $(SYSTEM) ## uploads, names, lists, moves and size of a registry of 10 000 adapters
	@$(BIN)/python -m bench.registry $(ARGS)

bench-serve: $(DEV) base ## this server beside plain vLLM's: throughput, TTFT, loading adapters (ARGS="--base NAME")
	@$(BIN)/python -m bench.serve $(ARGS)

bench-noisy: $(DEV) base ## an honest client beside six hostile keys and three clients without one, for 15 minutes
	@$(BIN)/python -m bench.noisy $(ARGS)

bench-parity: $(DEV) base ## what the trainer's model and vLLM say at probes, of good adapters and of broken ones
	@$(BIN)/python -m bench.eval --only parity $(ARGS)

bench-adopted: $(DEV) base ## adapters in fourteen layouts of other trainers, pushed here and in plain vLLM, beside PEFT
	@$(BIN)/python -m bench.adopted $(ARGS)

bench-bfcl: $(DEV) ## our tool-call scorer beside BFCL's own checker, on its answers and on 50 000 changed ones
	@$(BIN)/python -m bench.eval --only bfcl-agreement $(ARGS)

bench-eval: $(DEV) base ## evaluation: cost, statistics, scorer, parity, BFCL (ARGS="--only bfcl" for a part)
	@$(BIN)/python -m bench.eval $(ARGS)

##@ Check
.PHONY: check test test-slow fuzz soak format docs-reference
check: $(DEV) ## lint, format, strict types, layering, help text and README (seconds)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/check

test: $(DEV) $(SYSTEM) check base ## all tests, with the real vLLM, AutoAWQ and training on the CPU
	@$(BIN)/python -m pytest -m "not slow" --ignore tests/check -n 2 --no-loadscope-reorder $(ARGS)

test-slow: $(DEV) $(SYSTEM) base ## the same with larger numbers
	@$(BIN)/python -m pytest -m "slow" $(ARGS)

fuzz: $(DEV) base ## strangers' records, adapters, reports, exports, schemas and bytes, made up by the thousand (ARGS="--only data --seed 7")
	@$(BIN)/python -m bench.fuzz $(ARGS)

soak: $(DEV) base ## 20 000 requests to 12 adapters on 4 slots, always changing, each answer checked (ARGS="--requests 2000")
	@$(BIN)/python -m bench.soak $(ARGS)

format: $(DEV) ## format the sources
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

docs-reference: $(STAMP) ## write docs/recipe.md again: every key of a recipe, a suite, a gate policy
	@$(BIN)/python -m finetune.reference > docs/recipe.md
