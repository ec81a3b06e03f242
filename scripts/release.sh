#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make release VERSION=0.3.0: makes the files of a release in dist/release/. What each is stands in scripts/README.md, "A release".
# dist/local-source-proxy.yml is taken if make package or make publish has made it, of this commit, version and REGISTRY.
#
#   REGISTRY     where the image is published; scripts/package.sh says more
#   PLATFORMS    instead of all platforms, those named: "linux-amd64 darwin-arm64"
#   COSIGN_KEY, COSIGN_KEYLESS   what signs the checksums and the installer: see scripts/sign.sh. Without, nothing is signed
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cosign-lib.sh
source "$root/scripts/cosign-lib.sh"
cd "$root"
export VERSION=${VERSION:-}
[[ -n $VERSION ]] || { echo "usage: make release VERSION=0.3.0" >&2; exit 2; }
check_version "$VERSION"
dist=$root/dist/release
read -r -a platforms <<<"${PLATFORMS:-$(release_platforms)}"
commit=$(built_from 12)
[[ $(cat dist/made-for.txt 2>/dev/null) == "$VERSION $commit ${REGISTRY:-registry.invalid}" ]] || scripts/package.sh
rm -rf "$dist" && mkdir -p "$dist"

say "building both programs for ${platforms[*]}"
DIST=$dist scripts/krew.sh "$VERSION" "${platforms[@]}" >"$cosign_work/log" || { cat "$cosign_work/log" >&2; fail "the plugin could not be built"; }
for platform in "${platforms[@]}"; do
	scripts/archive.sh local-source-proxy "$platform" "$VERSION" "$dist"
done

say "making the Debian and RPM packages of the plugin"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for platform in "${platforms[@]}"; do
	[[ $platform == linux-* ]] || continue
	mkdir "$cosign_work/$platform"
	tar -C "$cosign_work/$platform" -xzf "$dist/kubectl-lsp-$platform.tar.gz"
	for format in deb rpm; do
		(cd "$cosign_work/$platform" && ARCH=${platform#*-} "$root/scripts/tool" nfpm package --packager "$format" \
			--config "$root/scripts/release/nfpm.yaml" --target "$dist/kubectl-lsp-$platform.$format") >"$cosign_work/log" 2>&1 ||
			{ cat "$cosign_work/log" >&2; fail "the $format package could not be made"; }
	done
done

cp dist/local-source-proxy.yml "$dist/"
release_notes >"$dist/notes.md"
(cd "$dist" && find . -type f ! -name checksums.txt -printf '%P\n' | LC_ALL=C sort | xargs sha256sum) >"$cosign_work/checksums.txt"
mv "$cosign_work/checksums.txt" "$dist/"
sed -e "s/^version=.*/version=$VERSION/" -e "s/^checksums=.*/checksums=$(sha256sum <"$dist/checksums.txt" | cut -d' ' -f1)/" \
	scripts/release/install.sh >"$dist/install.sh"
chmod 0755 "$dist/install.sh"

if signing; then
	provenance >"$cosign_work/provenance.json"
	for file in checksums.txt install.sh; do
		quietly "$file could not be signed" cosign sign-blob "${signer_of_files[@]}" --new-bundle-format=false --bundle "$dist/$file.bundle" "$dist/$file"
	done
	quietly "the provenance could not be attested" cosign attest-blob "${signer_of_files[@]}" --type slsaprovenance1 --new-bundle-format=false \
		--predicate "$cosign_work/provenance.json" --bundle "$dist/provenance.bundle" "$dist/checksums.txt"
else
	say "nothing is signed: set COSIGN_KEY, or COSIGN_KEYLESS=true in CI"
fi
find "$dist" -name "*.bundle" -exec chmod 0644 {} +
say "in dist/release/, version $VERSION:"
(cd "$dist" && ls)
