# Cardshop, on one machine. "make help" tells the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
STACK := var/stack
BASES := var/bases

PACKAGES := cardshop scheduler monitor beat creator writer manager warehouse
HELPER := writer-helper
LONGEST_MODULE := 400
SERVICES := scheduler monitor beat creator writer manager warehouse

PIP_COMPILE := var/lock/bin/pip-compile
COMPILE := $(PIP_COMPILE) --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--annotation-style line --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
# Cardshop's extras name Cardshop itself: that line has no hash, and belongs to the checkout.
NOT_OURS := /^\# WARNING: pip install/,/^cardshop @/d

SEED := 1
ORDERS := 200
MOMENTS := 50
# Processes that test at once: most tests wait for others most of the time.
TESTERS := 2

PACKAGES_STAMP := $(VENV)/packages.stamp
STAMP := $(VENV)/setup.stamp

.PHONY: help setup up down status demo check test test-boot boot-arm64 chaos chaos-cards test-containers screenshots wheels deb base-amd64 base-arm64 lock lock-services clean

help: ## Show this help
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	while IFS='|' read -r target text; do printf '  make %-16s %s\n' "$$target" "$$text"; done

setup: $(STAMP) ## Install what is missing: Debian packages (root or sudo), then Python's in .venv

$(PACKAGES_STAMP): cardshop/stack/packages.apt
	@sh cardshop/stack/install_packages.sh $<
	@mkdir -p $(@D) && touch $@

$(STAMP): $(PACKAGES_STAMP) requirements.lock pyproject.toml $(wildcard $(HELPER)/pyproject.toml)
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --require-hashes --requirement requirements.lock
	$(PYTHON) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@test ! -e $(HELPER)/pyproject.toml || \
	$(PYTHON) -m pip install --quiet --no-deps --no-build-isolation --editable $(HELPER)
	@touch $@

up: base-amd64 ## Start everything on loopback, and wait until it works
	@$(PYTHON) -m cardshop.stack up --folder $(STACK)

down: $(STAMP) ## Stop everything
	@$(PYTHON) -m cardshop.stack down --folder $(STACK)

status: $(STAMP) ## Show what runs
	@$(PYTHON) -m cardshop.stack status --folder $(STACK)

demo: base-amd64 ## Take an order through to two verified cards, and prove them
	@$(PYTHON) -m cardshop.demo

check: $(STAMP) ## Check the code: ruff, mypy, import contracts, size of modules
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy $(PACKAGES) $(wildcard $(HELPER)/writer_helper) tests $(wildcard bench/*.py)
	$(VENV)/bin/lint-imports
	@git ls-files --cached --others --exclude-standard '*.py' | xargs wc -l | \
	awk '$$2 != "total" && $$1 > $(LONGEST_MODULE) { print $$2 " has " $$1 " lines: more than $(LONGEST_MODULE)"; bad = 1 } \
	     END { exit bad }'

test: $(STAMP) check ## Check the code, then run all tests with the real services
	@$(PYTHON) -m pytest --numprocesses $(TESTERS) --dist loadfile --ignore tests/containers --ignore tests/boot

test-boot: base-amd64 ## Start cards of the real amd64 base in a virtual machine (some minutes)
	@$(PYTHON) -m pytest tests/boot --ignore tests/boot/test_raspberry_pi.py

boot-arm64: base-arm64 ## Start a card of the arm64 base on QEMU's virt and raspi3b boards (logs in var/boot; some minutes)
	@$(PYTHON) -m pytest tests/boot/test_raspberry_pi.py

chaos: $(STAMP) ## Kill all parts again and again while orders are worked at (SEED=1 ORDERS=200; root)
	@$(PYTHON) -m tests.chaos --seed $(SEED) --orders $(ORDERS)

chaos-cards: $(STAMP) ## Kill and cut at MOMENTS=50 moments of cards being made by four writers (SEED=1; root)
	@$(PYTHON) -m tests.chaos --seed $(SEED) --moments $(MOMENTS) --content-mb 100 --folder var/chaos-cards

test-containers: $(STAMP) ## Take an order to a verified card in containers (needs Docker, or root to start it)
	@docker version >/dev/null 2>&1 || command -v dockerd >/dev/null || \
	sh cardshop/stack/install_packages.sh tests/containers/packages.apt
	@$(PYTHON) -m pytest tests/containers

screenshots: $(STAMP) ## Take the pictures of docs/screenshots anew, from the real pages and screens
	@$(PYTHON) -m pytest tests/journeys/test_browser.py tests/journeys/test_technician_screens.py \
	    tests/journeys/test_portal_search.py --screenshots docs/screenshots

wheels: $(STAMP) ## Make the packages that a host of writers installs (dist/)
	rm -rf build $(HELPER)/build
	$(PYTHON) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./$(HELPER)

deb: wheels ## Make the Debian package of writer-helper, with all that it needs (dist/)
	@sh $(HELPER)/debian/build.sh dist $(PYTHON)

bench-dispatch: $(STAMP) ## Measure how soon an accepted order reaches a worker, beside plain Celery (some minutes)
	@$(PYTHON) -m bench.dispatch

bench-monitor: $(STAMP) ## Measure how fast events are folded, beside Flower (some minutes)
	@$(PYTHON) -m bench.monitor

bench-writer: $(STAMP) ## Measure how long a verified card takes, beside dd + cmp and bmaptool (half an hour, 40 GB; root)
	@$(PYTHON) -m bench.writer

bench-creator: base-amd64 ## Measure how long an image takes, beside cp, a loop mount, mke2fs and Offspot's image-creator (50 GB)
	@$(PYTHON) -m bench.creator

differential: $(STAMP) ## Compare with Offspot's image-creator, the same YAML on the same base (IMAGE_CREATOR=PROGRAM; root)
	@$(PYTHON) -m tests.differential

base-amd64: $(STAMP) ## Build the base image for a virtual machine (a minute or two)
	@mkdir -p $(BASES)
	@$(PYTHON) -m creator.base --architecture amd64 --output $(BASES)

base-arm64: $(STAMP) ## Build the base image for a Raspberry Pi (half an hour on another architecture)
	@mkdir -p $(BASES)
	@$(PYTHON) -m creator.base --architecture arm64 --output $(BASES)

lock: $(PIP_COMPILE) ## Choose the versions of Python's packages anew (requirements.lock, and one a service)
	# writer-helper asks for Cardshop by its version, which no index has.
	var/lock/bin/pip wheel --quiet --no-deps --wheel-dir var/lock/wheels .
	PIP_FIND_LINKS=var/lock/wheels $(COMPILE) --upgrade --all-build-deps --extra dev \
	    --output-file var/lock/chosen pyproject.toml $(wildcard $(HELPER)/pyproject.toml)
	sed '$(NOT_OURS)' var/lock/chosen > requirements.lock
	$(MAKE) --no-print-directory lock-services

$(PIP_COMPILE): | $(STAMP)
	$(PYTHON) -m venv var/lock
	var/lock/bin/pip install --quiet pip-tools

lock-services: $(SERVICES:%=%/requirements.lock) ## Give each service's image its part of requirements.lock

%/requirements.lock: requirements.lock pyproject.toml | $(PIP_COMPILE)
	$(COMPILE) --constraint requirements.lock --extra $* --output-file var/lock/$* pyproject.toml
	@# A pin's place in requirements.lock says nothing here.
	sed '$(NOT_OURS);s/# via -c requirements.lock, /# via /' var/lock/$* > $@

clean: ## Stop everything, and remove all that was made here (data of the local stack too)
	@test ! -x $(PYTHON) || $(PYTHON) -m cardshop.stack down --folder $(STACK)
	rm -rf var $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info $(HELPER)/*.egg-info
