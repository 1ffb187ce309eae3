.DEFAULT_GOAL := help
.PHONY: help demo check test test-kernel test-portable test-pythons test-selectors coverage mutants soak fuzz bench docs deb fix lock clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## make .venv and show a simulated phone, the daemon and a forwarded port
	@scripts/setup
	@.venv/bin/usbmux demo

check: ## before every commit: format, lint, types, imports and the quick tests
	@scripts/check

test: ## everything, the programs of others included; installs what it needs
	@scripts/test

test-kernel: ## only the tests on a real kernel, in QEMU; a part of test
	@scripts/test-kernel

test-portable: ## the tests that run on every system: protocols, client, simulated phone over TCP
	@scripts/test-portable

test-pythons: ## those and more of the library, with each Python from 3.11 to 3.15 that is here: VERSIONS
	@scripts/test-pythons $(VERSIONS)

test-selectors: ## the daemon's sockets and the client as on systems without epoll (macOS), and without poll (Windows)
	@scripts/test-selectors

coverage: ## show the branches of both protocols that no test takes
	@scripts/setup
	@.venv/bin/pytest -m "not interop and not slow" --cov --cov-report=term-missing

soak: ## millions of random steps of the engine against a strict phone: SEED, STEPS, SECONDS
	@scripts/soak $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) $(if $(SECONDS),--seconds $(SECONDS))

fuzz: ## hostile bytes for the parsers and the device side: TARGET (all of them), SECONDS (60 each)
	@scripts/fuzz "$(TARGET)" $(SECONDS)

mutants: ## break the heart of mux in every small way and show what no test notices; takes minutes
	@scripts/mutants

bench: ## beside Debian's usbmuxd, on an emulated bus: rates, CPU, memory; ARGUMENTS (--quick, --row NAME, ...)
	@scripts/setup
	@.venv/bin/python -m bench $(ARGUMENTS)

docs: ## make the documentation site, in .build/docs
	@scripts/docs

deb: ## make the Debian package, in dist
	@scripts/deb

fix: ## format, and mend what the linter can mend
	@scripts/setup
	@.venv/bin/ruff check --fix-only
	@.venv/bin/ruff format

lock: ## pin the requirements anew
	@scripts/setup
	@scripts/lock

clean: ## remove all that was made
	rm -rf .venv .build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +
