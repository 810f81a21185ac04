PYTHON ?= python3
RUN = .venv/bin/python -m
FULL = .venv-full/bin/python -m

.PHONY: demo test lint bench clean

demo: .venv/ready  ## make a sample scene, find its planes and ships, compare with what was drawn
	.venv/bin/geodetect demo

test: .venv-full/ready  ## everything, with MindSpore and ONNX Runtime
	$(FULL) pytest

lint: .venv-full/ready
	$(FULL) ruff check .
	$(FULL) ruff format --check .
	$(FULL) mypy
	.venv-full/bin/lint-imports

bench: .venv-full/ready  ## the figures of benchmarks/README.md
	$(FULL) benchmarks

.venv/ready: setup.cfg
	$(PYTHON) -m venv --clear .venv || sh ./venv_missing.sh $(PYTHON) .venv
	$(RUN) pip install --quiet -e .
	touch $@

.venv-full/ready: setup.cfg
	$(PYTHON) -m venv --clear .venv-full || sh ./venv_missing.sh $(PYTHON) .venv-full
	$(FULL) pip install --quiet -e ".[mindspore,onnxruntime,dev]"
	touch $@

clean:
	rm -rf .venv .venv-full build dist *.egg-info rank_0
