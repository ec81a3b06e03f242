#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds every program of src/cmd into bin/, static and without the builder's paths.
# VERSION=x.y.z names the version; otherwise it is the tag of this commit, or devel.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

version=${VERSION:-$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || echo devel)}
commit=$(built_from 12 2>/dev/null || true)

mkdir -p bin
for dir in src/cmd/*/; do
	name=$(basename "$dir")
	started=$SECONDS
	CGO_ENABLED=0 go build -trimpath \
		-ldflags "-s -w -X $(go list -m)/src/internal/version.stamp=${version#v}@$commit" -o "bin/$name" "./$dir"
	say "bin/$name: ${version#v} ${commit:-(commit not known)}, $(du -m "bin/$name" | cut -f1) MB, $((SECONDS - started)) s"
done
