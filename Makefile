# The two commands of the README are "make demo" and "make test".

VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GO_BUILD   = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
# A base image other than the pinned one, for where that cannot be pulled.
BASE       ?=
GOTESTSUM  = go run gotest.tools/gotestsum@v1.13.0 --format pkgname
LINT       = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# What the tests need, as command:Debian-package: a container engine, a
# registry, something to make a base image with, a C compiler for the race
# detector, the package managers that real servers come from, a browser, gVisor,
# and a proxy.
NEEDED     = dockerd:docker.io docker:docker.io docker-registry:docker-registry mmdebstrap:mmdebstrap \
             gcc:build-essential pip3:python3-pip npm:npm chromium:chromium runsc:runsc nginx:nginx-light

.PHONY: build
build: ## bin/fastmcp-runner for this machine, static
	$(GO_BUILD) -o bin/fastmcp-runner ./cmd/fastmcp-runner

.PHONY: build-all
build-all: ## bin/linux-amd64/... and bin/linux-arm64/...
	GOOS=linux GOARCH=amd64 $(GO_BUILD) -o bin/linux-amd64/fastmcp-runner ./cmd/fastmcp-runner
	GOOS=linux GOARCH=arm64 $(GO_BUILD) -o bin/linux-arm64/fastmcp-runner ./cmd/fastmcp-runner

.PHONY: image
image: bin/rootfs.tar ## fastmcp-runner:latest and :rootfs, by the engine that DOCKER_HOST names
	docker build $(if $(BASE),--build-arg BASE=$(BASE)) --tag fastmcp-runner:latest .
	docker build --file Dockerfile.rootfs --tag fastmcp-runner:rootfs .

bin/rootfs.tar: build
	go run ./images/rootfs -binary bin/fastmcp-runner >$@

.PHONY: demo
demo: build ## pull and run a small server from a registry of its own; ONCE=1 ends by itself
	go run ./examples/demo -runner bin/fastmcp-runner $(if $(ONCE),-once)

# The tests against a real engine are not run under the race detector: what
# they test are other processes, and it would only see the harness.
.PHONY: test
test: test-packages build-all ## everything; as root on Debian it installs what is missing
	@mkdir -p .cache
	$(GOTESTSUM) --jsonfile .cache/unit.json -- -race -timeout 15m $$(go list ./... | grep -v /test/e2e)
	$(GOTESTSUM) --jsonfile .cache/e2e.json -- -timeout 15m ./test/e2e/...
	@if [ -n "$$CI" ] && grep -h '"Action":"skip"' .cache/unit.json .cache/e2e.json | grep '"Test"'; then \
		echo "these tests were skipped, which is a failure under CI"; exit 1; fi

# Only what is missing is installed, so that a second run needs no network.
.PHONY: test-packages
test-packages:
	@missing=; for need in $(NEEDED); do \
		PATH="$$PATH:/usr/sbin" command -v "$${need%%:*}" >/dev/null || missing="$$missing $${need##*:}"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

.PHONY: lint
lint: ## go vet and golangci-lint
	go vet ./...
	$(LINT) run

.PHONY: docs
docs: ## docs/configuration.md, from the table that parsing uses
	go generate ./internal/config

# Options and figures are in docs/performance.md.
BENCH = go run ./test/bench -runner bin/fastmcp-runner -rounds $(or $(ROUNDS),$(if $(QUICK),3),7) $(if $(DOCS),-docs docs/performance.md)
bench bench-growth: NEEDED = dockerd:docker.io docker:docker.io docker-registry:docker-registry mmdebstrap:mmdebstrap \
                             pip3:python3-pip npm:npm skopeo:skopeo podman:podman mkfs.ext4:e2fsprogs

.PHONY: bench
bench: test-packages build ## pulling beside other tools; QUICK=1, ROUNDS=n, ONLY=scenario,..., DOCS=1
	$(BENCH) $(if $(QUICK),-quick) $(if $(ONLY),-only $(ONLY))

.PHONY: bench-growth
bench-growth: test-packages build ## how the cost of pulling grows with layers, files and bytes; ROUNDS=n, DOCS=1
	$(BENCH) -growth

.PHONY: bench-bridge
bench-bridge: build ## the bridge beside other gateways from npm; DOCS=1 writes docs/performance.md
	go run ./test/benchbridge -runner bin/fastmcp-runner $(if $(DOCS),-docs docs/performance.md)

.PHONY: soak-bridge
soak-bridge: build ## clients of all kinds for ten minutes, after which nothing may be left
	go run ./test/benchbridge -runner bin/fastmcp-runner -soak 10m

.PHONY: clean
clean:
	rm -rf bin .cache

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
