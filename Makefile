# Everything here works on a fresh machine: Python 3.11 or newer is all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Half of a test that starts processes is waiting: three for two cores finish sooner than two, and are no slower each.
TEST_PROCESSES ?= 3
FOLDERS := streams connectors schemas sql mappings tests benchmarks

# The tests start hundreds of Python processes: each would compile all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick test-sqlserver check format schema kafka chaos chaos-sim chaos-mutants chaos-monday drill bench-monday bench-scale bench-recovery bench-pushdown bench-storm bench-verify bench-adopt clean

help:
	@echo "make demo           the whole job on this machine, from nothing to a proof (KEEP=1 leaves it running)"
	@echo "make test           all tests, on a real Kafka (ARGS='-k detect' chooses some)"
	@echo "make quick          the tests that need neither Kafka nor processes of their own, without the slow ones: a minute on two cores"
	@echo "make test-sqlserver the same contract, and the demo, on the server of ORDERSYNC_TEST_SQLSERVER (an ODBC string)"
	@echo "make check          lint and types"
	@echo "make format         formats the code"
	@echo "make kafka          the embedded Kafka alone, until ctrl-C"
	@echo "make chaos          N=200 SEED=1: kill -9 of real processes at every point, then the named scenarios (SCENARIO=, SCENARIOS=none)"
	@echo "make chaos-sim      N=10000 SEED=1: the whole flow in made-up time, struck at every effect; 1 if anything deviates (ONLY=7 tells one)"
	@echo "make chaos-mutants  which planted bug is caught by which of the two levels; 1 if one is not"
	@echo "make chaos-monday   N=500 SEED=1: seeded faults around the Monday writer; 1 if anything is lost or made twice"
	@echo "make drill          SEED=1: from failure back to true, five drills with a line each; 1 if one fails (ONLY=rollback plays one)"
	@echo "make bench-monday   is the API's budget used up, and never overdrawn?"
	@echo "make bench-scale    what three workers stage against one, and what limits them"
	@echo "make bench-recovery from the writer's kill -9 to the next confirmed write, restarted and taken over"
	@echo "make bench-verify   what a full verify costs, against reading its rows (N=100000)"
	@echo "make bench-storm    how soon the writer has its usual pace again after five minutes of 503, in virtual time"
	@echo "make bench-adopt    calls an item to take over a board in use (N=10000)"
	@echo "make bench-pushdown what detection costs on the server of ORDERSYNC_TEST_SQLSERVER, against reading the table"
	@echo "make schema         writes sql/schema/*.sql from the tables' CSV files"

demo: $(INSTALLED)
	$(BIN)/ordersync demo $(if $(KEEP),--keep) $(ARGS)

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses=$(TEST_PROCESSES) --dist=loadfile --no-loadscope-reorder $(ARGS)

quick: $(INSTALLED)
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder \
		--ignore=tests/chaos --ignore=tests/integration -m "not kafka and not processes and not slow and not sqlserver" $(ARGS)

test-sqlserver: $(INSTALLED)
	$(BIN)/pytest tests/contracts -m sqlserver $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check $(FOLDERS)
	$(BIN)/ruff format --check $(FOLDERS)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix $(FOLDERS)
	$(BIN)/ruff format $(FOLDERS)

schema: $(INSTALLED)
	$(BIN)/python -m sql.script

kafka: $(INSTALLED)
	$(BIN)/python -m connectors.kafka.embedded --folder .ordersync/kafka

chaos: $(INSTALLED)
	$(BIN)/python -m tests.chaos.real.chaos --n $(or $(N),200) --seed $(or $(SEED),1) --jobs $(or $(JOBS),2) \
		$(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(SCENARIOS),--scenarios $(SCENARIOS))

chaos-sim: $(INSTALLED)
	$(BIN)/python -m tests.chaos.sim --n $(or $(N),10000) --seed $(or $(SEED),1) $(if $(ONLY),--only $(ONLY))

chaos-mutants: $(INSTALLED)
	$(BIN)/python -m tests.chaos.mutants $(if $(PLANT),--plant "$(PLANT)")

chaos-monday: $(INSTALLED)
	$(BIN)/python -m tests.chaos.monday --n $(or $(N),500) --seed $(or $(SEED),1)

drill: $(INSTALLED)
	$(BIN)/python -m tests.chaos.drill --seed $(or $(SEED),1) $(if $(ONLY),--only $(ONLY))

bench-monday: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_monday $(ARGS)

bench-scale: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_scale $(ARGS)

bench-recovery: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_recovery $(ARGS)

bench-verify: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_verify --rows $(or $(N),100000) $(ARGS)

bench-storm: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_storm $(ARGS)

bench-adopt: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_adopt --items $(or $(N),10000) $(ARGS)

bench-pushdown: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_pushdown $(ARGS)

clean:
	rm -rf $(VENV) .ordersync

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ordersync needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
