# make run    run the workflow: on the bundled examples, or as CONFIG=my.yaml says
# make test   run all tests; with another Python: PYTHON=python3.12 VENV=.venv-3.12
# make test-latest  run unit and workflow tests with the newest versions of all libraries
# make test-slurm  run the workflow on a SLURM cluster of this host, as root
# make test-torch  run the tests of loading with torch for CPUs, where its wheels can be had
# make faults  the long forms of tests of limits, kills, full disks, errors of disks, hostile files and secrets
# make contradictions  try some 4,000 files that contradict themselves (make test: 800)
# make names  run commands in 60 folders of names that others interpret (make test: 6)
# make bench  measure speed and memory, beside another program if REFERENCE=path names it
# make tiff-benchmark   compare compressors on the examples, or on IMAGES (a folder or manifest)
# make check  formatting, lint, types, schema
# make pictures  draw the pictures of docs/volumes.md
# The environment .venv is set up automatically; all that is needed is python3 (3.11 to 3.13) and make.

SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c "$(SUPPORTED)" 2>/dev/null && echo $$p && break; done)
VENV := .venv
LATEST := .venv-latest
BIN := $(VENV)/bin
CORES ?= all
CONFIG ?= config/example.yaml
PYTEST_OPTIONS ?=
BENCH ?=
REFERENCE ?=
IMAGES ?=
TIFF_BENCHMARK ?= results/tiff_benchmark
TIFF_BENCHMARK_OPTIONS ?=

## A misspelled variable would be ignored.
VARIABLES := PYTHON VENV LATEST CORES CONFIG PYTEST_OPTIONS BENCH REFERENCE IMAGES TIFF_BENCHMARK \
	TIFF_BENCHMARK_OPTIONS
SPACE := $(subst ,, )
UNKNOWN := $(filter-out $(addsuffix =%,$(VARIABLES)),$(subst \$(SPACE),_,$(MAKEOVERRIDES)))
$(if $(UNKNOWN),$(error $(UNKNOWN): not a variable of make; it has $(VARIABLES). Keys of the \
	configuration are in the file that CONFIG names))

.PHONY: check-python run test test-latest test-slurm test-torch faults contradictions names bench tiff-benchmark check schema pictures lock clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

check-python:
	@sh envs/check_python.sh "$(PYTHON)" $(VENV) $(if $(filter file,$(origin PYTHON)),found,asked)

## A folder without a Python that runs is of no use, so it is made again.
$(BIN)/python: | check-python
	@echo "Making $(VENV) with $(PYTHON) ..."
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) could not make $(VENV), for the reason above" >&2; exit 1; }

$(VENV)/.workflow: $(BIN)/python pyproject.toml constraints.txt
	@$(BIN)/python envs/install.py $(VENV) workflow
	@touch $@

$(VENV)/.dev: $(VENV)/.workflow
	@$(BIN)/python envs/install.py $(VENV) workflow,dev
	@touch $@

run: $(VENV)/.workflow
	@$(BIN)/python scripts/check_config.py "$(CONFIG)"
	@$(BIN)/snakemake --cores $(CORES) --configfile "$(CONFIG)" --quiet rules

## Other tests beside the unit tests, so that both cores have as much to do, and shown after them.
## 5: PYTEST_OPTIONS selects none of these.
test: $(VENV)/.dev
	@run() { all=5; for folders; do $(BIN)/python -m pytest $$folders $(PYTEST_OPTIONS); \
		case $$? in 0) all=$$((all % 5));; 5) ;; *) all=1;; esac; done; return $$all; }; \
	log=$$(mktemp); run tests/workflow "tests/faults tests/privacy" >$$log 2>&1 & \
	others=$$!; run tests/unit; unit=$$?; wait $$others; others=$$?; cat $$log; rm $$log; \
	case $$others$$unit in 00|05|50) ;; *) exit 1;; esac

test-latest:
	@rm -rf $(LATEST)
	@sh envs/check_python.sh "$(PYTHON)" $(LATEST) found
	@"$(PYTHON)" -m venv $(LATEST)
	@$(LATEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[workflow,dev]"
	@$(LATEST)/bin/python -m pip list --disable-pip-version-check
	@$(LATEST)/bin/python -m pytest tests/unit tests/workflow $(PYTEST_OPTIONS)

## A target of its own, since only these tests need the plugin.
$(VENV)/.slurm: $(VENV)/.dev
	@$(BIN)/python envs/install.py $(VENV) workflow,dev,slurm
	@touch $@

test-slurm: $(VENV)/.slurm
	@$(BIN)/python -m pytest tests/slurm

## Without the mark where the wheel cannot be had: then there is nothing to run, and a line says why.
$(VENV)/.torch: $(VENV)/.dev
	@$(BIN)/python envs/install_torch.py $@

test-torch: $(VENV)/.torch
	@[ ! -e $(VENV)/.torch ] || $(BIN)/python -m pytest tests/unit/loading -k torch $(PYTEST_OPTIONS)

faults: $(VENV)/.dev
	@DP_FAULT_SIZES=300 DP_FAULT_DISKS=20 DP_HOSTILE=2000,500 DP_BOMB_MIB=6144 DP_FAULT_WORKERS=200 \
		DP_KILLS=26 DP_TOOL_KILLS=60 DP_MUTATIONS=5000 DP_IO_ERRORS=150 \
		$(BIN)/python -m pytest --log-cli-level=INFO --durations=0 tests/faults \
		tests/unit/dicom/test_bounds.py tests/unit/test_supervision.py $(PYTEST_OPTIONS)
	@DP_PRIVACY=1 $(BIN)/python -m pytest --log-cli-level=INFO tests/privacy $(PYTEST_OPTIONS)
	@DP_KEPT_DAMAGES=400 $(BIN)/python -m pytest -q tests/unit/processing/test_study.py -k damaged

contradictions: $(VENV)/.dev
	@DP_CONTRADICTIONS=12 $(BIN)/python -m pytest --log-cli-level=INFO tests/unit/test_contradictions.py \
		$(PYTEST_OPTIONS)

names: $(VENV)/.dev
	@DP_HOSTILE_NAMES=60 $(BIN)/python -m pytest tests/unit/cli/test_hostile_names.py $(PYTEST_OPTIONS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint
	@$(BIN)/python -m pytest -q tests/unit/config/test_schema.py

bench: $(VENV)/.dev
	@$(BIN)/python benchmarks/bench.py $(if $(REFERENCE),--reference "$(REFERENCE)") $(BENCH)

ifeq ($(IMAGES),)
tiff-benchmark: $(VENV)/.workflow
	@$(BIN)/snakemake --cores $(CORES) --configfile config/example.yaml --quiet rules \
		-- results/tiff_benchmark/report.html
	@cat results/tiff_benchmark/summary.txt
	@echo
	@echo "Page:     results/tiff_benchmark/report.html"
else
tiff-benchmark: $(VENV)/.workflow
	@$(BIN)/tiff-benchmark $(TIFF_BENCHMARK_OPTIONS) "$(IMAGES)" "$(TIFF_BENCHMARK)"
endif

schema: $(VENV)/.dev
	@$(BIN)/python tests/generate_config_files.py

pictures: $(VENV)/.dev
	@$(BIN)/python -m tests.draw_pictures

lock: $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra workflow --extra dev --extra slurm \
		--no-header --upgrade --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) $(LATEST) .mypy_cache .pytest_cache .ruff_cache
