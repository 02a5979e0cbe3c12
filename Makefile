# Two commands on a fresh machine: `make demo` and `make test`. They need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=

export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo install servers test check prove-crashes prove-canary prove-drift prove-histories prove-transitions prove-journey prove-healing bench bench-drift drill lock clean

demo: $(READY) ## replay a real year of flights through the whole loop
	$(BIN)/homeostat demo $(ARGS)

install: $(READY) ## what both of them need, and nothing more

servers: $(READY) ## Kafka, Redis, PostgreSQL, MLflow, Alertmanager and Prometheus on loopback, until Ctrl-C
	$(BIN)/python -m deploy.servers $(ARGS)

test: $(READY) ## every test; servers found are used, missing ones are skipped by name
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not bench and not drill" $(ARGS)

check: $(READY) ## style, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

prove-crashes: $(READY) ## kill -9 at every step boundary and at 50 random moments under traffic
	HOMEOSTAT_CRASHES=50 $(BIN)/python -m pytest -v --durations=0 $(ARGS) tests/real/test_boundaries.py tests/real/test_kills.py

bench: $(READY) ## speed and memory, each as a ratio against a peer in the same run
	$(BIN)/python -m pytest -m "bench and not peers" -s $(ARGS) tests/benchmarks

prove-canary: $(READY) ## thousands of canaries with and without a true difference: wrong decisions, rows to a right one
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.statistics.prove_canary --json .homeostat/canary.json $(ARGS)

prove-drift: $(READY) ## windows with and without drift: false alarms against the budget, delays beside other tools; ARGS=--go-on after a stop
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.statistics.prove_drift --json .homeostat/drift.json $(ARGS)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.statistics.prove_diagnosis --json .homeostat/diagnosis.json

bench-drift: $(READY) ## a window of 200,000 x 120 against Evidently and bare NumPy; sparse events from Kafka, stage by stage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 -m bench -s $(ARGS) \
	  tests/benchmarks/test_drift_speed.py tests/benchmarks/test_drift_peers_speed.py tests/benchmarks/test_sparse_drift_speed.py \
	  tests/benchmarks/test_vector_speed.py

prove-histories: $(READY) ## 10,000 random histories of edits, verdicts and crashes: what always holds of who serves
	HOMEOSTAT_HISTORIES=10000 $(BIN)/python -m pytest -n 2 $(ARGS) tests/homeostat/healing/test_histories.py

prove-transitions: $(READY) ## real servers, kill -9 of healer, predictor and MLflow at each point of each change of who serves
	HOMEOSTAT_TRANSITIONS=all $(BIN)/python -m pytest -n 0 -s --show-capture=no $(ARGS) tests/real/test_transitions.py

prove-journey: $(READY) ## a browser on the MLflow UI: approve, reject, roll back, move an alias; screenshots in .homeostat/journey
	HOMEOSTAT_SCREENSHOTS=$(CURDIR)/.homeostat/journey $(BIN)/python -m pytest -n 0 -v $(ARGS) tests/real/test_mlflow_ui.py

prove-healing: $(READY) ## streams with a known truth, 20 seeds a kind: share healed, delays, false promotions
	$(BIN)/python -m tests.statistics.prove_healing --json .homeostat/healing.json $(ARGS)

drill: $(READY) ## real servers, every process killed in turn under traffic; prints what was counted
	HOMEOSTAT_KILLS=60 $(BIN)/python -m pytest -n 0 -s -m drill $(ARGS) tests/real/test_services.py tests/real/test_drill.py tests/real/test_ingestors.py

lock: $(READY) ## write requirements.lock, and the image's, anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --extra demo --extra librdkafka --extra servers --extra dev --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --extra servers --extra librdkafka --constraint requirements.lock --output-file deploy/requirements.lock \
	  pyproject.toml deploy/mlflow/requirements.in

clean:
	rm -rf .venv .homeostat

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Homeostat needs Python 3.11 or newer; $(PYTHON) is older: call make with PYTHON=python3.12"; exit 1; }
	@echo "installing into .venv: a minute, or a few where the network is slow"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
