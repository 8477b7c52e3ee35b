# make demo: see what it does. make test: see that it works. Both make .venv when it is missing.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3 python,\
	$(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt
FOLDERS := rwkv_music daemon train
INSTALLED_FROM := pyproject.toml setup.py constraints.txt $(wildcard rwkv_music/engine/csrc/* daemon/ports/csrc/*)
ARGS ?=
DATA ?=
OUT ?= out/model
TINY ?=
EMBEDDED := rwkv_music/data/starter.safetensors
# Tests that drive other programs: JACK, Ardour, Pure Data, Lua. They wait more than they compute.
PROGRAMS := tests/loopback tests/bridges
# A test that may take an hour: no limit of seconds ends it, nor that for what hangs in C.
LONG := --timeout 3600 -o faulthandler_timeout=3600

.PHONY: model model-card data-named demo test check sources programs lint types tests bench bench-peers abuse docs clean

demo: .venv/demo.stamp
	$(BIN)/rwkv-music-daemon demo --out out $(ARGS)

test: check

# All of it: two things at a time, so that one computes while the other waits. With ARGS, for a part
# of the tests, one after the other.
ifeq ($(strip $(ARGS)),)
check: .venv/test.stamp
	+@$(MAKE) --no-print-directory -j2 sources programs
else
check: lint types tests
endif

sources: lint types
	$(BIN)/python -m pytest $(addprefix --ignore=,$(PROGRAMS))

# What it says comes at its end, and not into the midst of what the others say.
programs: .venv/test.stamp
	@said=$$(mktemp); $(BIN)/python -m pytest -o cache_dir=.pytest_cache/programs $(PROGRAMS) >"$$said" 2>&1; \
		ended=$$?; cat "$$said"; rm -f "$$said"; exit $$ended

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test.stamp
	$(BIN)/mypy $(FOLDERS)

tests: .venv/test.stamp
	$(BIN)/python -m pytest $(ARGS)

bench: .venv/test.stamp
	$(BIN)/python -m benchmarks $(ARGS)

# What the engines are compared with, in an environment of its own: llama.cpp is compiled for this
# processor. Takes half an hour on two cores.
bench-peers:
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet -r benchmarks/peers/requirements.txt
	CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAMA_CURL=OFF" .venv-peers/bin/python -m pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36

# From MIDI files to a model like the embedded one: make model DATA=~/midi [OUT=out/model] [TINY=1].
# Stopped and started again, it goes on. docs/training.md tells the rest.
model: data-named .venv/test.stamp
	$(BIN)/train model $(DATA) -o $(OUT) $(if $(TINY),--tiny) $(ARGS)

# The memories of the embedded model and the figures of docs/model-card.md, after it was replaced.
model-card: data-named .venv/test.stamp
	$(BIN)/train memories $(EMBEDDED) --data $(DATA) -o rwkv_music/data/memories --card docs/model-card.md
	$(BIN)/train card $(EMBEDDED) --data $(DATA) -o docs/model-card.md $(ARGS)

data-named:
	@test -n "$(DATA)" || { echo 'DATA is missing: make model DATA=folder-of-MIDI-files, make model-card DATA=what-train-prepare-wrote' >&2; exit 1; }

abuse: .venv/test.stamp
	RWKV_MUSIC_ABUSE=1000000 $(BIN)/python -m pytest $(LONG) tests/daemon/test_osc_framing.py $(ARGS)
	RWKV_MUSIC_ABUSE=1000000 $(BIN)/python -m pytest -m abuse tests/loopback $(ARGS)
	RWKV_MUSIC_PERFORMANCES=1000 $(BIN)/python -m pytest $(LONG) tests/daemon/test_live_state.py $(ARGS)
	RWKV_MUSIC_TRADE_BARS=4200 $(BIN)/python -m pytest $(LONG) tests/daemon/test_session_trade.py $(ARGS)
	RWKV_MUSIC_ARDOUR=1 $(BIN)/python -m pytest -s tests/loopback/test_ardour.py $(ARGS)
	$(BIN)/python -m benchmarks.flood

docs: .venv/demo.stamp
	$(BIN)/python -m rwkv_music_daemon.osc.document
	$(BIN)/python -m rwkv_music_daemon.config_document

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A stamp is older than what it was installed from: then it is installed again.
.venv/demo.stamp: $(INSTALLED_FROM) | .venv/bin/python
	@echo 'installing the service into .venv ...'
	@$(PIP) -e '.[plot]'
	@touch $@

.venv/test.stamp: $(INSTALLED_FROM) | .venv/bin/python
	@echo 'installing what the tests need into .venv, PyTorch among it: this takes minutes ...'
	@$(PIP) -e '.[train,plot,monitor,link,test,dev]'
	@touch $@ .venv/demo.stamp

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv .venv
