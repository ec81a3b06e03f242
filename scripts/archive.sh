#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/archive.sh PROGRAM PLATFORM VERSION DIST: builds a program of src/cmd for a platform, such as linux-amd64, into the archive
# DIST/PROGRAM-PLATFORM.tar.gz, with the licence and the manual pages that it has, and writes its SBOM beside it. The same commit
# and version give the same bytes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# == 4 ]] || { echo "usage: scripts/archive.sh PROGRAM PLATFORM VERSION DIST" >&2; exit 2; }
program=$1 platform=$2 version=$3
mkdir -p "$4"
dist=$(cd "$4" && pwd)
cd "$root"
[[ -d src/cmd/$program ]] || fail "src/cmd has no program $program"
commit=$(built_from 12)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

name=$program
[[ $platform != windows-* ]] || name+=.exe
mkdir "$work/tree"
# Settings of one's own for the compiler would give other bytes.
env -u GOFLAGS -u GOEXPERIMENT -u GOAMD64 -u GOARM64 CGO_ENABLED=0 GOOS="${platform%-*}" GOARCH="${platform#*-}" \
	go build -trimpath -buildvcs=false -ldflags "-s -w -X $(go list -m)/src/internal/version.stamp=$version@$commit" \
	-o "$work/tree/$name" "./src/cmd/$program"
cp LICENSE "$work/tree/"
if [[ $platform != windows-* ]]; then
	scripts/man.sh "$work/man"
	mkdir -p "$work/tree/man/man1"
	for page in "$work/man/$program"*; do gzip -9n <"$page" >"$work/tree/man/man1/${page##*/}.gz"; done
fi
scripts/sbom.sh "$work/tree/$name" "$dist/$program-$platform.cdx.json"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw -C "$work/tree" -c . | gzip -n >"$dist/$program-$platform.tar.gz"
