# The two commands of the README, and what they share. libtorch is found or fetched by .ci/libtorch.
SHELL := /bin/bash -eu -o pipefail
BUILD = libtorch=$$(.ci/libtorch) && LIBTORCH=$$libtorch cargo build --release --locked
MSTAR = LIBTORCH=$$(.ci/libtorch) cargo run --release --locked --quiet --

.PHONY: quickstart test bench experiments base smol clean

quickstart: ## build in release, evolve the embedded model, print where the report is
	@$(BUILD)
	@$(MSTAR) run recipes/quickstart.toml

test: ## run every test, setting up what it needs
	@libtorch=$$(.ci/libtorch); python=$$(.ci/python); browser=$$(.ci/browser); \
	export LIBTORCH=$$libtorch MSTAR_PARITY_DIR=$$PWD/.deps/parity MSTAR_TEST_PYTHON=$$python \
	  MSTAR_TEST_BROWSER=$$browser OMP_NUM_THREADS=1; \
	$$python tests/parity/goldens.py .deps/parity; \
	export MSTAR_SMOL_DIR=$$PWD/.deps/smol; \
	test -e .deps/smol/easy-vqa/train.jsonl || $$python recipes/smol/make.py .deps/smol; \
	cargo test --locked --no-default-features --lib; \
	cargo test --locked

bench: ## print the ratios of the book's performance page
	@libtorch=$$(.ci/libtorch) && LIBTORCH=$$libtorch \
	  cargo bench --locked --bench expanding --bench generation --bench live --bench packing \
	  --bench planning --bench recomputing --bench report --bench scheduling --bench scoring

experiments: ## run all experiments into one store, write experiments/README.md and its figures
	@$(BUILD)
	@libtorch=$$(.ci/libtorch) && LIBTORCH=$$libtorch python3 experiments/run.py \
	  --mstar "cargo run --release --locked --quiet --"

base: ## train the shipped base checkpoint again (recipes/base.toml)
	@$(BUILD)
	@OMP_NUM_THREADS=1 $(MSTAR) run recipes/base.toml

smol: ## make what recipes/smol.toml starts from: a checkpoint and questions, from two wheels
	@python=$$(.ci/python); $$python recipes/smol/make.py

clean: ## remove what was built; fetched libraries and the store stay
	cargo clean
