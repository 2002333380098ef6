# Everything that is done with this repository, as commands.
# `make help` lists the targets.

MODULES := commons store sql live core server link cli integration docs/quickstart/chat
PACKAGES := $(foreach m,$(MODULES),./$(m)/...)
# Packages whose goroutines share memory; they are tested again with the race
# detector, which needs a C compiler.
RACE := ./store/kv/... ./sql/plancache/... ./live/... ./core/... ./server/... ./link/...

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
BRANCH  := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
INFO    := github.com/kalamdb/kalamdb/commons/buildinfo
LDFLAGS := -s -w -X $(INFO).version=$(VERSION) -X $(INFO).commit=$(COMMIT) -X $(INFO).branch=$(BRANCH)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# The database of vulnerabilities, or the URL of a copy of it.
GOVULNDB ?= https://vuln.go.dev

export CGO_ENABLED = 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

.PHONY: run
run: ## start the server on http://127.0.0.1:8080 with its data in ./data
	go run ./server

.PHONY: build
build: ## build bin/kalamdb-server and bin/kalam-cli
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kalamdb-server ./server
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kalam-cli ./cli/cmd/kalam-cli

.PHONY: js
js: ## build link/js/dist: the client for browsers and Node.js
	mkdir -p link/js/dist
	GOOS=js GOARCH=wasm go build -trimpath -ldflags '-s -w' -o link/js/dist/kalamdb.wasm ./link/js/wasm
	cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" link/js/dist/

.PHONY: test
test: ## run every module's tests
	@start=$$(date +%s); \
	go test -timeout 10m $(PACKAGES); code=$$?; \
	took=$$(( $$(date +%s) - start )); \
	echo "the tests took $$((took / 60)) min $$((took % 60)) s"; exit $$code

.PHONY: check
check: fmt-check vet staticcheck vuln modules cross race ## everything CI checks beside the tests

.PHONY: fmt
fmt: ## format the code
	gofmt -w $(MODULES)

.PHONY: fmt-check
fmt-check: ## fail when gofmt would change a file
	@out=$$(gofmt -l $(MODULES)); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: ## go vet
	go vet $(PACKAGES)

.PHONY: staticcheck
staticcheck: ## staticcheck, at the version named above
	go run $(STATICCHECK) $(PACKAGES)

.PHONY: vuln
vuln: ## govulncheck: known vulnerabilities that our code reaches (skipped where vuln.go.dev is not reached)
	@for m in $(MODULES); do \
		echo "govulncheck in $$m"; \
		out=$$(go run $(GOVULNCHECK) -db $(GOVULNDB) -C $$m ./... 2>&1); code=$$?; \
		case "$$code$$out" in \
		0*) ;; \
		*'govulncheck: fetching vulnerabilities:'*) \
			echo 'skipped: the vulnerability database cannot be reached'; echo "$$out" | grep 'fetching vulnerabilities:'; break ;; \
		*) echo "$$out"; exit 1 ;; \
		esac; \
	done

.PHONY: outdated
outdated: ## fail when a library or tool that we name has a newer version (skipped where no module proxy is reached)
	@named=$$({ for m in $(MODULES); do \
		(cd $$m && GOWORK=off go list -m -f '{{if not (or .Main .Indirect .Replace)}}{{.Path}}@{{.Version}}{{end}}' all) || exit 1; \
	done; printf '%s\n' $(STATICCHECK) $(CYCLONEDX) $(GOVULNCHECK) | sed 's#/cmd/[^@]*##'; } | sort -u); \
	out=$$(cd server && GOWORK=off go list -m -u -f '{{with .Update}}{{$$.Path}} {{$$.Version}}, newer: {{.Version}}{{end}}' $$named 2>&1); code=$$?; \
	case "$$code" in \
	0) echo "$$out" | grep . && exit 1; echo "$$(echo "$$named" | wc -l) libraries and tools, each in its newest version" ;; \
	*) echo 'skipped: the module proxy cannot be reached, or does not know all'; echo "$$out" | head -1 ;; \
	esac

.PHONY: modules
modules: ## build each module by itself, without the workspace
	@for m in $(MODULES); do echo "go build ./... in $$m"; (cd $$m && GOWORK=off go build ./... && GOWORK=off go mod verify >/dev/null) || exit 1; done

# The other architectures differ in nothing that we write; make release builds
# for all of them. Each takes minutes where nothing is cached.
.PHONY: cross
cross: ## compile for Windows and macOS, and link for the browser
	GOOS=windows GOARCH=amd64 go build $(PACKAGES)
	GOOS=darwin GOARCH=arm64 go build $(PACKAGES)
	GOOS=js GOARCH=wasm go build ./link/...

.PHONY: race
race: ## test the concurrent packages with the race detector
	@if command -v $${CC:-gcc} >/dev/null; then \
		echo 'go test -race $(RACE)'; CGO_ENABLED=1 go test -race -short -timeout 10m $(RACE); \
	else echo 'skipped: the race detector needs a C compiler (CC or gcc), none is installed'; fi

BENCHTIME ?= 200ms
FIGURES   := $(CURDIR)/dist/bench

.PHONY: bench
bench: ## run all benchmarks, beside PostgreSQL and DuckDB too; a table and a plot of the ratios in dist/bench
	rm -rf $(FIGURES) && mkdir -p $(FIGURES)
	go test -p 1 -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 120m $(PACKAGES) > $(FIGURES)/bench.txt || { grep -A20 FAIL $(FIGURES)/bench.txt; exit 1; }
	cd integration/oracle && GOWORK=off go test -timeout 60m -run '^$$' -bench . -benchtime $(BENCHTIME) ./wire >> $(FIGURES)/bench.txt
	@if command -v $${CC:-gcc} >/dev/null; then \
		cd integration/oracle && CGO_ENABLED=1 GOWORK=off go test -timeout 60m ./bench -run Compare -rounds 5 -table $(FIGURES)/duckdb.txt; \
	else echo 'skipped: the comparison with DuckDB needs a C compiler (CC or gcc), none is installed'; fi
	go run ./integration/figures -bench $(FIGURES)/bench.txt -duckdb $(FIGURES)/duckdb.txt -out $(FIGURES)

# What the product consists of. Its coverage is that by the unit tests together
# with that of the programs that the end-to-end tests run.
PRODUCT := $(foreach m,$(filter-out integration docs/%,$(MODULES)),./$(m)/...)
COVER   := $(CURDIR)/dist/cover

.PHONY: cover
cover: ## the coverage of the product's packages by all tests, and in dist/cover by line
	rm -rf $(COVER) && mkdir -p $(COVER)/unit $(COVER)/whole $(COVER)/bin
	go build -cover -coverpkg=github.com/kalamdb/kalamdb/... -o $(COVER)/bin/ ./server ./cli/cmd/kalam-cli
	go test -short -timeout 20m -coverpkg=github.com/kalamdb/kalamdb/... $(PRODUCT) -args -test.gocoverdir=$(COVER)/unit > $(COVER)/unit.log 2>&1 \
		|| { grep -A20 FAIL $(COVER)/unit.log; exit 1; }
	GOCOVERDIR=$(COVER)/whole KALAM_SERVER_BINARY=$(COVER)/bin/server KALAM_CLI_BINARY=$(COVER)/bin/kalam-cli \
		go test -timeout 20m ./integration > $(COVER)/whole.log 2>&1 || { grep -A20 FAIL $(COVER)/whole.log; exit 1; }
	go tool covdata textfmt -i=$(COVER)/unit,$(COVER)/whole -o $(COVER)/profile.txt
	go run ./integration/covered $(COVER)/profile.txt

.PHONY: soak
soak: ## half an hour of everything at once under kill -9; live queries at random, disconnects under writers, a stalled listener
	go test -timeout 180m ./integration -run 'TestSoak|TestLiveQueriesEqualSelect|TestDisconnectsUnderWriters|TestStalledListener' -v \
		-soak.time 30m -soak.runs 2000 -soak.disconnects 10000 -soak.stalled 5m

# How long the load of the stress tests lasts, of which the whole takes thrice as
# long; below a minute their bars are shown, not judged.
STRESS_TIME ?= 5m

.PHONY: stress
stress: ## ten writers, twenty listeners: memory, CPU, latency, leaks, flushes; reports and plots in dist/stress
	go test -timeout 60m ./integration -v -stress.time $(STRESS_TIME) -stress.out $(CURDIR)/dist/stress \
		-run 'TestMemoryStabilityUnderWriteLoad|TestConcurrentWritersAndListeners|TestCpuUsageUnderLoad|TestWebsocketConnectionLeakDetection|TestMemoryReleaseAfterStress|TestQueryPerformanceUnderStress|TestFlushOperationsDuringStress|TestActorSystemStability|TestRocksdbMemoryBounds|TestGracefulDegradation'

.PHONY: load
load: ## a minute of twice the load that the server can take, one of long statements, and 40 restarts under load
	go test -timeout 20m ./integration -run 'TestOverload|TestLongFlood|TestRestartUnderLoad' -v -load.time 60s -load.restarts 20

.PHONY: crash
crash: ## kill a process hundreds of times at every step of flush, compaction, definitions, backup and restore
	KALAMDB_TEST_COLD_ROUNDS=63 go test -timeout 60m ./core -run TestKillAtEachStep -v

# What the stories below check is the same with every backend.
BACKEND_STORIES := 'TestQuickstart|TestFlush|TestShutdown|TestScheduler|TestLiveQueryDetects|TestInsertUser|TestParametrized|TestStorage'

.PHONY: backends
backends: ## some integration tests with the memory and the redis backend; all: make backends BACKEND_STORIES=.
	KALAM_BACKEND=memory go test -timeout 10m ./integration -run $(BACKEND_STORIES)
	KALAM_BACKEND=redis go test -timeout 10m ./integration -run $(BACKEND_STORIES)

# 20,000 random queries from SEED, 5,000 random changes, and 2,500 queries in
# rewritten forms; the log ends with the totals of each.
SEED ?= 1

.PHONY: oracle
oracle: ## compare random queries with PostgreSQL and DuckDB (needs gcc and the Debian package postgresql)
	cd integration/oracle && CGO_ENABLED=1 GOWORK=off go test -timeout 120m -v . -queries 20000 -seed $(SEED)

.PHONY: oracle-quick
oracle-quick: ## the same for a minute
	cd integration/oracle && CGO_ENABLED=1 GOWORK=off go test -timeout 10m . -queries 400 -seed $(SEED)

.PHONY: release
release: ## dist/release: archives for all platforms, bills of materials, checksums
	go run ./integration/release -version $(VERSION) -commit $(COMMIT) -branch $(BRANCH) \
		-time $$(git log -1 --format=%ct) -bom $(CYCLONEDX) -out dist/release

.PHONY: clean
clean: ## remove what the build made
	rm -rf bin dist
