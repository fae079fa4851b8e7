# From a fresh clone, each target does all of its own set-up.
#   make demo   classify real video files, fine-tune on other classes, save, load, classify
#   make test   lint and the whole test suite on TensorFlow, JAX and PyTorch
#   make clean  remove what the other targets made

PYTHON ?= python3
BACKENDS ?= jax torch tensorflow
# PyTorch's version is pinned: other versions may bring gigabytes of CUDA libraries.
TORCH ?= torch==2.13.0
WORKERS ?= 2

.PHONY: demo test lint clean

demo: .venv-demo/installed
	KERAS_BACKEND=jax .venv-demo/bin/python examples/demo.py --to demo

test: .venv/installed lint
	for backend in $(BACKENDS); do \
	  echo "== tests on $$backend"; \
	  KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python -m pytest -q -n $(WORKERS) \
	    --dist loadfile tests || exit 1; \
	done

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --upgrade pip
	.venv/bin/python -m pip install -q $(TORCH)
	.venv/bin/python -m pip install -q -e '.[dev,jax,tensorflow-cpu,plots,safetensors]'
	touch $@

.venv-demo/installed: pyproject.toml
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install -q --upgrade pip
	.venv-demo/bin/python -m pip install -q -e '.[jax,plots]'
	touch $@

clean:
	rm -rf .venv .venv-demo demo build dist .pytest_cache .ruff_cache
