# SPDX-License-Identifier: MIT
# Each target sets up what it needs and ends with one line that tells the result in numbers.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PORT    ?= 8000
SERIES  ?= 6.1
SECONDS ?= 60

# Also where a user's PATH has no /usr/sbin.
NGINX := $(or $(shell command -v nginx),/usr/sbin/nginx)
WRK   := $(or $(shell command -v wrk),/usr/bin/wrk)

# Its folder has the version in its name, which is known when it is there.
POSTGRES := $(or $(firstword $(wildcard /usr/lib/postgresql/*/bin/initdb)),postgresql)

# The web servers beside nginx, and a FastCGI client, for the tests.
WEB_TOOLS := $(or $(shell command -v lighttpd),/usr/sbin/lighttpd) $(or $(shell command -v apache2),/usr/sbin/apache2) \
             $(or $(shell command -v caddy),/usr/bin/caddy) $(or $(shell command -v cgi-fcgi),/usr/bin/cgi-fcgi)

# Starts a CGI program for each request, which nginx does not.
FCGIWRAP := $(or $(shell command -v fcgiwrap),/usr/sbin/fcgiwrap)

# What the virtual machines are made with; for the debug kernel, what builds a kernel.
VM_TOOLS     := $(or $(shell command -v qemu-system-x86_64),/usr/bin/qemu-system-x86_64) \
                $(or $(shell command -v busybox),/usr/bin/busybox)
KERNEL_TOOLS := /usr/bin/flex /usr/bin/bison /usr/bin/bc /usr/include/gelf.h /usr/include/openssl/ssl.h

C_FILES  := $(wildcard lwcgi/_core/src/*.[ch] lwcgi/lwc/_door/shim.[ch] kmod/*.[ch] kmod/*/*.h tests/vm/suite/*.[ch] tests/unit/*.[ch])
PY_FILES := $(shell find lwcgi demo_apps bench tests docs -name '*.py') setup.py
CORE     := $(wildcard $(addprefix lwcgi/,_core/src/*.[ch] _core/*.py _core/*.h _core/*.txt lwc/_door/[!_]*) kmod/uapi/*.h)

.DELETE_ON_ERROR:
.PHONY: help demo test test-full lint format docs kmod vm vm-engine kmod-debug torture fuzz bench bench-isolation bench-contexts bench-engine bench-init soak clean postgresql

help:
	@echo "make demo [CHECK=1] [PORT=8000]  the isolation at work, behind nginx, in your browser"
	@echo "make test | test-full            lint and all tests | with the slow ones"
	@echo "make lint | format               check the style and the floors | apply the style"
	@echo "make docs                        write the tables of options in docs/ anew"
	@echo "make kmod                        build the kernel module for every kernel it knows"
	@echo "make vm [KERNELS=6.1-cloud,6.12] all its tests, on each of these kernels in a virtual machine"
	@echo "make vm-engine [KERNELS=6.1,6.12] the engine lwc there: its contract, and nginx with 10,000 requests and crashes"
	@echo "make kmod-debug [SERIES=6.1]     its C tests in a kernel that looks for faults (built once: 10 minutes)"
	@echo "make torture [SECONDS=60] [SEED=1]  random programs, then CPython's own tests, each as a request"
	@echo "make fuzz [SECONDS=60]           random bytes into the protocol parser"
	@echo "make bench [QUICK=1]             requests per second beside other servers, and bench-isolation"
	@echo "make bench-isolation [QUICK=1]   what undoing a request costs, and what that depends on"
	@echo "make bench-contexts [QUICK=1]    what light-weight contexts cost beside processes, in virtual machines"
	@echo "make bench-engine [QUICK=1]      the engine lwc beside the others, in virtual machines"
	@echo "make bench-init [QUICK=1]        a slow initialisation for each request, beside the snapshot engines"
	@echo "make soak [ENGINE=rewind] [REQUESTS=20000]  many requests, some crash or hang: nothing may grow"
	@echo "make clean                       remove what these targets made"

demo: $(BIN)/.demo $(NGINX)
	$(BIN)/python -m demo_apps.demo --nginx $(NGINX) --port $(PORT) $(if $(filter-out 0,$(CHECK)),--check)

test: lint $(BIN)/.test $(NGINX) $(WEB_TOOLS) $(WRK) $(FCGIWRAP) $(POSTGRES) $(VM_TOOLS)
	$(BIN)/python -m pytest -q -m "not slow" $(TESTS)

test-full: lint $(BIN)/.test $(NGINX) $(WEB_TOOLS) $(WRK) $(FCGIWRAP) $(POSTGRES) $(VM_TOOLS)
	$(BIN)/python -m pytest -q $(TESTS)

lint: $(BIN)/.test
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	@awk "$$HOUSE_RULES" $(PY_FILES) $(C_FILES)
	@echo "lint: $(words $(PY_FILES)) Python files, $(words $(C_FILES)) C files: clean"

# Small files, each with its licence.
define HOUSE_RULES
FNR == 1 && !/SPDX-License-Identifier: / { print FILENAME ": no licence in line 1"; bad = 1 }
FNR == (FILENAME ~ /[.][ch]$$/ ? 601 : 401) { print FILENAME ": too long, split it by idea"; bad = 1 }
END { exit bad }
endef
export HOUSE_RULES

format: $(BIN)/.test
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

docs: $(BIN)/.test
	$(BIN)/python -m docs.reference

kmod: $(BIN)/.test $(VM_TOOLS)
	$(BIN)/python -m tests.vm.build

vm: $(BIN)/.test $(NGINX) $(VM_TOOLS)
	LWC_KERNELS=$(KERNELS) $(BIN)/python -m pytest -q -m "not engine" --ignore=tests/vm/test_engine.py tests/vm

vm-engine: $(BIN)/.test $(NGINX) $(VM_TOOLS)
	LWC_KERNELS=$(KERNELS) $(BIN)/python -m pytest -q $(wildcard tests/vm/test_engine*.py) tests/vm/test_traffic.py

kmod-debug: $(BIN)/.test $(VM_TOOLS) $(KERNEL_TOOLS)
	$(BIN)/python -m tests.vm --kernel debug-$(SERIES)

torture: $(BIN)/.test
	$(BIN)/python -m tests.torture --verify --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.torture --verify --modules all

fuzz: $(BIN)/.test
	$(BIN)/python -m tests.fuzz $(SECONDS)

bench: $(BIN)/.bench $(NGINX) $(WRK)
	$(BIN)/python -m bench.throughput --nginx $(NGINX) --wrk $(WRK) $(if $(filter-out 0,$(QUICK)),--quick)
	$(BIN)/python -m bench.isolation --nginx $(NGINX) $(if $(filter-out 0,$(QUICK)),--quick)

bench-isolation: $(BIN)/.bench $(NGINX)
	$(BIN)/python -m bench.isolation --nginx $(NGINX) $(if $(filter-out 0,$(QUICK)),--quick)

bench-contexts: $(BIN)/.bench $(VM_TOOLS)
	$(BIN)/python -m bench.contexts $(if $(filter-out 0,$(QUICK)),--quick)

bench-engine: $(BIN)/.bench $(NGINX) $(VM_TOOLS)
	$(BIN)/python -m bench.engines $(if $(filter-out 0,$(QUICK)),--quick)

bench-init: $(BIN)/.bench $(NGINX) $(FCGIWRAP) $(VM_TOOLS)
	$(BIN)/python -m bench.initialised --nginx $(NGINX) $(if $(filter-out 0,$(QUICK)),--quick)

soak: $(BIN)/.demo $(NGINX)
	$(BIN)/python -m bench.soak --nginx $(NGINX) $(if $(ENGINE),--engine $(ENGINE)) $(if $(REQUESTS),--requests $(REQUESTS))

clean:
	rm -rf $(VENV) build lwcgi.egg-info bench/results lwcgi/_core/*.so
	find lwcgi demo_apps bench tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets above need ---------------------------------------------

APT := RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends

# The package in the virtual environment, once per set of extras; anew when its
# C or its metadata changes. Without build isolation: cffi and setuptools are there already.
INSTALL := $(BIN)/pip install --quiet --no-build-isolation --editable

$(BIN)/.demo: $(BIN)/.tools pyproject.toml setup.py $(CORE)
	$(INSTALL) '.[demo]'
	@touch $@

$(BIN)/.test: $(BIN)/.demo
	$(INSTALL) '.[test,lint]'
	@touch $@

$(BIN)/.bench: $(BIN)/.demo
	$(INSTALL) '.[bench]'
	@touch $@

# Debian's python3 comes without venv and without its headers.
$(BIN)/.tools:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -qq && $(APT) python3-venv; }
	@$(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null \
		|| { apt-get update -qq && $(APT) python3-dev; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'setuptools>=77' 'cffi>=1.16'
	@touch $@

# RUNLEVEL=1 (see invoke-rc.d(8)) asks Debian not to start its own nginx on port 80.
$(NGINX):
	apt-get update -qq
	$(APT) nginx

# The programs alone: no cluster is made (see pg_createcluster(1)), and no service started.
CLUSTERS := /etc/postgresql-common/createcluster.d
postgresql:
	apt-get update -qq
	mkdir -p $(CLUSTERS)
	echo 'create_main_cluster = false' > $(CLUSTERS)/lwcgi.conf
	$(APT) postgresql
	rm $(CLUSTERS)/lwcgi.conf

$(WEB_TOOLS) &:
	apt-get update -qq
	$(APT) lighttpd apache2-bin caddy libfcgi-bin

$(WRK):
	apt-get update -qq
	$(APT) wrk

# Its socket unit is for systemd; RUNLEVEL=1 keeps it from being started.
$(FCGIWRAP):
	apt-get update -qq
	$(APT) fcgiwrap

# libelf and libssl are what the kernel's own tools need that build modules.
$(VM_TOOLS) &:
	apt-get update -qq
	$(APT) qemu-system-x86 busybox-static xz-utils libelf1 libssl3

$(KERNEL_TOOLS) &:
	apt-get update -qq
	$(APT) flex bison bc libelf-dev libssl-dev
