# SPDX-License-Identifier: Apache-2.0

# Every target is a script in scripts/, so that what runs here runs the same by hand and in CI.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export FUZZTIME VULNDB VERSION REGISTRY BASE_IMAGE PLAIN_HTTP CA_CERT_FILE CLUSTER TESTFLAGS

.PHONY: help build run demo test fresh generate package-test rewrite-test conformance-test clients-test attack-test cluster-test cluster-up cluster-down bench fuzz vulncheck lint verify render package publish release verify-release krew clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the programs into bin/
	@scripts/build.sh

run: build ## Run the proxy with a registry inside, until Ctrl-C
	@scripts/run.sh

demo: ## Push a source tree through the proxy into a registry that demands a token, and compare
	@scripts/demo.sh

test: ## Run the tests of the programs; under ten minutes from nothing (TIER=unit or blackbox for one part)
	@scripts/test.sh $(TIER)

fresh: ## Run make demo and make test in a clone, with an empty home and empty caches
	@scripts/fresh.sh

package-test: ## Run the tests of the packages, with the real tools
	@scripts/test.sh package

rewrite-test: ## Run the tests of kubectl lsp rewrite, with the real kubectl and Helm
	@scripts/test.sh rewrite

conformance-test: ## Run the specification's own suites at registries and through us (TESTFLAGS=-update writes the table)
	@scripts/test.sh conformance

clients-test: ## Run the tests with oras, notation, cosign, Helm, buildah, docker, crane and regctl as commands
	@scripts/test.sh clients

attack-test: ## Attack the server in a pod's limits while an honest client goes on (root; TESTFLAGS='-duration=1m -run=/tags')
	@scripts/test.sh attacks

cluster-test: ## Install and use the package in a real Kubernetes cluster (root; TESTFLAGS='-test.run Health')
	@scripts/cluster-test.sh

cluster-up: ## Start such a cluster to play with, and print its KUBECONFIG line (root; CLUSTER=play)
	@scripts/cluster-up.sh

cluster-down: ## Remove it without a trace
	@scripts/cluster-down.sh

bench: ## Measure the proxy beside the straight way and nginx, in half an hour from nothing (with root, through a real API server, too)
	@scripts/bench.sh

generate: ## Write the generated files: reference pages, OpenAPI, definitions of the custom resources
	@scripts/generate.sh

fuzz: ## Search with every fuzz target, FUZZTIME each (1m)
	@scripts/fuzz.sh

vulncheck: ## Look for known vulnerabilities that the programs reach (asks vuln.go.dev)
	@scripts/vulncheck.sh

lint: ## Run the linters
	@scripts/lint.sh

verify: ## Check format, lint, shell scripts, modules, licence lines, layout and what CI promises
	@scripts/verify.sh

render: ## Print the package's manifests (VALUES=file)
	@scripts/render.sh $(VALUES)

package: ## Build the image, the bundles and the package repository into dist/ (VERSION=0.3.0)
	@scripts/package.sh

publish: ## The same, pushed below a registry path (REGISTRY=host/path VERSION=0.3.0)
	@scripts/publish.sh

release: ## Make the files of a release in dist/release/ (VERSION=0.3.0; COSIGN_KEY=file signs)
	@scripts/release.sh

verify-release: ## Check a published release's signatures, and build it again (VERSION=0.3.0 REGISTRY=host/path RELEASE=URL)
	@scripts/verify-release.sh

krew: ## Build the plugin's archives and its krew manifest into dist/ (VERSION=0.3.0)
	@scripts/krew.sh $(VERSION)

clean: ## Remove what was built
	rm -rf bin dist .tools
