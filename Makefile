# apikeyd: `make help` lists what there is to make.

GO              ?= go
LINT_VERSION    := v2.15.0
LINT            := bin/golangci-lint-$(LINT_VERSION)
OASDIFF_VERSION := v1.36.0
OASDIFF         := bin/oasdiff-$(OASDIFF_VERSION)
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
BENCHSTAT       := bin/benchstat-$(BENCHSTAT_VERSION)
CYCLONEDX_VERSION := v1.10.0
CYCLONEDX       := bin/cyclonedx-gomod-$(CYCLONEDX_VERSION)
NFPM_VERSION    := v2.45.0
NFPM            := bin/nfpm-$(NFPM_VERSION)
PREFIX          ?= /usr/local
PROGRAM         ?= bin/apikeyd
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
BASELINE        := docs/bench/baseline.txt
GENERATED       := gen/api.gen.go gen/openapi.yaml gen/openapi.json client/internal/api/api.gen.go client/internal/seedapi/seedapi.gen.go \
                   client/typescript/src/contract.ts docs/configuration.md
NODE_MODULES    := client/typescript/node_modules
CONTRACT_TOOLS  := internal/contracts/tools
FUZZ_TIME       ?= 30s
BENCH_SEEDS     ?= $(HOME)/.cache/apikeyd-bench
BENCH_FLAGS     ?= --output docs/performance.md --seeds $(BENCH_SEEDS)
BENCH_COUNT     ?= 6
SOURCES         := $(shell find . -name node_modules -prune -o \
                   \( -name '*.go' -o -name '*.sql' -o -path './handlers/docs/*' \) -print) gen/openapi.yaml gen/openapi.json go.mod go.sum

# Everything is compiled in one way: without C and without folder names. So the program, the tests and
# the tools share Go's build cache, in every clone.
export CGO_ENABLED := 0
export GOFLAGS  := $(strip $(shell $(GO) env GOFLAGS) -trimpath)
# The program has the version that git gives it, and no symbols.
GO_BUILD        := $(GO) build -buildvcs=auto -ldflags '-s -w'
# Tests need no symbols either, and make lint vets them.
GO_TEST         := $(GO) test -vet=off -ldflags '-s -w'
GO_TEST_RACE    := CGO_ENABLED=1 $(GO_TEST) -race
# These packages' tests are sequential or run other programs: the race detector would find nothing and
# double their time.
NO_RACE         := client/typescript cmd/bench conformance console gen internal/testkit/gateway internal/testkit/postgres
# Tests that measure a request's time and memory, which the race detector changes.
MEASURED         = $(shell grep -rl --include='*_test.go' '^//go:build full && !race' . | \
                   xargs grep -hoE '^func Test[A-Za-z0-9_]*' | cut -c6- | paste -sd '|')
PLATFORMS       := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run the service on 127.0.0.1:8080, with its data in this folder
	bin/apikeyd serve

.PHONY: build
build: bin/apikeyd ## Build the static binary bin/apikeyd

bin/apikeyd: $(SOURCES)
	$(GO_BUILD) -o $@ ./cmd/apikeyd

.PHONY: install
install: build ## Install program, manual page, completions and systemd unit below PREFIX (/usr/local)
	install -d $(addprefix $(DESTDIR),$(ZSH_COMPLETIONS) $(addprefix $(PREFIX)/,bin share/man/man1 share/bash-completion/completions \
		share/fish/vendor_completions.d lib/systemd/system lib/sysusers.d))
	install $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/apikeyd
	bin/apikeyd man >$(DESTDIR)$(PREFIX)/share/man/man1/apikeyd.1
	bin/apikeyd completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/apikeyd
	bin/apikeyd completion zsh >$(DESTDIR)$(ZSH_COMPLETIONS)/_apikeyd
	bin/apikeyd completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/apikeyd.fish
	install -m 644 deploy/apikeyd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/apikeyd.service
	install -m 644 deploy/apikeyd.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/apikeyd.socket
	install -m 644 deploy/apikeyd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/apikeyd.conf

.PHONY: release
release: build $(CYCLONEDX) $(NFPM) ## Make dist/: archives for all platforms, Debian packages, bills of materials, collections (if contract-modules are there), checksums
	rm -rf dist
	for platform in $(PLATFORMS); do \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o dist/build/$$platform/ ./cmd/apikeyd || exit 1; \
	done
	for arch in amd64 arm64; do \
		umask 022; $(MAKE) --no-print-directory install DESTDIR=dist/build/linux_$$arch PREFIX=/usr PROGRAM=dist/build/linux/$$arch/apikeyd \
			ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions || exit 1; \
	done
	@if [ -d $(CONTRACT_TOOLS)/node_modules ]; then npm --prefix $(CONTRACT_TOOLS) run --silent collections $(CURDIR)/dist/build/collections; \
	else echo "Left out: collections for Postman and Bruno, which need make contract-modules"; fi
	$(GO) run ./deploy/release -sbom $(CYCLONEDX) -nfpm $(NFPM) -trees dist/build -output dist $(if $(wildcard $(CONTRACT_TOOLS)/node_modules),-collections dist/build/collections) $(PLATFORMS:%=dist/build/%/apikeyd*)
	rm -r dist/build
	cd dist && ls -l && cat SHA256SUMS

$(CYCLONEDX): # which writes its own checksum into each bill
	GOBIN=$(CURDIR)/bin $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)
	mv bin/cyclonedx-gomod $@

$(NFPM):
	GOBIN=$(CURDIR)/bin $(GO) install -ldflags '-s -w' github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv bin/nfpm $@

.PHONY: reproducible
reproducible: ## Fail if the last commit, built twice in different places, gives different programs
	@there=$$(mktemp -d) && trap 'rm -rf $$there' EXIT && \
	git clone --quiet . $$there/first && git clone --quiet . $$there/second/place && \
	$(MAKE) --no-print-directory -C $$there/first build && \
	GOCACHE=$$there/cache $(MAKE) --no-print-directory -C $$there/second/place build && \
	$$there/first/bin/apikeyd version && \
	sha256sum $$there/first/bin/apikeyd $$there/second/place/bin/apikeyd && \
	cmp $$there/first/bin/apikeyd $$there/second/place/bin/apikeyd

# Tests that need a browser, another server program, injected faults or a second build of the
# module have the build tag "full". The others need Go alone.
.PHONY: test
test: ## Run the quick tests, which need Go alone
	$(GO_TEST) ./...

.PHONY: test-all
test-all: ## Run all tests
	$(GO_TEST) -tags full -timeout 20m ./...

.PHONY: test-rest
test-rest: ## Run the tests that make test leaves out, with the race detector where it can find something
	@files=$$(grep -rl --include='*_test.go' '^//go:build full' .) && \
	names=$$(sed -n 's/^func \(\(Test\|Fuzz\|Example\)[A-Za-z0-9_]*\)(.*/\1/p' $$files | grep -vx TestMain | paste -sd '|') && \
	raced=$$(dirname $$files | sort -u | grep -vxF "$$(printf './%s\n' $(NO_RACE))") && \
	$(GO_TEST) -tags full -timeout 30m -run "^($$names)\$$" $(NO_RACE:%=./%) && \
	$(GO_TEST) -tags full -timeout 30m -run "^($(MEASURED))\$$" ./internal/cli && \
	$(GO_TEST_RACE) -tags full -timeout 30m -run "^($$names)\$$" $$raced

.PHONY: generate
generate: ## Make gen/ and the clients from openapi.yaml, and docs/configuration.md from the flags
	$(GO) tool oapi-codegen --config oapi-codegen.yaml openapi.yaml
	$(GO) tool oapi-codegen --config client/oapi-codegen.yaml openapi.yaml
	$(GO) tool oapi-codegen --config client/internal/seedapi/oapi-codegen.yaml internal/contracts/seed.yaml
	cp openapi.yaml gen/openapi.yaml
	$(GO_TEST) ./gen -run ContractJSON -count 1 -args -update
	@if [ -d $(NODE_MODULES) ]; then cd client/typescript && npm run --silent generate; \
	else echo "Left out: client/typescript/src/contract.ts, which needs Node.js and make node-modules"; fi
	@# The reference is printed by the program, which may not compile after a change of the contract.
	@if $(GO) build ./...; then $(GO_TEST) ./internal/cli -run ConfigurationReference -count 1 -args -update; \
	else echo "Left over: docs/configuration.md. All else is generated; fix what does not compile, and run make generate again."; \
	exit 1; fi

.PHONY: check
check: static contract-tools race ## Everything that must hold before a merge

.PHONY: static
static: format vet lint lint-contract drift breaking ## What make check finds without running the program

.PHONY: format
format: ## Fail if a file is not formatted
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these files:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## Run go vet
	$(GO) vet -tags full ./...

.PHONY: lint
lint: $(LINT) ## Run the linters, which also hold the architecture
	$(LINT) run

$(LINT):
	GOBIN=$(CURDIR)/bin $(GO) install -ldflags '-s -w' github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/golangci-lint $@

.PHONY: node-modules
node-modules: ## Install what the TypeScript client and lint-contract need (needs Node.js)
	cd client/typescript && npm ci

.PHONY: lint-contract
lint-contract: ## Run the linter of OpenAPI documents on openapi.yaml
	@if [ -d $(NODE_MODULES) ] && node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; then \
		cd client/typescript && npm run --silent lint-contract; \
	else echo "Left out: lint-contract, which needs Node.js 20 or later and make node-modules"; fi

.PHONY: contract-tools
contract-tools: build ## Run the tools that read openapi.yaml: linters, testers, mock servers, generators (needs npm)
	@if [ -d $(CONTRACT_TOOLS)/node_modules ]; then npm --prefix $(CONTRACT_TOOLS) run --silent test; \
	elif [ -n "$$CI" ]; then echo "contract-tools needs make contract-modules"; exit 1; \
	else echo "Left out: contract-tools, which needs Node.js and make contract-modules"; fi

.PHONY: contract-modules
contract-modules: ## Install what contract-tools needs (1.2 GB)
	cd $(CONTRACT_TOOLS) && npm ci --ignore-scripts

.PHONY: drift
drift: ## Fail if go.mod, or what is generated, is not what the sources make of it
	$(GO) mod tidy -diff
	@before=$$(cat $(GENERATED) | cksum); \
	$(MAKE) --no-print-directory generate || exit 1; \
	after=$$(cat $(GENERATED) | cksum); \
	if [ "$$before" != "$$after" ]; then \
		echo "What is generated was not what the sources make of it. It is now: commit it."; exit 1; fi

.PHONY: breaking
breaking: $(OASDIFF) ## Fail if the contract breaks clients of the seed or of the last release
	@for base in internal/contracts/*.yaml; do \
		echo "$$base -> openapi.yaml"; \
		$(OASDIFF) breaking --fail-on WARN --err-ignore internal/contracts/accepted.txt --warn-ignore internal/contracts/accepted.txt \
			$$base openapi.yaml || exit 1; \
	done
	@# Going back to the seed removes operations: oasdiff must report that.
	@if $(OASDIFF) breaking --fail-on ERR openapi.yaml internal/contracts/seed.yaml >/dev/null; then \
		echo "oasdiff finds nothing where much breaks"; exit 1; fi

$(OASDIFF):
	GOBIN=$(CURDIR)/bin $(GO) install -ldflags '-s -w' github.com/oasdiff/oasdiff@$(OASDIFF_VERSION)
	mv bin/oasdiff $@

.PHONY: race
race: ## Run all tests, with the race detector where it can find something (needs a C compiler)
	$(GO_TEST) -tags full -timeout 30m $(NO_RACE:%=./%)
	$(GO_TEST) -tags full -timeout 30m -run "^($(MEASURED))$$" ./internal/cli
	$(GO_TEST_RACE) -tags full -timeout 30m $$($(GO) list ./... | grep -vxF "$$(printf 'apikeyd/%s\n' $(NO_RACE))")

.PHONY: linearizability
linearizability: ## End 1,000 secrets in each way while they are used, also with the race detector
	$(GO_TEST) ./handlers -run Linearizable -count 1 -timeout 30m -args -rounds 1000
	$(GO_TEST_RACE) ./handlers -run Linearizable -count 1 -timeout 60m -args -rounds 1000

.PHONY: chaos
chaos: ## Kill the service 200 times, fill its disk, break it, soak it, break three nodes: what make test-all does a little of
	$(GO_TEST) -tags full ./internal/cli -run Chaos -count 1 -v -timeout 60m -args -kills 200 -soak 5m -proofs 100 -usage-kills 13

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZ_TIME (30s)
	@for file in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' $$file); do \
			$(GO) test -tags full -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZ_TIME) ./$$(dirname $$file) || exit 1; \
		done; \
	done

.PHONY: cover
cover: ## Run all tests and show what they do not reach
	$(GO) test -tags full -coverpkg=./apikey,./client,./conformance,./console,./handlers,./store/...,./verify -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out

.PHONY: bench
bench: build bin/bench ## Measure bin/apikeyd under load (needs wrk and PostgreSQL); BENCH_FLAGS="run --help" says how else
	bin/bench $(BENCH_FLAGS)

bin/bench: $(SOURCES) $(wildcard cmd/bench/scripts/*.lua)
	$(GO) build -o $@ ./cmd/bench

.PHONY: bench-go
bench-go: ## Run the Go benchmarks, each BENCH_COUNT times (6), into bin/bench.txt
	@mkdir -p bin
	$(GO) test -run '^$$' -bench . -count $(BENCH_COUNT) -benchtime 300ms \
		./apikey ./handlers ./internal/ratelimit ./store/sqlstore ./verify >bin/bench.txt
	@grep -v '^Benchmark' bin/bench.txt

.PHONY: bench-baseline
bench-baseline: bench-go ## Keep what the Go benchmarks say now, to compare with later
	@mkdir -p $(dir $(BASELINE))
	cp bin/bench.txt $(BASELINE)

.PHONY: benchstat
benchstat: $(BENCHSTAT) bench-go ## Compare the Go benchmarks with the saved ones
	$(BENCHSTAT) $(BASELINE) bin/bench.txt

$(BENCHSTAT):
	GOBIN=$(CURDIR)/bin $(GO) install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
	mv bin/benchstat $@
