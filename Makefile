# the first Python that is 3.10 to 3.12
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
RUN = .venv/bin/python -m
# Debian keeps the module venv in a package of its own
VENV = $(PYTHON) -m venv --clear $(1) || { [ "$$(id -u)" = 0 ] && apt-get install -y python3-venv && \
	$(PYTHON) -m venv --clear $(1); } || { echo "first install python3-venv: sudo apt-get install python3-venv"; exit 1; }
FULL = .venv-full/bin/python -m

.PHONY: chromium demo test lint bench plugin check-plugin test-qgis translations clean

demo: .venv/ready  ## make a sample scene, find its planes and ships, compare with what was drawn
	.venv/bin/geodetect demo

# MindSpore's data pipelines have crashed in a process that ran a thousand tests before, so theirs have one of their own
PIPELINES = tests/train/test_data_loader.py tests/train/test_training_loop.py

chromium:  # the tests look at the report of a batch in it
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
	  echo "no chromium, so reports are not looked at in a browser: sudo apt-get install chromium"

test: .venv-full/ready chromium  ## everything, with MindSpore and ONNX Runtime
	$(FULL) pytest -n 2 --dist loadfile tests/core tests/plugin tests/test_notebooks.py
	$(FULL) pytest -n 2 --dist loadfile tests/train $(PIPELINES:%=--ignore=%)
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

QGIS = qgis python3-qgis xvfb libxtst6 python3-venv
# QGIS's own Python, not one that an environment puts before it
QGIS_PYTHON ?= /usr/bin/python3
IN_QGIS = env -u PYTHONPATH LC_ALL=C.UTF-8 PATH=/usr/bin:/bin GEODETECT_PYTHON=$(CURDIR)/.venv-full/bin/python \
	timeout -k 10 1200 $(CURDIR)/.venv-qgis/bin/python -X faulthandler -m pytest

test-qgis: .venv-full/ready .venv-qgis/ready  ## the plugin in a real QGIS: without a window, then on a virtual screen with clicks
	cd tests/plugin/qgis && QT_QPA_PLATFORM=offscreen $(IN_QGIS)
	cd tests/plugin/desktop && $(IN_QGIS)

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

.venv-qgis/ready: tests/plugin/requirements.txt
	@test -x /usr/bin/qgis_process.bin -a -x /usr/bin/Xvfb || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(QGIS) >/dev/null; } || \
	  { echo "first install QGIS: sudo apt-get install $(QGIS)"; exit 1; }
	$(QGIS_PYTHON) -m venv --clear --system-site-packages .venv-qgis
	$(QGIS_PYTHON) -c 'import numpy; print("numpy==" + numpy.__version__)' > .venv-qgis/constraints.txt
	.venv-qgis/bin/python -m pip install --quiet -r tests/plugin/requirements.txt -c .venv-qgis/constraints.txt
	touch $@

clean:
	rm -rf .venv .venv-full .venv-qgis build dist *.egg-info rank_0
