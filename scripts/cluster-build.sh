#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds what a cluster consists of into .tools/, once, and installs the Debian packages. Prints the names of the files as
# shell variables: kubernetes, kapp_controller, pause, relay.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
mkdir -p .tools

# build NAME MODULE PACKAGE SECONDS [ARGUMENT…]: builds PACKAGE unless it is there, built from the same; prints NAME=file.
build() {
	local name=$1 module=$2 package=$3 estimate=$4 key file started=$SECONDS
	shift 4
	key=$({
		go env GOVERSION GOARCH CGO_ENABLED
		echo "$@"
		find "$module" -maxdepth 1 \( -name 'go.*' -o -name '*.go' \) -exec cat {} +
		[[ $package != ./* ]] || cat "$module/$package"/*.go
	} | sha256sum | cut -c1-12)
	file=$root/.tools/cluster-$name-$key
	if [[ ! -x $file ]]; then
		echo "building $name (once, about $estimate s on two cores) …" >&2
		find .tools -maxdepth 1 -name "cluster-$name-????????????" -delete
		go -C "$module" build -o "$file.$$" "$@" "$package" || { rm -f "$file.$$"; fail "building $name failed"; }
		mv "$file.$$" "$file"
		echo "built $name in $((SECONDS - started)) s" >&2
	fi
	echo "${name//-/_}=$file"
}

scripts/debian.sh etcd-server containerd runc containernetworking-plugins iproute2 iptables conntrack openssl util-linux
version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print $2; exit} $2 == "k8s.io/kubernetes" {print $3; exit}' \
	tests/cluster/kubernetes/go.mod)
[[ $version =~ ^v([0-9]+)\.([0-9]+)\. ]] || fail "tests/cluster/kubernetes/go.mod names no version of k8s.io/kubernetes"
stamp=k8s.io/component-base/version
# Without -trimpath and with cgo as it is by default: then "go vet" and the linter use the same compiled packages.
build kubernetes tests/cluster/kubernetes . 300 -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitCommit=unknown \
	-X $stamp.gitMajor=${BASH_REMATCH[1]} -X $stamp.gitMinor=${BASH_REMATCH[2]} -X $stamp.gitTreeState=clean"
export CGO_ENABLED=0
build kapp-controller tests/cluster/kapp-controller carvel.dev/kapp-controller/cmd/controller 120 -trimpath -ldflags '-s -w -X main.Version=0.53.1'
build pause tests/cluster ./cmd/pause 5 -trimpath -ldflags '-s -w'
build relay tests/cluster ./cmd/relay 5 -trimpath -ldflags '-s -w'
