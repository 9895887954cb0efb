# fluent-bit-fortiems. `make help` lists the targets.
#
# Variables may be set on the command line (make stack PROFILE=grafana). Lines with ##=
# describe them for make help.
OUT      := build/out
OBJECT   := $(OUT)/flb-filter_fortiems.so
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_FILES := $(shell find parser plugin conf -path plugin/cmd -prune -o -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.yaml' -o -name '*.map' -o -name '*.pgo' -o -path 'conf/*search/*.json')
# The command that users have on any machine.
FORTIEMS := $(OUT)/fortiems
FORTIEMS_FILES := $(shell find parser plugin/cmd plugin/enrich plugin/event plugin/option plugin/count -type f ! -name '*_test.go') $(wildcard test/corpus.go test/corpus/*/*)
# Everything of parser/ and plugin/ that needs no cgo: all but package main.
PURE      = $(shell go list ./parser/... ./plugin/... | grep -v '/plugin$$')
# The profile that the object is optimised with, so what is measured is as well.
PGO      := $(CURDIR)/plugin/default.pgo

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4
HELM        := helm.sh/helm/v3/cmd/helm@v3.18.6

HOST_OUT := $(OUT)

.DEFAULT_GOAL := help
include test/host/host.mk
include build/package.mk

.PHONY: help build artefacts fortiems build-arm64 run demo opensearch stack stack-files stack-down stack-test compose redact sigma helm check test test-race test-pure test-memory test-engine differential soak fuzz bench instructions profile golden generate screenshots lint vulncheck clean

# The targets of packages stand before those for developers.
help: ## list targets and their variables
	@{ sed '/^##@ Develop/,$$d' $(firstword $(MAKEFILE_LIST)); cat build/package.mk; sed -n '/^##@ Develop/,$$p' $(firstword $(MAKEFILE_LIST)); } | \
	awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} \
	  /^##= /{v = substr($$0, 5); n = index(v, " "); name = substr(v, 1, n - 1); sub(/^[^ ]+ +/, "", v); printf "    %-18s %s\n", name, v} \
	  /^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}'
	@printf '\nIndented names are variables, in the environment or after the target: make run FORTIEMS_PORT=5515\n'

##@ Try

demo: build ## what the filter makes of the corpus, on one screen, and a report
##= DEMO=all           print every record instead
	@sh test/demo/demo.sh

run: ## receive syslog on 127.0.0.1, UDP and TCP, and print records until Ctrl-C
##= FORTIEMS_PORT      the port (5514)
##= FLUENT_BIT         the Fluent Bit that demo, run and the tests use, more with colons (that of PATH or /opt/fluent-bit/bin)
##= ES_HOSTS           also ship to this search server: http://127.0.0.1:9200
##= ES_API_KEY         log in there, or ES_USERNAME and ES_PASSWORD; set them in the environment only
##= ES_CA_FILE         the certificate authority of that server
	@sh test/demo/check.sh
	@$(MAKE) --no-print-directory build
	@sh test/demo/run.sh

redact: ## replace names and addresses in lines from standard input: make -s redact < line.log
	@go run ./plugin/cmd/fortiems redact

##@ Run with a search server

PORT ?= 9200
SERVER ?= opensearch
opensearch: ## a real OpenSearch 2.19 on 127.0.0.1 until Ctrl-C; needs a JDK and Maven
##= PORT               its port (9200)
##= NODES              more than one node, on free ports (1)
##= SECURITY=on        with the security plugin: TLS and users
##= SERVER             opensearch or opensearch3, the newest (opensearch)
	@NODES=$(NODES) SECURITY=$(SECURITY) go run ./test/servers/run $(SERVER) $(PORT)

PROFILE ?= elasticsearch
PROFILES := elasticsearch opensearch grafana graylog
STACK := $(OUT)/stack
STACK_elasticsearch := http://127.0.0.1:5601: user elastic, the password is ELASTIC_PASSWORD
STACK_opensearch    := http://127.0.0.1:5601: user admin, the password is OPENSEARCH_ADMIN_PASSWORD
STACK_grafana       := http://127.0.0.1:3000: user admin, the password is GRAFANA_PASSWORD
STACK_graylog       := http://127.0.0.1:9000: user admin, the password is GRAYLOG_PASSWORD
COMPOSE := docker compose -f test/docker-compose.yml --env-file test/.env
stack: compose stack-files ## a collector, search server and dashboards in containers; needs Docker
##= PROFILE            elasticsearch, opensearch, grafana or graylog (elasticsearch); the same for stack-test
	$(COMPOSE) --profile $(PROFILE) up --detach --wait
	@echo '$(STACK_$(PROFILE)) in test/.env'

compose:
	@docker compose version >/dev/null 2>&1 || { echo 'missing: docker compose (Docker with Compose 2.20 or newer)' >&2; exit 1; }

stack-files: build
	CGO_ENABLED=0 go build -trimpath -o $(STACK)/bin/stack ./test/stack
	$(STACK)/bin/stack env -file test/.env -dir $(STACK)
	cp $(FORTIEMS) $(STACK)/bin/fortiems
	@mkdir -p $(STACK)/plugins
	cp -P $(OBJECT) $(OUT)/out_fortiems_es.so $(STACK)/plugins/

stack-test: ## wait until the replayed corpus is stored, count documents per category
	go run ./test/stack count -product $(if $(filter opensearch graylog,$(PROFILE)),$(PROFILE),elasticsearch)

stack-down: compose ## stop the stack
##= VOLUMES=1          delete its data as well
	$(COMPOSE) $(PROFILES:%=--profile %) down $(if $(VOLUMES),--volumes)

##@ Build

# One at a time: the tests of several packages build at the same moment.
build: ## the shared object, the command fortiems and the stand-in host in build/out
##= VERSION            the version that they name (git describe)
	@test -f $(OBJECT) || sh build/preflight.sh
	@mkdir -p $(OUT)
	@if command -v flock >/dev/null; then exec flock $(OUT)/.lock $(MAKE) --no-print-directory artefacts; \
	else exec $(MAKE) --no-print-directory artefacts; fi

artefacts: $(OBJECT) $(OUT)/out_fortiems_es.so $(FORTIEMS) $(OUT)/fortiems-host $(OUT)/fortiems-demo
	@:

build-arm64: ## the same for linux/arm64 in build/out/arm64; needs aarch64-linux-gnu-gcc
	@$(MAKE) --no-print-directory build OUT=build/out/arm64 GOOS=linux GOARCH=arm64 CC=aarch64-linux-gnu-gcc

# $(call step,what,command) says what begins, every 20 seconds that it goes on, and how long
# it took. sleep must not keep the output open: whoever reads it would wait for its end.
define step
@echo '$(1)' >&2; start=$$(date +%s); \
(while sleep 20 </dev/null >/dev/null 2>&1; do echo "  ... $$(($$(date +%s) - start)) s" >&2; done) & beat=$$!; \
$(2); code=$$?; kill $$beat 2>/dev/null; \
[ $$code != 0 ] || echo "  done in $$(($$(date +%s) - start)) s" >&2; exit $$code
endef

# Neither a build id nor the repository's state: the same sources give the same bytes
# in any directory.
BUILD_OBJECT = CGO_ENABLED=1 go build -buildmode=c-shared -trimpath -buildvcs=false \
  -ldflags "-s -w -buildid= -X main.version=$(VERSION) -extldflags '-Wl,--version-script=$(CURDIR)/plugin/exports.map'" -o $@ ./plugin
$(OBJECT): $(GO_FILES) go.mod go.sum $(OUT)/.version
	@mkdir -p $(@D)
	$(call step,Compiling the plugin: $@,$(BUILD_OBJECT))

$(OUT)/out_fortiems_es.so: $(OBJECT)
	@ln -sf flb-filter_fortiems.so $@

# Changes only with the version.
$(OUT)/.version: .FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

$(OUT)/fortiems-demo: $(wildcard test/demo/*.go) $(FORTIEMS_FILES) go.mod go.sum
	$(call step,Compiling the screen of make demo: $@,CGO_ENABLED=0 go build -trimpath -o $@ ./test/demo)

# Static, so that it runs on any machine of its system. go build adds .exe for Windows.
BUILD_FORTIEMS = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)' -o $(@D)/ ./plugin/cmd/fortiems
$(FORTIEMS): $(FORTIEMS_FILES) go.mod go.sum $(OUT)/.version
	@mkdir -p $(@D)
	$(call step,Compiling the command fortiems: $@,$(BUILD_FORTIEMS))

FORTIEMS_SYSTEMS := linux-amd64 linux-arm64 windows-amd64 darwin-amd64 darwin-arm64
fortiems: $(FORTIEMS_SYSTEMS:%=$(OUT)/fortiems-%/.built) ## the command fortiems for Linux, Windows and macOS in build/out/fortiems-*
$(OUT)/fortiems-%/.built: $(FORTIEMS_FILES) go.mod go.sum $(PACKAGE_OUT)/version
	@mkdir -p $(@D)
	$(call step,Compiling the command fortiems: $(@D),GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) $(BUILD_FORTIEMS))
	@touch $@

clean: ## remove build/out
	rm -rf $(OUT)

##@ Develop

# Neither servers (-short) nor Fluent Bit nor the built object.
check: lint ## lint and unit tests, in under two minutes: run it before every commit
	go test -short $(PURE) ./plugin ./test/demo ./test/docs ./test/ecs ./test/golden ./test/reference

lint: ## format, vet, staticcheck, actionlint
	@test -z "$$(gofmt -l parser plugin test conf build)" || { gofmt -l parser plugin test conf build; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go run $(ACTIONLINT)

golden: ## write the golden files of the corpus, the tables and examples of documents, the picture of the demo
	go test ./parser ./parser/rules ./test/golden -update
	go test ./test/demo ./plugin/cmd/fortiems -run 'TestPicture$$|TestExampleOf' -update

generate: ## write generated files and the tables of the documentation
	go generate ./...
	go test ./test/docs -update

screenshots: ## write the pictures of the report that the documents show; needs Chromium
	@mkdir -p $(OUT)/screenshots
	FORTIEMS_SCREENSHOTS=$(CURDIR)/$(OUT)/screenshots go test -count 1 -run 'ReportShows|PictureOfTheDemo' ./plugin/cmd/fortiems
	cp $(OUT)/screenshots/report.png $(OUT)/screenshots/report-events.png plugin/cmd/fortiems/

profile: ## write plugin/default.pgo from the benchmarks
	go test -run '^$$' -bench 'Run(EMS|FortiClient|Unmatched|Mixed|UserRules)$$' -benchtime 3s -cpu 1 -pgo=off \
	  -o /dev/null -cpuprofile $(PGO) ./plugin/enrich

##@ Test

test: build ## every test; says first how long it takes, at the end what could not run
	@go run ./test/runner

test-race: ## the packages without cgo under the race detector
	go test -race $(PURE)

test-pure: ## the packages without cgo, built without it
	CGO_ENABLED=0 go test $(PURE)

test-memory: ## objects built with address checks and with cgocheck2, in the stand-in host with address checks
	FORTIEMS_VARIANTS=1 go test -v -count 1 -timeout 30m -run 'Memory|PointersBetween' ./test/abi

test-engine: build ## the image and the profiles of the stack in a Docker engine that the test starts: root, 20 minutes
	FORTIEMS_ENGINE=1 go test -v -count 1 -timeout 90m -run InAnEngine ./test/stack

DIFFERENTIAL_LINES ?= 1000000
SEED ?= 1
differential: ## the parser against a slow reference over random lines
##= DIFFERENTIAL_LINES how many (1000000)
##= SEED               the seed of the lines (1)
	FORTIEMS_DIFFERENTIAL=$(DIFFERENTIAL_LINES) FORTIEMS_SEED=$(SEED) go test -count 1 -v -timeout 2h -run 'TestSame|TestSeveral' ./test/reference

SOAK ?= 10m
RATE ?= 2000
soak: ## lines into a real OpenSearch that is restarted, throttled and full; needs a JDK and Maven
##= SOAK               how long (10m)
##= RATE               lines a second (2000)
	FORTIEMS_SOAK=$(SOAK) FORTIEMS_RATE=$(RATE) go test -count 1 -v -timeout 0 -run TestSoak ./test/soak

FUZZTIME ?= 5m
FUZZ     ?= ./parser/... ./plugin/... ./test/reference ./test/hostile
fuzz: ## every fuzz target
##= FUZZTIME           how long each (5m)
##= FUZZ               the packages (./parser/... ./plugin/... ./test/reference ./test/hostile)
	@for p in $$(go list $(FUZZ)); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$p || exit 1; done; done

sigma: ## a Sigma engine in build/out/sigma, for the tests of conf/detections (python3 with venv, PyPI)
	python3 -m venv $(OUT)/sigma
	$(OUT)/sigma/bin/python -m pip install --quiet --disable-pip-version-check pysigma==1.5.1 pysigma-backend-elasticsearch==2.1.1

helm: ## Helm in build/out, for the test of the Kubernetes values (minutes of compiling)
##= FORTIEMS_HELM_CHART  the folder of the official chart of Fluent Bit, for that test
	GOBIN=$(CURDIR)/$(OUT) go install $(HELM)

vulncheck: ## known vulnerabilities in dependencies; asks an online database
##= VULNDB             another one: file:///...
	go run $(GOVULNCHECK) $(if $(VULNDB),-db $(VULNDB)) ./...

##@ Measure

BENCH_LINES ?= 1000000
MEMORY_LINES ?= 2000000
bench: build ## benchmarks, pipelines, memory, and the table of targets at the end
##= BENCH_LINES        lines of a pipeline (1000000)
##= MEMORY_LINES       lines for the memory (2000000)
	go test -run '^$$' -bench . -benchmem -pgo=$(PGO) ./parser/... ./plugin/...
	go run -pgo=$(PGO) ./test/bench/targets -lines $(BENCH_LINES) -memory-lines $(MEMORY_LINES)

instructions: ## instructions per event under valgrind against the committed ones
##= UPDATE=1           write them
##= CASE=ems           list the functions of a case; INCLUSIVE=1: with their callees
	@go run ./test/bench/instructions $(if $(UPDATE),-update) $(if $(CASE),-functions $(CASE) $(if $(INCLUSIVE),-inclusive))
