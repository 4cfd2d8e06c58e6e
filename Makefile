# The commands of the project; what they do is in deploy/. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON := .venv/bin/python
FLEET := $(PYTHON) -m deploy
SECONDS_OF_TRAFFIC ?= 60
# Tests on other versions of the libraries, with the programs of this environment.
APART := PATH=$(CURDIR)/.venv/bin:$$PATH
HOOKS := not slow and not brokers and not postgres
TESTS_OF_HOOKS := $(addprefix tests/telemetry/,http llm database celery test_bridge.py test_bridge_llm.py metrics)
FUZZ_SECONDS ?= 300
FUZZ_EXAMPLES ?= 20000
PYTHONS := 3.12 3.13 3.14
WEAVER ?= weaver
export PYTHONPATH := $(CURDIR)

.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(MAKEFILE_LIST))

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

install:  ## install what is missing: packages, Python environment, collector, Prometheus, Alertmanager
	@bash deploy/install.sh

install-tests:  ## install what is missing, and what only the tests need
	@bash deploy/install.sh tests

pin-releases:  ## write the checksums of the official releases that install fetches
	@bash deploy/install/pin-releases.sh

demo: install  ## start the fleet, send a minute of chat traffic, show every documented metric
	@$(FLEET) demo --seconds $(SECONDS_OF_TRAFFIC)

up: install  ## start the fleet
	@$(FLEET) up

down:  ## stop the fleet
	@if [ -x $(PYTHON) ]; then $(FLEET) down; else echo "Nothing is installed, so nothing runs."; fi

restart: install  ## stop the fleet and start it with the settings as they are now
	@$(FLEET) restart

restart-collector: install  ## restart the collector alone; its totals go on where they were
	@$(FLEET) restart-collector

status: install  ## show every process of the fleet
	@$(FLEET) status

report: install  ## show every documented metric as the collector has it
	@$(FLEET) report

traffic: install  ## send chat traffic through the front door
	@$(FLEET) traffic --seconds $(SECONDS_OF_TRAFFIC)

logs:  ## follow the logs; NAME=app-1 for one of them
	@$(FLEET) logs $(NAME)

test: install-tests check test-collector  ## every check and test of a change, under 30 minutes
	$(PYTHON) -m pytest --numprocesses 2 --no-loadscope-reorder -m "not slow and not accuracy and not chaos and not brokers and not grafana and not pictures and not postgres and not rehearsal and not soak"

test-collector:  ## the Go tests of the collector's components
	cd collector && go test ./...

security-page: install  ## attack a collector, and write what that costs into docs/security.md
	rm -f docs/security/rows.json
	SECURITY_ROWS=docs/security/rows.json $(PYTHON) -m pytest tests/deploy/test_hostile_connections.py
	$(PYTHON) -m docs.generate

fuzz: install  ## random input for all of Go and Python (an hour and more), and note it in docs/security.md; FUZZ_SECONDS=300 FUZZ_EXAMPLES=20000 FUZZ=FuzzSet
	tests/versions/environment.sh fuzz requirements.lock tests/fuzzing/requirements.txt
	$(PYTHON) -m tests.fuzzing --seconds $(FUZZ_SECONDS) --examples $(FUZZ_EXAMPLES) --only "$(FUZZ)"
	$(PYTHON) -m docs.generate

test-accuracy: install  ## the whole accuracy suite; run it alone (40 minutes)
	$(PYTHON) -m pytest -m accuracy tests/accuracy

test-chaos: install  ## a thousand kills on the whole fleet (half an hour; run it alone); CHAOS_SEED=14 CHAOS_KILLS=1000
	$(PYTHON) -m pytest -m chaos tests/fleet/chaos

soak: install  ## the fleet under traffic, kills, restarts and rotations: what grows, and is every minute exact; SOAK_MINUTES=30 SOAK_SEED=19
	SOAK_RESULT=benchmarks/results/soak.json $(PYTHON) -m pytest -m soak tests/fleet/soak
	$(PYTHON) -m docs.generate

accuracy-page: install  ## measure every system of the accuracy suite, and write docs/accuracy.md; run it alone (25 minutes)
	@export ACCURACY_ROWS=docs/accuracy/rows.json; measure="$(PYTHON) -m pytest -q -m accuracy tests/accuracy -k"; \
	$$measure "official-full or contrib-full" & others=$$!; \
	$$measure "durable-full or endpoint-full or client-full"; ours=$$?; wait $$others && exit $$ours
	$(PYTHON) -m docs.generate

test-brokers: install  ## Celery on RabbitMQ, of Debian's package rabbitmq-server
	$(PYTHON) -m pytest -m brokers

test-grafana: install  ## look at the dashboards in a real Grafana; GRAFANA=/opt/grafana/bin/grafana PICTURES=DIRECTORY
	$(PYTHON) -m pytest -m grafana tests/grafana/real

test-celery-versions: install  ## Celery's tests on each older series that is supported (10 minutes)
	@set -e; for pins in tests/telemetry/celery/versions/*.txt; do \
		name=celery-$$(basename $$pins .txt); echo $$name; \
		tests/versions/environment.sh $$name requirements.lock $$pins; \
		$(APART) .fleet/$$name/bin/python -m pytest -m "$(HOOKS)" tests/telemetry/celery; \
	done

test-versions: test-celery-versions test-newest  ## both ends of every range of versions, and each Python that is here (an hour)
	@set -e; for pins in $$(grep -l "^# tests:" tests/versions/*.txt); do \
		name=$$(basename $$pins .txt); echo $$name; \
		tests/versions/environment.sh $$name requirements.lock $$pins; \
		$(APART) .fleet/$$name/bin/python -m pytest -m "$(HOOKS)" $$(sed -n 's/^# tests: //p' $$pins); \
	done
	@set -e; for python in $(PYTHONS); do \
		name=python-$$python; echo $$name; \
		PYTHON=$$python tests/versions/environment.sh $$name requirements.lock || { echo "no Python $$python here: not run"; continue; }; \
		$(APART) .fleet/$$name/bin/python -m pytest -m "$(HOOKS)" $(TESTS_OF_HOOKS) tests/telemetry/box tests/telemetry/pipeline; \
	done

test-newest: install  ## the hooks on the newest published versions of all they hook into: which assumption broke, and their tests
	@mkdir -p .fleet
	$(PYTHON) tests/versions/unpinned.py > .fleet/newest.txt
	tests/versions/environment.sh newest .fleet/newest.txt
	@$(APART) .fleet/newest/bin/python -m telemetry check; broken=$$?; \
	$(APART) .fleet/newest/bin/python -m pytest -m "$(HOOKS)" $(TESTS_OF_HOOKS) && exit $$broken

pictures: install-tests  ## take the pictures of the documentation, to be looked at (10 minutes)
	$(PYTHON) -m pytest -m pictures tests/pictures

celery-page: install  ## measure what becomes of tasks, and write the table of docs/celery.md
	CELERY_ROWS=docs/celery $(PYTHON) -m pytest tests/telemetry/celery/test_outcomes.py
	$(PYTHON) -m docs.generate

rehearse: install  ## start the services of compose.yaml in namespaces, kill at random, compare counts (needs root, Go, PostgreSQL); REHEARSAL_SECONDS=75 REHEARSAL_SEED=14
	$(PYTHON) -m deploy.rehearsal $(PYTHON) -m pytest -m rehearsal tests/fleet/rehearsal

test-litellm: install  ## calls that LiteLLM makes, in an environment that has it
	tests/versions/environment.sh litellm requirements.lock tests/versions/litellm.txt
	$(APART) .fleet/litellm/bin/python -m pytest tests/telemetry/llm/test_litellm.py

adopt-page: install  ## start the examples by every launcher, from the wheel, and write the table of docs/adopt.md (10 minutes)
	rm -rf .fleet/wheel
	$(PYTHON) -m hatchling build -t wheel -d .fleet/wheel
	@echo "$$(ls .fleet/wheel/*.whl)[celery,fastapi,llm,prometheus,sqlalchemy]" > .fleet/wheel/requirements.txt
	tests/versions/environment.sh launchers .fleet/wheel/requirements.txt tests/versions/launchers.txt
	ADOPT_PROGRAMS=$(CURDIR)/.fleet/launchers/bin ADOPT_ROWS=docs/adopt/rows.json $(PYTHON) -m pytest tests/adopt
	$(PYTHON) -m docs.generate

test-weaver: install  ## let OpenTelemetry's weaver check the catalogue as semantic conventions; WEAVER=/path/of/weaver
	@mkdir -p .fleet/registry
	@echo "schema_url: https://example.com/schemas/1.0.0" > .fleet/registry/manifest.yaml
	@$(PYTHON) -m telemetry catalogue --format semconv > .fleet/registry/fleet.yaml
	@if command -v $(WEAVER) >/dev/null; then $(WEAVER) registry check -r .fleet/registry; \
	else echo "There is no $(WEAVER) here: not run. Build it from its source, and say where it is: WEAVER=/path/of/weaver"; fi

docs: install  ## build the documentation's site into build/docs, whose index.html opens from a file
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --clean
	@echo "Open build/docs/index.html"

test-slow: install  ## tests too long for every change, and those that need RabbitMQ or PostgreSQL
	$(PYTHON) -m pytest -m "slow or brokers or postgres"

check: install  ## format, lint, types, import rules, generated files, configuration files
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) -m docs.generate --check
	$(PYTHON) -m docs.licences
	$(PYTHON) -m deploy.audit.secrets
	$(PYTHON) -m deploy.audit.vulnerabilities --if-reachable
	$(PYTHON) -m docs.pictures
	$(PYTHON) -m grafana.boards --check
	$(PYTHON) -m grafana.rules --check
	$(PYTHON) -m deploy.containers --check
	$(PYTHON) -m deploy.cluster --check
	$(or $(OTELCOL),.venv/bin/otelcol) validate --config otel-collector.yaml
	$(or $(OTELCOL),.venv/bin/otelcol) validate --config otel-collector.yaml --config otel-collector.secure.yaml
	$(if $(OTELCOL),,.venv/bin/otelcol validate --config otel-collector.durable.yaml)
	$(if $(OTELCOL),,.venv/bin/otelcol validate --config otel-collector.durable.yaml --config otel-collector.durable.secure.yaml)
	cd collector && files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "not formatted: $$files; run gofmt -w" >&2; exit 1; fi
	cd collector && go vet ./...
	.venv/bin/promtool check rules grafana/alerts/*.yaml grafana/compatibility/*.yaml docs/guide-alerts.yaml
	.venv/bin/promtool check config $(filter-out %.secure.yml,$(wildcard grafana/prometheus-scrape-config*.yml))
	.venv/bin/promtool check config --syntax-only grafana/prometheus-scrape-config.secure.yml

audit: install  ## ask the databases of known vulnerabilities about everything that is installed; needs the internet
	$(PYTHON) -m deploy.audit.vulnerabilities

licences: install  ## read the licences of the collector's modules anew, after `make lock`
	cd collector/otelcol && go mod download
	$(PYTHON) -m docs.licences --write
	$(PYTHON) -m docs.generate

format: install  ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	gofmt -w collector

generate: dashboards  ## write everything that is generated: dashboards, rules, parts of the documentation, files of containers and of Kubernetes
	$(PYTHON) -m docs.generate
	$(PYTHON) -m deploy.containers
	$(PYTHON) -m deploy.cluster

dashboards: install  ## write grafana/dashboards/*.json and the generated rules of grafana
	$(PYTHON) -m grafana.boards
	$(PYTHON) -m grafana.rules

golden: install  ## write the golden file of the collector's endpoints anew
	UPDATE_GOLDEN=1 $(PYTHON) -m pytest tests/fleet/test_contract.py -k golden

bench: install  ## cost of a request, an event, a query, of series and of the collector, what troubles are felt, and the pages from it; run it alone
	$(PYTHON) -m benchmarks.http
	$(PYTHON) -m benchmarks.load
	$(PYTHON) -m benchmarks.record
	$(PYTHON) -m benchmarks.db
	$(PYTHON) -m benchmarks.celery
	$(PYTHON) -m benchmarks.collector
	$(PYTHON) -m benchmarks.scrape
	$(PYTHON) -m benchmarks.start
	$(PYTHON) -m benchmarks.backpressure
	$(PYTHON) -m benchmarks.recovery
	$(PYTHON) -m docs.generate

scale-page: install  ## measure thousands of senders, Prometheus' end, and what others do with the same traffic, and write docs/scale.md; run it alone (12 minutes; needs Go)
	$(PYTHON) -m benchmarks.scale
	$(PYTHON) -m docs.generate

bench-fleet: install  ## start-up time of the fleet and memory per process
	$(PYTHON) -m benchmarks.fleet

release: install  ## wheel, sdist, collectors, contexts of images, bills of materials and checksums of HEAD, the same bytes each time (10 minutes)
	deploy/release/build.sh

collector-wheels: install  ## the built collector as wheels for Linux on x86_64 and aarch64, in dist/ (5 minutes each)
	collector/wheel/build.sh

# All but the collector's, which `make collector-wheels` builds.
EXTRAS := $(addprefix --extra ,celery fastapi grpc llm objectives preview prometheus sqlalchemy)
# What the image of app and worker has; its lock is a part of the other one.
EXTRAS_OF_FLEET := $(addprefix --extra ,celery fastapi llm sqlalchemy)

lock:  ## resolve the dependencies anew
	uv pip compile pyproject.toml --group dev $(EXTRAS) --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --group fleet $(EXTRAS_OF_FLEET) --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -c requirements.lock -o requirements.fleet.lock
	uv pip compile --group release --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -o deploy/release/sbom.lock
	cd collector && go run go.opentelemetry.io/collector/cmd/builder@v$$(sed -n 's/^  version: //p' builder.yaml) --config=builder.yaml --skip-compilation && rm -f otelcol/*.go
