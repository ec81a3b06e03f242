#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/test.sh [unit|blackbox|package|rewrite|conformance|clients|attacks]: runs the tests that need no cluster; without an
# argument those of the programs, unit and blackbox. CONTRIBUTING.md says what each proves. TESTFLAGS is given to "go test" (TESTFLAGS='-run Push -v').
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
tier=${1:-all}
case $tier in
all | unit | blackbox | package | rewrite | conformance | clients | attacks) ;;
*) fail "no tier is called $tier: unit, blackbox, package, rewrite, conformance, clients, attacks, or nothing for the first two" ;;
esac
read -r -a flags <<<"${TESTFLAGS:-}"
failed=()

# The race detector is linked by the C compiler.
race=(-race)
if ! command -v "$(go env CC)" >/dev/null && ! scripts/debian.sh gcc libc6-dev; then
	echo "test: no C compiler: the race detector is off"
	race=()
fi

# run NAME MODULE [FLAG…]: one tier. The summary counts tests and repeats every failure and every reason for a skip.
run() {
	local name=$1 module=$2
	shift 2
	say "$name"
	(cd "$module" && "$gotestsum" --format pkgname --format-icons text --format-hide-empty-pkg -- \
		"${race[@]}" -shuffle=on "$@" "${flags[@]}" ./...) || failed+=("$name")
}

gotestsum=$(scripts/tool --path gotestsum)

if [[ $tier == all || $tier == unit ]]; then
	run 'unit tests' .
fi

if [[ $tier == all || $tier == blackbox ]]; then
	for name in crane imgpkg registry; do
		path=$(scripts/tool --path "$name")
		export "LSP_TOOL_${name^^}=$path"
	done
	# Once, and not by every package of the tests.
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	say "building the server${race[0]:+ with the race detector}"
	go build "${race[@]}" -o "$work/local-source-proxy" ./src/cmd/local-source-proxy
	export LSP_BINARY=$work/local-source-proxy
	scripts/debian.sh skopeo docker-registry podman containerd ||
		echo "test: without skopeo, docker-registry, podman or containerd their tests are skipped"
	# Results of programs outside the test binary must not come from Go's cache.
	run 'black-box tests: real clients, the built server, real registries' tests -count=1
fi

if [[ $tier == package ]]; then
	for name in crane imgpkg kbld ko krew registry ytt; do
		path=$(scripts/tool --path "$name")
		export "LSP_TOOL_${name^^}=$path"
	done
	scripts/debian.sh prometheus || echo "test: without prometheus, alerts and dashboard are not tried in it"
	run 'the packages: rendered, published and relocated with the real tools' tests/package -count=1 -timeout 20m
	# Here, where ko is built anyway.
	run "ko, through the plugin's registry" tests/plugin -count=1 -run TestKo
fi

if [[ $tier == rewrite ]]; then
	path=$(scripts/tool --path registry)
	export LSP_TOOL_REGISTRY=$path
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	say 'building kubectl, Helm and ours (five minutes from nothing)'
	# With the flags of scripts/tool, so that what both need is compiled once.
	CGO_ENABLED=0 go -C tests/rewrite build -trimpath -ldflags '-s -w' -o "$work/" ./cmd/kubectl ./cmd/helm4
	cp "$(scripts/tool --path helm)" "$work/helm"
	go build -o "$work/" ./src/cmd/kubectl-lsp ./src/cmd/local-source-proxy
	export LSP_REWRITE_DIR=$work LSP_BINARY=$work/local-source-proxy
	race=() # the tests only start programs, and with it all of kubectl would be compiled once more
	run 'kubectl lsp rewrite and helm-values, used by the real kubectl and Helm' tests/rewrite -count=1
fi

if [[ $tier == conformance ]]; then
	path=$(scripts/tool --path registry)
	export LSP_TOOL_REGISTRY=$path
	scripts/debian.sh docker-registry || echo "test: without docker-registry its verdicts are skipped"
	race=() # the tests only start programs
	run "the specification's own suites, at registries and through us" tests/conformance -count=1
fi

if [[ $tier == clients ]]; then
	for name in registry crane oras notation cosign helm regctl; do
		path=$(scripts/tool --path "$name")
		export "LSP_TOOL_${name^^}=$path"
	done
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	say "building the server${race[0]:+ with the race detector} and the plugin"
	go build "${race[@]}" -o "$work/local-source-proxy" ./src/cmd/local-source-proxy
	go build -o "$work/kubectl-lsp" ./src/cmd/kubectl-lsp
	export LSP_BINARY=$work/local-source-proxy LSP_PLUGIN_DIR=$work
	scripts/debian.sh docker-registry buildah docker.io ||
		echo "test: without docker-registry, buildah or docker.io their tests are skipped"
	race=() # the tests only start programs
	run "the clients of others, each command a process of its own" tests/commands -count=1
	# Here, where many tools are built anyway.
	path=$(scripts/tool --path versitygw)
	export LSP_TOOL_VERSITYGW=$path
	if path=$(scripts/azurite.sh); then export LSP_TOOL_AZURITE=$path; else echo "test: without npm the cache is not tried with Azure's emulator"; fi
	run "the image proxy's cache in buckets of a real S3 server and of Azure's emulator" tests/imageproxy -count=1 -run TestBucket
fi

if [[ $tier == attacks ]]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	say 'building the server'
	CGO_ENABLED=0 go build -trimpath -o "$work/" ./src/cmd/local-source-proxy
	export LSP_BINARY=$work/local-source-proxy
	race=() # memory is what is attacked
	# Several at once: each server has half a processor, as in a pod. TESTFLAGS come later and prevail.
	run "attacks on the server in a pod's limits" tests/attacks -count=1 -parallel=6 -duration=6s
fi

if [[ ${#failed[@]} -gt 0 ]]; then
	echo "test: failed after $SECONDS s: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')" >&2
	exit 1
fi
echo "test: all good, $SECONDS s"
