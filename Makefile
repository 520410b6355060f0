# SPDX-License-Identifier: MIT
# A front for meson: each target sets up what it needs. `make help` lists them.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := all
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: ## install the Debian packages that are missing
	@scripts/setup

.PHONY: all build
all: build ## build library, command and tests with gcc (the default)
build: setup
	@test -f $(BUILD)/build.ninja || CC=gcc CXX=g++ meson setup --prefix $(PREFIX) $(BUILD)
	@ninja -j $(JOBS) -C $(BUILD)

.PHONY: demo
demo: build ## a real file through the zero-copy pipe, in less than a minute
	@scripts/demo

.PHONY: check
check: setup ## what every change must pass; 5 minutes or less
	@scripts/check short

.PHONY: check-long
check-long: setup ## the rest: analyzers, valgrind, VMs, torture, fuzzing, seeded faults
	@scripts/check long

.PHONY: test
test: build ## the tests of the gcc build only
	@meson test -C $(BUILD) --print-errorlogs

.PHONY: lint
lint: setup ## clang-format, clang-tidy, cppcheck
	@scripts/check format tidy cppcheck

.PHONY: format
format: setup ## rewrite the sources in the project's style
	@git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: asan ubsan tsan valgrind
asan ubsan: setup ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/check sanitizers
tsan: setup ## the tests that have threads under ThreadSanitizer
	@scripts/check tsan
valgrind: setup ## the tests under valgrind
	@scripts/check valgrind

.PHONY: fuzz
fuzz: setup ## the fuzz targets, FUZZ_SECONDS each (600)
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) scripts/check fuzz

.PHONY: mutants
mutants: setup ## seeded faults: each must make its test fail
	@scripts/check mutants

.PHONY: check-vm vm-shell
check-vm: ## tests with the kernel's own dma-bufs, on Debian's kernels in QEMU
	@scripts/check vm
vm-shell: build ## a prompt in such a machine
	@scripts/setup vm
	@vm/run --shell -b $(BUILD)

.PHONY: model
model: setup ## the reservation protocol under spin, and the faults seeded in it
	@model/run all

.PHONY: bench
bench: build ## one table, JSON and pictures
	@bench/run $(BUILD)

.PHONY: coverage-doc
coverage-doc: build ## rewrite the tests column of docs/coverage.md
	@scripts/coverage-check --write

.PHONY: install
install: build ## install under PREFIX (/usr/local), DESTDIR is honoured
	@meson configure --prefix $(PREFIX) $(BUILD)
	@meson install -C $(BUILD)

.PHONY: clean
clean: ## remove everything that was built
	@rm -rf build build-*
