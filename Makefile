# `make` prints the targets; what stands behind `##` is their help.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Outside the checkout, so that every checkout, and a clean one too, finds wasmtime built; and outside of the cache of
# compiled guests, in which there may be nothing else.
CARGO_TARGET_DIR ?= $(HOME)/.cache/wasmpool-target
export CARGO_TARGET_DIR

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)

# The pinned compiler may be there under the name `stable` alone, on a machine that may not fetch another.
ifeq ($(shell rustup run $(TOOLCHAIN) rustc --version 2>/dev/null),)
ifneq ($(filter $(TOOLCHAIN),$(shell rustup run stable rustc --version 2>/dev/null)),)
export RUSTUP_TOOLCHAIN := stable
endif
endif

# One profile for everything, and never `--workspace`, which would unify features: either would build wasmtime again.
CARGO_FLAGS := --release --locked

# Guests are a workspace of their own, with a target folder of its own.
GUESTS := primes text tour sharing hello files hostile
WASM := wasm32-wasip1
GUEST_TARGET_DIR := $(CARGO_TARGET_DIR)/guests
GUEST_CARGO := CARGO_TARGET_DIR=$(GUEST_TARGET_DIR) cargo
GUEST_FLAGS := --release --locked --manifest-path guest-tasks/Cargo.toml

WASMPOOL := $(CARGO_TARGET_DIR)/release/wasmpool
PACKAGE := wasmpool-$(VERSION)-$(shell uname -m)-linux

.PHONY: help
help: ## Print this list
	@awk -F ' *## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: guests build ## Count primes: below 800,000 in parts, then as one number, then far enough to see the speed-up
	$(WASMPOOL) run guests/primes.wasm --range 0..800000 --step 100000 --each --format text
	$(WASMPOOL) run guests/primes.wasm --range 1..800000
	$(WASMPOOL) run guests/primes.wasm --range 1..10000000

.PHONY: guests
guests: wasm-target ## Build the guests into guests/
	$(GUEST_CARGO) build $(GUEST_FLAGS) --target $(WASM)
	mkdir -p guests
	cp $(GUESTS:%=$(GUEST_TARGET_DIR)/$(WASM)/release/%.wasm) guests/

# Asks rustup only where the target is missing: it may have no network, or not be there at all.
.PHONY: wasm-target
wasm-target:
	@test -d "$$(rustc --print target-libdir --target $(WASM))" || rustup target add $(WASM)

.PHONY: build
build: ## Build the wasmpool command
	cargo build $(CARGO_FLAGS)

.PHONY: test
test: guests build ## Run every test but the long ones
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run $(CARGO_FLAGS); \
	else \
		cargo test $(CARGO_FLAGS) --lib --bins --tests; \
	fi
	cargo test $(CARGO_FLAGS) --doc
	cargo test $(CARGO_FLAGS) -p wasmpool-model
	cargo test $(CARGO_FLAGS) -p wasmpool-fuzz
	$(GUEST_CARGO) test $(GUEST_FLAGS)

.PHONY: soak
soak: guests build ## Run the long forms of the tests
	WASMPOOL_SOAK=1 cargo test $(CARGO_FLAGS) --lib --bins --tests
	WASMPOOL_SOAK=1 cargo test $(CARGO_FLAGS) -p wasmpool-model
	WASMPOOL_SOAK=1 cargo test $(CARGO_FLAGS) -p wasmpool-fuzz -- --nocapture

.PHONY: faults
faults: guests build ## Run the tests of each case of the catalogue of faults, and write the table of SPECIFICATION.md
	cargo bench --locked --bench faults

.PHONY: fuzz
fuzz: ## Run each reader of hostile bytes 10,000,000 times over changed input
	WASMPOOL_SOAK=1 cargo test $(CARGO_FLAGS) -p wasmpool-fuzz --test targets -- --nocapture

.PHONY: lint
lint: wasm-target ## Check the format, and run clippy with warnings denied
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path guest-tasks/Cargo.toml
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	cargo clippy $(CARGO_FLAGS) -p wasmpool-model --all-targets -- -D warnings
	cargo clippy $(CARGO_FLAGS) -p wasmpool-fuzz --lib --tests -- -D warnings
	$(GUEST_CARGO) clippy $(GUEST_FLAGS) --all-targets -- -D warnings
	$(GUEST_CARGO) clippy $(GUEST_FLAGS) --target $(WASM) -- -D warnings

.PHONY: doc
doc: ## Build the documentation of the library, with warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --no-deps

.PHONY: deny
deny: ## Check licences, advisories and sources of the dependencies, if cargo-deny is there
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --locked check; \
		cargo deny --locked --manifest-path guest-tasks/Cargo.toml check --config deny.toml; \
	else \
		echo "cargo-deny is not installed: nothing checked"; \
	fi

.PHONY: bench
bench: guests build ## Run the benchmarks
	cargo bench --locked --bench bench
	cargo bench --locked --bench bench_sharing

.PHONY: peers
peers: guests build ## Run what else could do the job beside wasmpool: Python, wasmtime, GNU parallel, as far as they are there
	cargo bench --locked --bench peers

.PHONY: ci
ci: lint doc test ## Everything that must hold before a change is merged

.PHONY: dist
dist: build ## Pack the stripped command into dist/
	rm -rf dist/$(PACKAGE)
	mkdir -p dist/$(PACKAGE)
	strip -o dist/$(PACKAGE)/wasmpool $(WASMPOOL)
	cp README.md LICENSE LICENSE-APACHE LICENSE-MIT dist/$(PACKAGE)/
	tar --create --gzip --file dist/$(PACKAGE).tar.gz --directory dist --sort=name --owner=0 --group=0 \
		--numeric-owner $(PACKAGE)
	rm -r dist/$(PACKAGE)

.PHONY: clean
clean: ## Remove what was built, wasmtime too
	rm -rf guests dist
	cargo clean
