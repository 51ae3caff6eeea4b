# make demo          the example on digits: a table on the screen, a picture on disk
# make examples      all examples; their pictures go into build/examples/
# make test          all tests, newest supported versions, on all cores
# make test-oldest   the tests with the oldest supported versions, but for those of the
#                    documentation, types and packaging, which know one version
# make bench         speed, memory, quality, files and all else: writes docs/benchmarks/
# make bench-peers   quality with PyOD beside, in an environment of its own
# make docs          the documentation, with all examples run: build/docs/index.html;
#                    an example is run again only if it has changed
# make docs-test     the same, opened in a browser that follows every link
# make lint          format, lint and spelling; changes nothing
# make clean         remove what the others made
#
# Needs Python 3.11 or newer. Each set-up is done once, and again when its versions
# change. torch is large: put the path of a folder with a CPU build of the pinned
# version into PIP_FIND_LINKS to spare a machine without GPU the CUDA packages.
#
# Benchmarks run on sets that scikit-learn bundles, or with DATA=folder on that folder;
# QUALITY_FLAGS go to benchmarks/quality.py, "--csv FILE" to go on with a run, say.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_INSTALL = bin/python -m pip install -qq --disable-pip-version-check --no-compile
PICTURE ?= demo.png
PICTURES ?= build/examples
EXAMPLES ?= $(wildcard examples/plot_*.py)
OF_ONE_VERSION = $(patsubst %,--ignore=tests/test_%.py,criteria docs docs_sources \
	docs_tables docstrings examples floors packaging readme typing)
DATA_FLAG = $(if $(DATA),--data '$(DATA)')

export MPLBACKEND = Agg
# Nothing is compiled on installing, which is slow: what is imported is, and only once.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo examples test test-oldest bench bench-peers docs docs-test lint setup clean

demo: .venv/.demo
	.venv/bin/python examples/run.py examples/plot_compress_digits.py $(PICTURE)

examples: .venv/.demo
	mkdir -p $(PICTURES)
	for script in $(EXAMPLES); do \
		.venv/bin/python examples/run.py $$script \
			$(PICTURES)/$$(basename $$script .py).png || exit; \
	done

test: .venv/.test
	.venv/bin/python -m pytest -n auto --dist loadgroup $(PYTEST_FLAGS)

test-oldest: .venv-oldest/.test
	.venv-oldest/bin/python -m pytest -n auto --dist loadgroup $(OF_ONE_VERSION) \
		$(PYTEST_FLAGS)

bench: .venv/.test
	.venv/bin/python benchmarks/speed.py
	.venv/bin/python benchmarks/memory.py
	.venv/bin/python benchmarks/startup.py
	.venv/bin/python benchmarks/time_to_error.py $(DATA_FLAG)
	.venv/bin/python benchmarks/code_scale.py $(DATA_FLAG)
	.venv/bin/python benchmarks/choose_size.py
	.venv/bin/python benchmarks/one_row.py
	.venv/bin/python benchmarks/onnx_parity.py
	.venv/bin/python benchmarks/model_files.py
	.venv/bin/python benchmarks/partial_fit.py
	.venv/bin/python benchmarks/checkpoints.py
	.venv/bin/python benchmarks/learning_rate.py
	.venv/bin/python benchmarks/small_data.py $(DATA_FLAG)
	.venv/bin/python benchmarks/long_fits.py $(DATA_FLAG)
	.venv/bin/python benchmarks/images.py $(DATA_FLAG)
	.venv/bin/python benchmarks/family.py $(DATA_FLAG)
	.venv/bin/python benchmarks/quality.py $(DATA_FLAG) $(QUALITY_FLAGS) \
		--methods pca kernel_pca tutorial mlp skae

bench-peers: .venv-bench/.bench
	.venv-bench/bin/python benchmarks/peers_digits.py
	.venv-bench/bin/python benchmarks/map.py $(DATA_FLAG) --rows 10000
	.venv-bench/bin/python benchmarks/quality.py $(DATA_FLAG) $(QUALITY_FLAGS) \
		--output docs/benchmarks/quality_peers.md

docs: .venv/.docs
	rm -rf build/docs build/doctrees docs/generated  # or what is gone stays
	.venv/bin/python -m sphinx -W --keep-going -q -d build/doctrees $(SPHINX_FLAGS) \
		docs build/docs
	@echo "Pages: build/docs/index.html"

# Needs Chromium and its driver, Debian's packages chromium and chromium-driver, say.
docs-test: docs .venv/.test
	SKAE_SITE=required .venv/bin/python -m pytest tests/test_site.py $(PYTEST_FLAGS)

lint: .venv/.test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/codespell

setup: .venv/.test .venv-oldest/.test

.venv/.demo: pyproject.toml constraints.txt
	@echo "Installing into .venv; this takes some minutes."
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/$(PIP_INSTALL) -c constraints.txt -e '.[plot]'
	@touch $@

.venv/.test: .venv/.demo
	.venv/$(PIP_INSTALL) -c constraints.txt -e '.[test]'
	@touch $@

.venv/.docs: .venv/.demo
	.venv/$(PIP_INSTALL) -c constraints.txt -e '.[docs]'
	@touch $@

.venv-oldest/.test: pyproject.toml constraints-oldest.txt
	@echo "Installing into .venv-oldest; this takes some minutes."
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/$(PIP_INSTALL) -c constraints-oldest.txt -e '.[test]'
	@touch $@

.venv-bench/.bench: pyproject.toml constraints.txt benchmarks/requirements.txt
	@echo "Installing into .venv-bench; this takes some minutes."
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/$(PIP_INSTALL) -c constraints.txt -r benchmarks/requirements.txt -e .
	@touch $@

clean:
	rm -rf .venv .venv-oldest .venv-bench build dist *.egg-info .pytest_cache .ruff_cache
	rm -rf $(PICTURE) docs/auto_examples docs/generated
	find skae tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +
