# Everything one does with this repository. `make` alone tells what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN   := bin/baton
CACHE := .cache
TOOLS := $(CACHE)/bin

# Pinned: a new check never breaks a build that nobody touched.
STATICCHECK  := v0.8.0
GOLANGCI     := v2.15.0
VERSITYGW    := v1.8.0

VERSION ?=
LDFLAGS  = -s -w $(if $(VERSION),-X baton/internal/cli.version=$(VERSION))
PACKAGES ?= ./...
# For test: more arguments of go test, such as TESTFLAGS='-run TestPause -v'.
TESTFLAGS ?=
# For simulate: how many seeds, and the first one.
SEEDS ?= 1000
SEED  ?= 1
# For chaos: more flags, such as -registry all; docs/reliability.md has them.
CHAOS ?=
# For dist.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

# mariadbd lives there; a user's PATH on Debian lacks it.
export PATH := $(PATH):/usr/sbin:/usr/local/sbin

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Start a server, apply the examples, run one, show it; Ctrl-C ends it
	@scripts/demo.sh

.PHONY: dev
dev: build ## Run a server in ./baton-data with debug logs; Ctrl-C ends it
	$(BIN) standalone --log-level debug

.PHONY: build
build: ## Build bin/baton
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/baton

.PHONY: deps
deps: $(TOOLS)/versitygw-$(VERSITYGW) ## Install what the tests need and this machine lacks (apt-get)
	@scripts/deps.sh test

.PHONY: test
test: deps ## All tests: race detector, real databases and registries, end to end
	cd bench && go test ./...
	cd test/deploy && go test ./...
	go test -race -timeout 30m $(TESTFLAGS) $(PACKAGES)

.PHONY: quick
quick: ## The tests without the race detector, for while you write
	go test -short $(TESTFLAGS) $(PACKAGES)

.PHONY: lint
lint: vet golangci ## go vet, staticcheck and golangci-lint

.PHONY: vet
vet: $(TOOLS)/staticcheck-$(STATICCHECK) ## The quick half of lint: go vet and staticcheck
	go vet ./...
	go vet -tags failpoint ./internal/cli
	$< ./...

.PHONY: golangci
golangci: $(TOOLS)/golangci-lint-$(GOLANGCI) ## The thorough half of lint
	$< run --allow-parallel-runners --timeout 20m

.PHONY: fix
fix: $(TOOLS)/golangci-lint-$(GOLANGCI) ## Let the linters repair what they can
	$< run --allow-parallel-runners --fix --timeout 20m

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint-$(GOLANGCI) ## Format all Go files (gofumpt, gci)
	$< fmt

$(TOOLS)/staticcheck-$(STATICCHECK):
	scripts/tool.sh $@ honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK)

$(TOOLS)/versitygw-$(VERSITYGW): # an object store
	scripts/tool.sh $@ github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)

$(TOOLS)/golangci-lint-$(GOLANGCI):
	scripts/tool.sh $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)

.PHONY: generate
generate: ## Make anew what is made from code: wire, OpenAPI, schema, states, lint's arrows
	@scripts/deps.sh generate
	scripts/generate.sh
	go test -count=1 ./internal/flow ./test/arrows -update

.PHONY: verify
verify: ## Fail when a generated file is not what the code says
	@scripts/deps.sh generate
	@scripts/verify.sh

.PHONY: bench
bench: ## Measure Baton beside its peers and beside the limits of this machine
	cd bench && go run .

.PHONY: simulate
simulate: ## The roles under a seeded scheduler with faults: make simulate SEEDS=10000 SEED=1
	go test -count=1 -timeout 6h ./test/sim -run TestHistories -v -seeds $(SEEDS) -first $(SEED) -failures 10

.PHONY: mutants
mutants: deps ## Take one guard at a time out of the product; the tests that watch over it must fail
	go test -count=1 -timeout 60m ./test/mutants -v

.PHONY: chaos
chaos: deps ## Real processes killed, frozen and cut off: make chaos CHAOS='-registry etcd -seed 7'
	go test -count=1 -timeout 12h ./test/chaos -run TestChaos -v -registry all -faults 20 -tasks 300 $(CHAOS)

.PHONY: dist
dist: ## Release archives and checksums in dist/: make dist VERSION=v0.1.0
	@VERSION='$(VERSION)' PLATFORMS='$(PLATFORMS)' LDFLAGS='$(LDFLAGS)' scripts/dist.sh

.PHONY: clean
clean: ## Remove what was built (not ./baton-data)
	rm -rf bin dist $(CACHE)
