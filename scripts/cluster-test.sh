#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make cluster-test: starts a real cluster, publishes two versions of the packages and an earlier one into it, installs and uses them with
# tests/cluster, and removes the cluster again. Needs root.
#
#   CLUSTER      a cluster that runs already (make cluster-up CLUSTER=…): it is used, and left as it is
#   TESTFLAGS   for the test program: TESTFLAGS='-test.run Health'
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
cd "$root"
need_root
read -r -a flags <<<"${TESTFLAGS:-}"

# Two runs at the same time get two clusters.
export CLUSTER=${CLUSTER:-test-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')}
check_name "$CLUSTER"
state=$clusters/$CLUSTER
work=$(mktemp -d)
keep=''
! init_of "$state" >/dev/null || keep=yes
cleanup() {
	rm -rf "$work"
	[[ -n $keep ]] || scripts/cluster-down.sh
}
trap cleanup EXIT
trap 'exit 130' INT TERM

scripts/cluster-up.sh
registry=$(cat "$state/registry")
stamp=$(date +%s)
# A place of its own: the repository of a version has all that came before it in the same place.
place=lsp-$stamp
versions=("0.3.0-test.$stamp.1" "0.3.0-test.$stamp.2")

# A version as it was published before: from the commit that tests/cluster/before.txt names, by the scripts of that commit.
# What it holds is in no way this tree's.
read -r commit _ < <(grep -v '^#' tests/cluster/before.txt)
before=0.3.0-before.$stamp
if git cat-file -e "$commit^{commit}" 2>/dev/null; then
	say "publishing version $before, of commit $commit, into the cluster's registry"
	git clone --quiet --no-checkout "$root" "$work/before" && git -C "$work/before" checkout --quiet "$commit"
	VERSION=$before REGISTRY=$registry/$place CA_CERT_FILE=$state/pki/ca.crt "$work/before/scripts/publish.sh" >"$work/publish.log" 2>&1 ||
		{ cat "$work/publish.log" >&2; fail "publishing commit $commit failed"; }
else
	say "this clone has no commit $commit (git fetch --unshallow): the upgrade from it is not tested"
	before=''
fi
for version in "${versions[@]}"; do
	say "publishing version $version into the cluster's registry"
	VERSION=$version REGISTRY=$registry/$place CA_CERT_FILE=$state/pki/ca.crt scripts/publish.sh >"$work/publish.log" 2>&1 ||
		{ cat "$work/publish.log" >&2; fail "publishing failed"; }
done

say 'testing'
go -C tests/cluster test -c -o "$work/cluster.test" .
CGO_ENABLED=0 go build -o "$work/plugin/kubectl-lsp" ./src/cmd/kubectl-lsp
CGO_ENABLED=0 go -C tests/cluster build -trimpath -ldflags '-s -w' -o "$work/operator" ./cmd/operator
export LSP_CLUSTER=$state LSP_PACKAGES=$packages_registry/$place LSP_VERSIONS="${versions[*]}" LSP_BEFORE=$before LSP_PLUGIN_DIR=$work/plugin
export LSP_OPERATOR=$work/operator
for name in imgpkg registry; do
	path=$(scripts/tool --path "$name")
	export "LSP_TOOL_${name^^}=$path"
done
scripts/debian.sh skopeo
# Gigabytes come together in the tests' directories: on the cluster's disk, not in a /tmp that may be memory.
mkdir -p "$state/tests"
export TMPDIR=$state/tests
code=0
(cd tests/cluster && nsenter --net="/proc/$(init_of "$state")/ns/net" "$work/cluster.test" -test.v -test.timeout 45m "${flags[@]}") || code=$?
if [[ $code -ne 0 ]]; then
	say "the last lines of the cluster's own logs"
	tail -n 15 "$state"/log/{kubelet,containerd,apiserver,controller-manager,etcd,node}.log | cut -c 1-400
fi
[[ $code -eq 0 ]] || fail "the tests of the cluster failed after $SECONDS s"
echo "cluster-test: all good, $SECONDS s"
