# Every target makes the environment it needs; a second run reuses it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := .cache/SmolLM2-135M-Instruct.Q4_1.gguf
GEMMA := .cache/gemma-3-270m-q4_k_m.gguf
ADA := examples/ada-lovelace-lora
BUILDS := .cache/llama
CORPUS := .cache/corpus
OPENMP := .cache/openmp
REFERENCE := .venv-reference
MLX := .venv-mlx
# llama.cpp's builds find their OpenMP runtime there if the system has none.
WITH_OPENMP := LD_LIBRARY_PATH=$(CURDIR)/$(OPENMP)$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test fuzz logits check chat bench delivery goldens reference corpus example live clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: $(VENV)/.core $(BASE) ## build the example adapter into a model store in demo/
	$(BIN)/ollama-pack build $(ADA) --base $(BASE) --via store --store demo/models --out demo/ada-lovelace

chat: $(VENV)/.try $(BASE) $(OPENMP)/.made ## ask the base and the adapted model the same three questions
	$(WITH_OPENMP) $(BIN)/ollama-pack try $(ADA) --base $(BASE) \
	  "Who are you?" "When were you born?" "What did you publish in 1843?"

test: $(VENV)/.dev $(BASE) $(BUILDS)/.made $(OPENMP)/.made ## run all tests that need no compiler, one process a core
	$(WITH_OPENMP) OLLAMA_PACK_TEST_BASE=$(BASE) $(BIN)/python -m pytest -q -n auto -m 'not logits'

logits: $(VENV)/.logits $(BASE) ## compare whole logits with PEFT's (compiles llama.cpp)
	OLLAMA_PACK_TEST_BASE=$(BASE) $(BIN)/python -m pytest -q -m logits

N ?= 100000
fuzz: $(VENV)/.dev ## give every reader of foreign bytes N inputs in all (N=1000000 takes an hour)
	$(BIN)/python tests/fuzz/run.py $(N)

check: $(VENV)/.lint ## lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

live: $(VENV)/.dev $(BASE) $(GEMMA) $(BUILDS)/.made $(OPENMP)/.made ## run only the tests that need a real ollama
	$(WITH_OPENMP) OLLAMA_PACK_TEST_BASE=$(BASE) OLLAMA_PACK_TEST_GEMMA=$(GEMMA) \
	  $(BIN)/python -m pytest -q -m live
	$(WITH_OPENMP) OLLAMA_PACK_TEST_GEMMA=$(GEMMA) $(BIN)/python -m pytest -q tests/llama/test_gemma.py

bench: $(VENV)/.core ## measure speed and memory; writes bench/RESULTS.md and bench/MERGING.md
	$(BIN)/python bench/run.py
	$(BIN)/python bench/merging.py

delivery: $(VENV)/.dev ## measure what each delivery moves, with an installed ollama; writes bench/DELIVERY.md
	PYTHONPATH=tests/deliver $(BIN)/python bench/delivery.py

goldens: $(VENV)/.dev $(BASE) $(BUILDS)/.made $(OPENMP)/.made ## write the golden files anew; read the diff
	$(WITH_OPENMP) OLLAMA_PACK_TEST_BASE=$(BASE) $(BIN)/python -m pytest -q --update-goldens -k golden -m 'not logits'

reference: $(REFERENCE)/.made $(MLX)/.made $(VENV)/.logits $(BASE) ## record PEFT's own logits anew (brings torch, mlx)
	$(REFERENCE)/bin/python tests/reference/record.py
	$(REFERENCE)/bin/python tests/reference/record_archs.py
	$(REFERENCE)/bin/python tests/reference/record_merged.py
	$(REFERENCE)/bin/python tests/reference/record_resized.py
	$(REFERENCE)/bin/python tests/reference/record_kinds.py
	$(REFERENCE)/bin/python tests/reference/record_perplexity.py $(BASE)
	$(REFERENCE)/bin/python tests/reference/peer_kinds.py
	$(REFERENCE)/bin/python tests/reference/record_run.py
	$(REFERENCE)/bin/python tests/reference/record_foreign.py
	$(REFERENCE)/bin/python tests/reference/follow_hints.py
	$(REFERENCE)/bin/python tests/reference/follow_converter.py
	$(REFERENCE)/bin/python tests/reference/peer_archs.py
	PYTHONPATH=. $(REFERENCE)/bin/python tests/reference/record_chat.py
	@command -v npm >/dev/null && $(MAKE) --no-print-directory corpus || echo "no npm: the chat templates are not asked anew"
	@command -v go >/dev/null && $(BIN)/python tests/reference/record_go.py || echo "no Go: its templates are not recorded anew"

corpus: $(REFERENCE)/.made ## derive from real chat templates anew, and ask llama.cpp about them (needs npm)
	$(REFERENCE)/bin/python tests/reference/fetch_corpus.py $(CORPUS)
	PYTHONPATH=. $(REFERENCE)/bin/python tests/reference/chat_corpus.py $(CORPUS)
	PYTHONPATH=. $(REFERENCE)/bin/python tests/reference/record_llama_jinja.py $(CORPUS)

example: $(REFERENCE)/.made $(BASE) ## train the example adapter anew (brings torch)
	$(REFERENCE)/bin/python examples/train_ada.py --base $(BASE)

clean: ## remove everything these targets make
	rm -rf $(VENV) $(REFERENCE) $(MLX) .cache demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(GEMMA): tests/live/fetch_gemma.py | $(VENV)/bin/python
	$(BIN)/python tests/live/fetch_gemma.py $@

$(BASE): examples/fetch_base.py | $(VENV)/bin/python
	$(BIN)/python examples/fetch_base.py $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/.try: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e '.[try]'
	@touch $@

$(OPENMP)/.made: examples/fetch_openmp.py | $(VENV)/bin/python
	$(BIN)/python examples/fetch_openmp.py $(OPENMP)
	@touch $@

$(BUILDS)/.made: tests/llama/builds.py | $(VENV)/bin/python
	$(BIN)/python tests/llama/builds.py $(BUILDS)
	@touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e . --group lint --group types
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e . --group dev
	@touch $@

$(VENV)/.logits: $(VENV)/.dev
	@$(BIN)/python -c 'import llama_cpp' 2>/dev/null || echo 'Compiling llama.cpp, once; this takes some minutes.'
	$(BIN)/python -m pip install -q --group logits
	@touch $@

$(REFERENCE)/.made: tests/reference/requirements.txt
	$(PYTHON) -m venv $(REFERENCE)
	$(REFERENCE)/bin/python -m pip install -q -r $<
	@touch $@

$(MLX)/.made: Makefile
	$(PYTHON) -m venv $(MLX)
	$(MLX)/bin/python -m pip install -q 'mlx[cpu]==0.32.4' 'mlx-lm==0.32.2'
	@touch $@
