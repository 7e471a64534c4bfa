# `make help` lists the targets. Each makes what it needs, the environment included.
UV := $(if $(shell uv --version 2>/dev/null),uv,.tools/bin/uv)
BIN := .venv/bin
# Each command would otherwise compile the modules of snnb, which is installed as editable, again.
export PYTHONDONTWRITEBYTECODE :=

STAGES := prepare train parse simulate graph map

# A stage in this environment, or with IN=docker in a container of the image that IMAGE names. The container sees this
# folder, the data sets and the run's folder under their own paths, so that a command means the same in both.
$(if $(filter-out docker,$(IN)),$(error IN=$(IN) is not known; there is IN=docker))
IMAGE ?= snnb
DATA := $(or $(SNNB_DATA),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/snnb)
RUNS := $(abspath $(if $(RUN),$(dir $(RUN)),$(or $(SNNB_RUNS),runs)))
IN_DOCKER = docker run --rm $(DOCKER_ARGS) --user "$$(id -u):$$(id -g)" --volume "$(CURDIR):$(CURDIR)" --workdir "$(CURDIR)" \
	--volume "$(DATA):$(DATA)" --env SNNB_DATA="$(DATA)" --volume "$(RUNS):$(RUNS)" --env SNNB_RUNS="$(RUNS)" $(IMAGE)
OPTIONS = $(if $(MODEL),--model "$(MODEL)") $(if $(RUN),--run-dir "$(RUN)") $(ARGS)

.PHONY: $(STAGES) help setup demo instances test test-slow test-all test-browser test-newest test-base test-gpu test-on-gpu test-privileged image image-test lint format docs site picture record-fixtures record-model-files bench speed conversion-table model-matrix locks clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'make prepare|train|parse|simulate|graph|map MODEL=lenet_cifar10 [RUN=runs/mine] [ARGS="--epochs 5"] [IN=docker]'
	@echo '                      a stage, with what has to run first; in a container: [IMAGE=snnb:cpu] [DOCKER_ARGS="--gpus all"]'

setup: .venv/ready ## make .venv with Python 3.8, all packages of the lock, and snnb

.tools/bin/uv:
	python3 -m pip install -qq --target .tools uv || { python3 -m venv .tools && .tools/bin/python -m pip install --quiet uv; }

# `stages` has the packages of the stages; `ready` also those of all extras, of the tests and of development.
.venv/stages: requirements-cpu.lock
.venv/ready: requirements-dev.lock
.venv/stages .venv/ready: pyproject.toml | $(filter .tools/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing .venv
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python $(filter %.lock,$^)
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	touch $@

demo: $(or $(wildcard .venv/ready),.venv/stages) ## a trained network from its file to the cores of a chip, with the report to look at
	$(BIN)/snnb map --model digits_example --run-dir runs/demo --hardware spinemap_5x5
	$(BIN)/snnb status runs/demo
	$(BIN)/snnb report runs/demo

$(STAGES): $(if $(filter docker,$(IN)),,setup)
ifeq ($(IN),docker)
	@docker image inspect $(IMAGE) >/dev/null 2>&1 || { echo "no image $(IMAGE) here; \`make image\` builds it" >&2; exit 1; }
	@mkdir -p "$(DATA)" "$(RUNS)"
	$(IN_DOCKER) $@ $(OPTIONS)
else
	$(BIN)/snnb $@ $(OPTIONS)
endif

GATE := -n 2 --dist worksteal --hypothesis-profile=gate

test: setup ## the fast tests, on two cores; what is drawn at random is the same each time
	@echo 'about 9 minutes on two idle cores; on a new machine 2 more, to compile loops'
	$(BIN)/pytest $(GATE)

SPECIAL := not gpu and not container and not browser and not privileged

test-slow: setup ## the slow tests but those of the largest networks; TESTS="tests/stages" selects some
	$(BIN)/pytest $(GATE) -m "slow and not large and $(SPECIAL)" $(TESTS)

test-all: setup ## the fast tests and all slow ones, drawn anew each time; takes hours
	$(BIN)/pytest -n 2 --dist worksteal -m "$(SPECIAL)"

test-browser: setup ## the tests that look at pages in headless Chromium
	$(BIN)/pytest -m browser

# The newest Python on this machine that can make an environment. The toolbox is for 3.8 only: its tests are skipped there.
NEWEST := $(firstword $(foreach minor,13 12 11 10 9,$(shell python3.$(minor) -c 'import sys; print(sys.executable)' 2>/dev/null)) \
	$(shell /usr/bin/python3 -c 'import sys; print(sys.executable)' 2>/dev/null))
NEWEST_BIN := .venv-newest/bin

.venv-newest/ready: pyproject.toml | $(filter .tools/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing --python $(NEWEST) .venv-newest
	$(UV) pip install --quiet --python $(NEWEST_BIN)/python --editable '.[newest]'
	touch $@

test-newest: .venv-newest/ready ## the fast tests but the toolbox's, with their coverage, and a run, with TensorFlow of today on the newest Python here
	$(NEWEST_BIN)/python --version
	$(NEWEST_BIN)/snnb run --model mini_network --run-dir "$$(mktemp -d)/run"
	COVERAGE_CORE=sysmon $(NEWEST_BIN)/python -m pytest $(GATE) --cov=snnb --cov-report=term:skip-covered

test-base: | $(filter .tools/bin/uv,$(UV)) ## the network of the tutorial from its file to a chip, with the base install on the newest Python here
	rm -rf build .venv-base
	$(UV) venv --quiet --python $(NEWEST) .venv-base
	$(UV) pip install --quiet --python .venv-base/bin/python .
	folder=$$(mktemp -d) && cd "$$folder" && PATH="$(CURDIR)/.venv-base/bin:$$PATH" && \
	snnb map --model digits_example --hardware spinemap_5x5 && snnb report runs/digits_example
	rm -rf .venv-base

test-gpu: ## the tests on a GPU: training, the engine tensorflow, and both in the images; a line where there is no GPU
	@if nvidia-smi --list-gpus 2>/dev/null; then $(MAKE) test-on-gpu; else echo "SKIPPED test-gpu: nvidia-smi lists no GPU"; fi

test-on-gpu: setup .venv-newest/ready
	$(UV) pip install --quiet --python $(NEWEST_BIN)/python 'tensorflow[and-cuda]'
	$(NEWEST_BIN)/python -m pytest -m "gpu and not container"
	@if docker version >/dev/null 2>&1; then docker/build gpu today-cuda && $(BIN)/pytest -m "gpu and container" tests/container; \
	else echo "SKIPPED the images of test-gpu: there is no Docker daemon"; fi

test-privileged: setup ## the tests that mount full and read-only disks; needs root
	$(BIN)/pytest -n 2 -m privileged

image: ## build the images snnb:cpu, snnb:today and snnb:gpu, the last also as snnb
	docker/build

image-test: setup ## build the images and run every stage in each
	docker/image-test

lint: setup ## format, style, types, the direction of imports, rules of the project, the Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_house.py
	$(BIN)/hadolint docker/Dockerfile

format: setup ## put the code into the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## write the command reference, the keywords of snnb.Run and the quantities anew
	$(BIN)/python docs/make_cli_reference.py
	$(BIN)/python docs/make_keywords.py
	$(BIN)/python docs/make_quantities.py

.venv-site/ready: requirements-site.lock | $(filter .tools/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing .venv-site
	$(UV) pip sync --quiet --require-hashes --python .venv-site/bin/python requirements-site.lock
	touch $@

# Not quietly: then mkdocs counts no warnings. The variable silences what the theme's authors tell about a coming version of mkdocs.
site: setup .venv-site/ready ## write the documentation, with the JSON schemas of the commands, as a site to site/; a warning fails it
	$(BIN)/python docs/make_cli_reference.py --schemas
	NO_MKDOCS_2_WARNING=1 .venv-site/bin/mkdocs build --strict
	@echo "site/index.html"

picture: setup ## write the picture of docs/report.md from the demo's report; needs Chromium
	$(BIN)/python docs/make_picture.py runs/demo

record-fixtures: setup ## record anew the small run that the tests of the stages start from
	$(BIN)/python -m tests.fixtures.record

record-model-files: setup ## record anew the models of other programs, each in an environment of its own; takes minutes
	$(BIN)/python tests/fixtures/model_files/record.py

bench: setup ## measure speed and memory beside the usual ways
	$(BIN)/python benchmarks/graph.py
	$(BIN)/python benchmarks/normalise.py
	$(BIN)/python benchmarks/simulate.py

speed: setup ## measure the tables of docs/performance.md anew, with the parsed runs lenet_mnist and rueckauer_cifar10 of SNNB_RUNS [SOURCE=folder with mnist/]; takes an hour
	$(BIN)/python benchmarks/end_to_end.py $(if $(SOURCE),--data "$(SOURCE)") --page
	$(BIN)/python benchmarks/simulate.py lenet_mnist rueckauer_cifar10 --runs "$(RUNS)" --page
	$(BIN)/python benchmarks/peers.py "$(RUNS)/lenet_mnist" --samples 100 --page
	$(BIN)/python benchmarks/normalise.py --page
	$(BIN)/python benchmarks/graph.py generate networks --page

conversion-table: setup ## convert the networks of keras.applications and write docs/keras-networks.csv; takes half an hour
	$(BIN)/python benchmarks/conversion_table.py

model-matrix: setup ## run every model at full size and write docs/model-matrix.csv; takes an hour
	$(BIN)/python benchmarks/model_matrix.py

instances: setup ## make an instance anew from its recorded network: NAME=lenet_t16 [SOURCE=folder of the data set]
	$(BIN)/python benchmarks/instances/make.py $(NAME) $(if $(SOURCE),--source "$(SOURCE)")

COMPILE = $(UV) pip compile --quiet --python-version 3.8 --generate-hashes --no-emit-index-url
CPU_ONLY := --override overrides-cpu.txt

locks: | $(filter .tools/bin/uv,$(UV)) ## write the lock files anew
	$(COMPILE) --extra gpu --extra cluster pyproject.toml -o requirements.lock
	$(COMPILE) --extra train --extra cluster $(CPU_ONLY) pyproject.toml -o requirements-cpu.lock
	$(COMPILE) --extra dev $(CPU_ONLY) pyproject.toml -o requirements-dev.lock
	$(COMPILE) --group site -o requirements-site.lock

clean: ## remove the environment and caches; run directories stay
	rm -rf .venv .venv-base .venv-newest .venv-site .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build site *.egg-info
