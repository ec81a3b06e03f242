#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make krew, or scripts/krew.sh VERSION [PLATFORM…]: builds kubectl-lsp for krew's platforms (or those named, such as linux-amd64) into
# dist/, and writes the manifest dist/lsp.yaml with them from src/cmd/kubectl-lsp/krew.yaml. The same commit and version give the
# same archives.
#
#   DOWNLOAD_URL   where the archives will be; by default the release of this version on GitHub
#   DIST           another directory than dist/
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

manifest=src/cmd/kubectl-lsp/krew.yaml
dist=${DIST:-dist}
version=${1:-}
version=${version#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "say which version, such as 0.3.0"
shift
url=${DOWNLOAD_URL:-https://github.com/local-source-proxy/local-source-proxy/releases/download/v$version}
read -r -a all <<<"$(release_platforms)"
platforms=("$@")
[[ ${#platforms[@]} -gt 0 ]] || platforms=("${all[@]}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dist"
cp "$manifest" "$work/lsp.yaml"
for platform in "${platforms[@]}"; do
	[[ " ${all[*]} " == *" $platform "* ]] || fail "$manifest has no platform $platform: ${all[*]}"
	scripts/archive.sh kubectl-lsp "$platform" "$version" "$dist"
	archive=$dist/kubectl-lsp-$platform.tar.gz
	sum=$(sha256sum "$archive" | cut -d' ' -f1)
	sed -i "s/SHA256-$platform\$/$sum/" "$work/lsp.yaml"
	say "$archive: $sum"
done
# The comment at the top speaks of this script's input. What keeps its mark is a platform that was not built.
sed -e '/^#/d' -e "s/vVERSION/v$version/" -e "s|URL/|$url/|" "$work/lsp.yaml" |
	awk '/^    - selector:/ {if (entry !~ /SHA256-/) printf "%s", entry; entry = ""}
		{entry = entry $0 "\n"}
		END {if (entry !~ /SHA256-/) printf "%s", entry}' >"$dist/lsp.yaml"
say "$dist/lsp.yaml: install it with kubectl krew install --manifest=$dist/lsp.yaml --archive=$dist/kubectl-lsp-<os>-<arch>.tar.gz"
