PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
# Tests run side by side, one process for each core; WORKERS=0 for one after the other.
WORKERS ?= auto
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: demo test check bench evaluate clean

demo: $(STAMP)
	$(BIN)/flr demo --out build/demo
	@echo "Open build/demo/report.html in a browser."

# The docs have run in check.
test: check
	$(PYTEST) --ignore tests/docs $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q -p no:cacheprovider tests/docs

bench: $(STAMP)
	$(BIN)/python -m pip install -q -e '.[bench]'
	$(BIN)/python -m benchmarks

# What OHIF's adapter reads of our DICOM segmentations is compared where npm can bring it.
NODE_MODULES := $(CURDIR)/build/node

# Nineteen kinds of file, 5,200 damaged ones each, and a fortieth of that of eighteen real ones: just over 100,000.
evaluate: $(STAMP)
	$(BIN)/python -m pip install -q -e '.[bench]'
	mkdir -p $(NODE_MODULES) && npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(NODE_MODULES) @cornerstonejs/adapters@5.14.0 @babel/runtime@7 || true
	FLR_NODE_MODULES=$(NODE_MODULES) $(BIN)/python -m pytest -m evaluate $(PYTEST_ARGS)
	$(BIN)/python -m pytest -rs tests/segmentation/test_networks.py
	FLR_KINDS_SEEDS=40 $(BIN)/python -m pytest tests/io/test_kinds.py
	mkdir -p build && rm -f build/fuzz.log
	FLR_FUZZ_EXAMPLES=5200 FLR_FUZZ_LOG=build/fuzz.log $(BIN)/python -m pytest -k damaged tests/io/test_fuzz.py tests/io/test_masks_fuzz.py
	cat build/fuzz.log

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "flr_volumetry needs Python 3.11 or newer, found " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist
