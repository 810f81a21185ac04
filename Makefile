# the first Python that is 3.10 to 3.12
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
RUN = .venv/bin/python -m
# Debian keeps the module venv in a package of its own
VENV = $(PYTHON) -m venv --clear $(1) || { [ "$$(id -u)" = 0 ] && apt-get install -y python3-venv && \
	$(PYTHON) -m venv --clear $(1); } || { echo "first install python3-venv: sudo apt-get install python3-venv"; exit 1; }
FULL = .venv-full/bin/python -m

.PHONY: demo test lint bench plugin check-plugin translations clean

demo: .venv/ready  ## make a sample scene, find its planes and ships, compare with what was drawn
	.venv/bin/geodetect demo

# MindSpore's data pipelines have crashed in a process that ran a thousand tests before, so theirs have one of their own
PIPELINES = tests/train/test_data_loader.py tests/train/test_training_loop.py

test: .venv-full/ready  ## everything, with MindSpore and ONNX Runtime
	$(FULL) pytest tests/core tests/plugin tests/test_notebooks.py
	$(FULL) pytest tests/train $(PIPELINES:%=--ignore=%)
	$(FULL) pytest $(PIPELINES)

lint: .venv-full/ready
	$(FULL) ruff check .
	$(FULL) ruff format --check .
	$(FULL) mypy
	.venv-full/bin/lint-imports

plugin:  ## the QGIS plugin's package: dist/geodetect_qgis-VERSION.zip
	$(PYTHON) -m tools.build_plugin

check-plugin: plugin .venv-full/ready  ## the package against the plugin site's rules; CHECK=--all: none may be skipped
	$(FULL) tools.check_plugin $(CHECK)

translations:  ## new texts of the plugin into its .ts files; says what is not translated
	$(PYTHON) -m tools.translate

bench: .venv-full/ready  ## the figures of benchmarks/README.md
	$(FULL) benchmarks

.venv/ready: setup.cfg
	$(call VENV,.venv)
	$(RUN) pip install --quiet -e .
	touch $@

.venv-full/ready: setup.cfg
	$(call VENV,.venv-full)
	$(FULL) pip install --quiet -e ".[mindspore,onnxruntime,train,dev]"
	touch $@

clean:
	rm -rf .venv .venv-full build dist *.egg-info rank_0
