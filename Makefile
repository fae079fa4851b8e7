# From a fresh clone, each target does all of its own set-up.
#   make demo   classify real video files, fine-tune on other classes, save, load, classify
#   make test   lint and the whole test suite on TensorFlow, JAX and PyTorch
#   make test-quick   two minutes of it on one backend (BACKEND=torch), for daily work
#   make test-oldest  the oldest versions that pyproject.toml allows, in an environment of its own
#   make test-s3  train a step from S3 paths, served on loopback, in an environment of its own
#   make test-track  track a training by Weights & Biases and MLflow, in an environment of its own
#   make test-ray  a Ray cluster on this machine with workers that are killed, in an environment of its own
#   make test-app  try the page of `keras-mlp3d app` with a real browser, in an environment of its own
#   make bench-peers  our networks next to those of torchvision and transformers, in an environment of its own
#   make docs   build the documentation as a site, in `site`; a warning or a broken link is an error
#   make clean  remove what the other targets made

PYTHON ?= python3
BACKENDS ?= jax torch tensorflow
# PyTorch's version is pinned: other versions may bring gigabytes of CUDA libraries.
TORCH ?= torch==2.13.0
WORKERS ?= 2
BACKEND ?= torch
# Two workers take whole files, in the order of tests/conftest.py: the longest first.
PYTEST = TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python -m pytest -q -n $(WORKERS) --dist loadfile \
  --no-loadscope-reorder

.PHONY: demo test test-quick test-oldest test-s3 test-track test-ray test-app \
  bench-peers docs lint clean

demo: .venv-demo/installed
	KERAS_BACKEND=jax .venv-demo/bin/python examples/demo.py --to demo

# What needs no backend runs once, on NumPy; the rest on each backend.
test: .venv/installed lint
	echo "== tests that need no backend"
	KERAS_BACKEND=numpy $(PYTEST) -m backend_free tests
	for backend in $(BACKENDS); do \
	  echo "== tests on $$backend"; \
	  KERAS_BACKEND=$$backend $(PYTEST) -m "not backend_free" tests || exit 1; \
	done

test-quick: .venv/installed
	KERAS_BACKEND=$(BACKEND) $(PYTEST) -m quick tests

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# tests/oldest checks that these are the lower bounds of pyproject.toml. PyTorch is the exception:
# for Linux, older CPU builds are on PyTorch's own index alone, and those on PyPI bring gigabytes of
# CUDA (7 GB in all); with them, or pip set up for that index: make test-oldest OLDEST_TORCH=torch==2.6.0
OLDEST = keras==3.13.0 numpy==1.26.0 huggingface-hub==1.33.0 av==17.0.0 jax==0.6.0 \
  jaxlib==0.6.0 tensorflow-cpu==2.18.1
OLDEST_TORCH ?= $(TORCH)

test-oldest: .venv-oldest/installed
	for backend in $(BACKENDS); do \
	  KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 .venv-oldest/bin/python -W ignore \
	    tests/oldest/use_the_package.py || exit 1; \
	done

test-s3: .venv-s3/installed
	TF_CPP_MIN_LOG_LEVEL=2 .venv-s3/bin/python tests/s3/train_from_s3.py

test-track: .venv-track/installed
	.venv-track/bin/python tests/track/use_services.py

.venv-track/installed: pyproject.toml
	$(PYTHON) -m venv .venv-track
	.venv-track/bin/python -m pip install -q --upgrade pip
	.venv-track/bin/python -m pip install -q $(TORCH)
	.venv-track/bin/python -m pip install -q -e '.[wandb,mlflow]'
	touch $@

# By its name the file is no part of the suite; pytest runs it as it is named here.
test-ray: .venv-ray/installed
	KERAS_BACKEND=$(BACKEND) TF_CPP_MIN_LOG_LEVEL=3 RAY_USAGE_STATS_ENABLED=0 \
	  .venv-ray/bin/python -m pytest -q -W ignore \
	  -p no:unraisableexception tests/ray/on_a_cluster.py

.venv-ray/installed: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install -q --upgrade pip
	.venv-ray/bin/python -m pip install -q $(TORCH)
	.venv-ray/bin/python -m pip install -q 'pytest>=8' -e '.[$(BACKEND),ray]'
	touch $@

# Debian's Chromium and its driver come from apt, which needs root: the check is before the install.
test-app:
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  echo "make test-app needs Chromium and its driver: apt-get install chromium chromium-driver"; \
	  exit 1; \
	fi
	$(MAKE) .venv-app/installed
	KERAS_BACKEND=jax .venv-app/bin/python tests/app/try_the_page.py --screenshot build/app.png

.venv-app/installed: pyproject.toml
	$(PYTHON) -m venv .venv-app
	.venv-app/bin/python -m pip install -q --upgrade pip
	.venv-app/bin/python -m pip install -q 'selenium>=4.25' -e '.[jax,app]'
	touch $@

# The version of torchvision is the one made for this PyTorch.
TORCHVISION ?= torchvision==0.28.0
TRANSFORMERS ?= transformers==5.24.0

bench-peers: .venv-peers/installed
	.venv-peers/bin/python benchmarks/peers.py --output runs/peers.json
	.venv-peers/bin/python benchmarks/peers.py --page runs/peers.json

.venv-peers/installed: pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q --upgrade pip
	.venv-peers/bin/python -m pip install -q $(TORCH)
	.venv-peers/bin/python -m pip install -q $(TORCHVISION) $(TRANSFORMERS) -e .
	touch $@

# tests/docs/test_site.py builds the same site, so `make test` fails as this does.
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict
	@echo "open site/index.html"

.venv-docs/installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install -q --upgrade pip
	.venv-docs/bin/python -m pip install -q -e '.[docs]'
	touch $@

.venv-s3/installed: pyproject.toml
	$(PYTHON) -m venv .venv-s3
	.venv-s3/bin/python -m pip install -q --upgrade pip
	.venv-s3/bin/python -m pip install -q 'tensorflow-cpu==2.17.*' 'tensorflow-io==0.37.1' \
	  'moto[server]>=5' boto3 -e '.[shards]'
	touch $@

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -q --upgrade pip
	.venv-oldest/bin/python -m pip install -q $(OLDEST) $(OLDEST_TORCH)
	.venv-oldest/bin/python -m pip install -q --no-deps -e .
	touch $@

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --upgrade pip
	.venv/bin/python -m pip install -q $(TORCH)
	.venv/bin/python -m pip install -q -e '.[dev,docs,sweep,jax,tensorflow-cpu,plots,safetensors]'
	touch $@

.venv-demo/installed: pyproject.toml
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install -q --upgrade pip
	.venv-demo/bin/python -m pip install -q -e '.[jax,plots]'
	touch $@

clean:
	rm -rf .venv .venv-app .venv-demo .venv-docs .venv-oldest .venv-peers .venv-ray .venv-s3 .venv-track demo \
	  build dist site .mypy_cache .pytest_cache .ruff_cache
