#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make fresh: the two commands of the README, as on a machine that has Go, make and git and nothing else. They run
# in a clone of what is committed, with an empty home, module cache and build cache, which are removed at the end.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
git diff --quiet HEAD -- || say 'only what is committed is tested'

work=$(mktemp -d "${TMPDIR:-/tmp}/lsp-fresh.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work"/{home,path,modules,cache}
# From which proxy modules come is the network's affair, not the machine's. With -modcacherw the module cache can
# be removed.
settings=(
	"HOME=$work/home" "GOPATH=$work/path" "GOMODCACHE=$work/modules" "GOCACHE=$work/cache" "GOENV=off"
	"GOPROXY=$(go env GOPROXY)" "GOSUMDB=$(go env GOSUMDB)"
	"GOTOOLCHAIN=$(go env GOTOOLCHAIN)" "GOFLAGS=$(go env GOFLAGS) -modcacherw"
)
unset=()
while IFS= read -r name; do
	unset+=(-u "$name")
done < <(compgen -e | grep -E '^(LSP_|XDG_|KUBECONFIG$|DOCKER_CONFIG$|REGISTRY_AUTH_FILE$|TIER$|TESTFLAGS$)' || true)

git clone --quiet "$root" "$work/clone"
for target in demo test; do
	say "make $target, from empty caches"
	started=$SECONDS
	env "${unset[@]}" "${settings[@]}" make -C "$work/clone" "$target" ||
		fail "make $target failed in a fresh clone, after $((SECONDS - started)) s"
	echo "fresh: make $target took $((SECONDS - started)) s"
done
