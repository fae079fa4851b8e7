# From a fresh clone, each target does all of its own set-up.
#   make demo   classify real video files, fine-tune on other classes, save, load, classify
#   make test   lint and the whole test suite on TensorFlow, JAX and PyTorch
#   make test-s3  train a step from S3 paths, served on loopback, in an environment of its own
#   make clean  remove what the other targets made

PYTHON ?= python3
BACKENDS ?= jax torch tensorflow
# PyTorch's version is pinned: other versions may bring gigabytes of CUDA libraries.
TORCH ?= torch==2.13.0
WORKERS ?= 2

.PHONY: demo test test-s3 lint clean

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

test-s3: .venv-s3/installed
	TF_CPP_MIN_LOG_LEVEL=2 .venv-s3/bin/python tests/s3/train_from_s3.py

.venv-s3/installed: pyproject.toml
	$(PYTHON) -m venv .venv-s3
	.venv-s3/bin/python -m pip install -q --upgrade pip
	.venv-s3/bin/python -m pip install -q 'tensorflow-cpu==2.17.*' 'tensorflow-io==0.37.1' \
	  'moto[server]>=5' boto3 -e '.[shards]'
	touch $@

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
	rm -rf .venv .venv-demo .venv-s3 demo build dist .pytest_cache .ruff_cache
