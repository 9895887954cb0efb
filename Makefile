# fluent-bit-fortiems. `make help` lists the targets.
OUT      := build/out
OBJECT   := $(OUT)/flb-filter_fortiems.so
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_FILES := $(shell find parser plugin conf -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.yaml' -o -name '*.map' -o -name '*.pgo' -o -path 'conf/*search/*.json')
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

HOST_OUT := $(OUT)

.DEFAULT_GOAL := help
include test/host/host.mk
include build/package.mk

.PHONY: help build artefacts build-arm64 run demo opensearch stack stack-files stack-down stack-test redact sigma test test-race test-pure test-memory differential soak fuzz bench instructions profile golden generate lint vulncheck clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(firstword $(MAKEFILE_LIST)) build/package.mk | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 16

# One at a time: the tests of several packages build at the same moment.
build: ## the shared object and the stand-in host in build/out
	@mkdir -p $(OUT)
	@if command -v flock >/dev/null; then exec flock $(OUT)/.lock $(MAKE) --no-print-directory artefacts; \
	else exec $(MAKE) --no-print-directory artefacts; fi

artefacts: $(OBJECT) $(OUT)/out_fortiems_es.so $(OUT)/fortiems-host

build-arm64: ## the same for linux/arm64 in build/out/arm64; needs aarch64-linux-gnu-gcc
	@$(MAKE) --no-print-directory build OUT=build/out/arm64 GOOS=linux GOARCH=arm64 CC=aarch64-linux-gnu-gcc

# Neither a build id nor the repository's state: the same sources give the same bytes
# in any directory.
$(OBJECT): $(GO_FILES) go.mod go.sum
	@mkdir -p $(@D)
	CGO_ENABLED=1 go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$(VERSION) -extldflags '-Wl,--version-script=$(CURDIR)/plugin/exports.map'" -o $@ ./plugin

$(OUT)/out_fortiems_es.so: $(OBJECT)
	ln -sf flb-filter_fortiems.so $@

run: build ## receive syslog on 127.0.0.1:5514 (udp and tcp), print categorised records
	@sh test/demo/run.sh

demo: build ## replay the corpus, print the records and the counts
	@sh test/demo/demo.sh

PORT ?= 9200
opensearch: ## a real OpenSearch 2.19 on 127.0.0.1:9200 (PORT=...), until Ctrl-C; needs a JDK and Maven
	@go run ./test/servers/run opensearch $(PORT)

PROFILE ?= elasticsearch
STACK := $(OUT)/stack
COMPOSE := docker compose -f test/docker-compose.yml --env-file test/.env
stack: compose stack-files ## a collector, search server and dashboards in containers (PROFILE=elasticsearch, opensearch, grafana); needs Docker
	$(COMPOSE) --profile $(PROFILE) up --detach --wait
	@echo 'http://127.0.0.1:$(if $(filter grafana,$(PROFILE)),3000,5601): the password is in test/.env ($(if $(filter grafana,$(PROFILE)),admin: GRAFANA_PASSWORD,$(if $(filter opensearch,$(PROFILE)),admin: OPENSEARCH_ADMIN_PASSWORD,elastic: ELASTIC_PASSWORD)))'

.PHONY: compose
compose:
	@docker compose version >/dev/null 2>&1 || { echo 'not to be had here: docker compose (Docker with Compose 2.20 or newer)' >&2; exit 1; }

stack-files: build
	CGO_ENABLED=0 go build -trimpath -o $(STACK)/bin/stack ./test/stack
	$(STACK)/bin/stack env -file test/.env -dir $(STACK)
	@mkdir -p $(STACK)/plugins
	cp -P $(OBJECT) $(OUT)/out_fortiems_es.so $(STACK)/plugins/

stack-down: compose ## stop the stack; VOLUMES=1 forgets its data as well
	$(COMPOSE) --profile elasticsearch --profile opensearch --profile grafana down $(if $(VOLUMES),--volumes)

stack-test: ## wait until the replayed corpus is stored, count documents per category (PROFILE as for stack)
	go run ./test/stack count -product $(if $(filter opensearch,$(PROFILE)),opensearch,elasticsearch)

redact: ## make lines from standard input fit to be shown: make -s redact < line
	@go run ./test/redact

SIGMA := pysigma==1.5.1 pysigma-backend-elasticsearch==2.1.1
sigma: ## a Sigma engine in build/out/sigma, for the tests of conf/detections (python3 with venv, PyPI)
	python3 -m venv $(OUT)/sigma
	$(OUT)/sigma/bin/python -m pip install --quiet --disable-pip-version-check $(SIGMA)

test: build ## run everything
	@go run ./test/runner

test-race: ## the pure-Go packages under the race detector
	go test -race ./parser/... ./plugin/event/... ./plugin/enrich/... ./plugin/option/... ./plugin/hostlog/... ./plugin/bootstrap/... ./plugin/esbulk/... ./plugin/metrics/...

test-pure: ## everything but the object itself, without cgo
	CGO_ENABLED=0 go test ./parser/... ./plugin/event/... ./plugin/enrich/... ./plugin/option/... ./plugin/hostlog/... ./plugin/bootstrap/... ./plugin/esbulk/... ./plugin/metrics/...

test-memory: ## objects built with address checks and with cgocheck2, in the stand-in host with address checks
	FORTIEMS_VARIANTS=1 go test -v -count 1 -timeout 30m -run 'Memory|PointersBetween' ./test/abi

LINES ?= 1000000
SEED ?= 1
differential: ## the filter against a slow reference over LINES random lines of SEED
	FORTIEMS_DIFFERENTIAL=$(LINES) FORTIEMS_SEED=$(SEED) go test -count 1 -v -timeout 2h -run SameRecords ./test/reference

SOAK ?= 10m
RATE ?= 2000
soak: ## RATE lines a second for SOAK into a real OpenSearch that is restarted, throttled and full; needs a JDK and Maven
	FORTIEMS_SOAK=$(SOAK) FORTIEMS_RATE=$(RATE) go test -count 1 -v -timeout 0 -run TestSoak ./test/soak

FUZZTIME ?= 5m
FUZZ     ?= ./parser ./plugin/event ./plugin/enrich ./plugin/esbulk ./test/reference ./test/hostile ./test/redact
fuzz: ## fuzz every target of the packages FUZZ for FUZZTIME
	@for p in $(FUZZ); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$p || exit 1; done; done

# The object is built with plugin/default.pgo, so what is measured is as well.
MEMORY_LINES ?= 2000000
bench: build ## benchmarks, pipelines of Fluent Bit side by side, and the table of targets at the end (MEMORY_LINES=10000000)
	go test -run '^$$' -bench . -benchmem -pgo=$(CURDIR)/plugin/default.pgo ./parser/... ./plugin/...
	go run -pgo=$(CURDIR)/plugin/default.pgo ./test/bench/targets -lines $(LINES) -memory-lines $(MEMORY_LINES)

instructions: ## instructions per event under valgrind, compared with the committed ones (UPDATE=1 writes them anew, CASE=ems tells where they go, INCLUSIVE=1 with what is called)
	@go run ./test/bench/instructions $(if $(UPDATE),-update) $(if $(CASE),-functions $(CASE) $(if $(INCLUSIVE),-inclusive))

profile: ## write plugin/default.pgo, the profile that the object is optimised with, anew
	go test -run '^$$' -bench 'Run(EMS|FortiClient|Unmatched|Mixed|UserRules)$$' -benchtime 3s -cpu 1 -pgo=off \
	  -o /dev/null -cpuprofile $(CURDIR)/plugin/default.pgo ./plugin/enrich

golden: ## write the golden files of the corpus anew
	go test ./test/golden -update

generate: ## write generated files and the tables of the README anew
	go generate ./...
	go test ./test/docs -update

lint: ## format, vet, staticcheck
	@test -z "$$(gofmt -l parser plugin test conf build)" || { gofmt -l parser plugin test conf build; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

vulncheck: ## known vulnerabilities in dependencies (asks an online database, or VULNDB=file:///...)
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 $(if $(VULNDB),-db $(VULNDB)) ./...

clean: ## remove build/out
	rm -rf $(OUT)
