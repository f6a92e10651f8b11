# Everything runs in .venv, set up on first use and again only when the pinned packages change.
#   make serve [PORT=8080]   make test [ARGS=-k pacer]   make lint   make labels   make clean

PORT ?= 8080
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= $(or $(OMNISYNC_DATA),../shared/data)
LABELS ?= runs/labels

# A name on PATH can be a version manager's shim for a Python that is not there, so each is asked.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: serve test lint format labels clean setup setup-train setup-openvino setup-aot
.DELETE_ON_ERROR:

serve: setup
	@$(BIN)/python server.py --port $(PORT)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.base

setup-train: $(VENV)/.train

setup-openvino: $(VENV)/.openvino

setup-aot: $(VENV)/.aot

$(VENV)/.base: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "OmniSync needs Python 3.11 or newer; none is on PATH." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing packages into $(VENV) (once)..."
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.test $(VENV)/.dev $(VENV)/.train $(VENV)/.openvino $(VENV)/.aot: $(VENV)/.%: $(VENV)/.base
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$*]'
	@touch $@

# MediaPipe brings its own OpenCV, which does not live beside ours.
.venv-labels/.done: Makefile
	@test -x .venv-labels/bin/python || $(PYTHON) -m venv .venv-labels
	@.venv-labels/bin/python -m pip install --quiet mediapipe==1.2.2
	@touch $@

labels: .venv-labels/.done
	@test -d "$(DATA)" || { echo "No data at $(DATA); set OMNISYNC_DATA." >&2; exit 1; }
	.venv-labels/bin/python training/label.py --output $(LABELS)/grid_s1 \
		--model $(DATA)/helpers/face_landmarker_v2_with_blendshapes.task $(DATA)/grid_s1/*.mp4
	.venv-labels/bin/python training/label.py --output $(LABELS)/portraits \
		--model $(DATA)/helpers/face_landmarker_v2_with_blendshapes.task $(DATA)/portraits/*.jpg
	.venv-labels/bin/python training/label.py --output $(LABELS)/clips \
		--model $(DATA)/helpers/face_landmarker_v2_with_blendshapes.task $(DATA)/clips/grid_other_*.mpg

clean:
	rm -rf $(VENV) .venv-labels build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
