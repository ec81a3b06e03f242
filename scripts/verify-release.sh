#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make verify-release VERSION=0.3.0: checks a published release, says of each part what is right, and ends at the first that is not.
# The signatures, the SBOMs and the provenance of what the registry has, and of the files; then it builds all of it again from this
# checkout, which has to be the release's commit, and compares.
#
#   REGISTRY     host/path of the release; by default that of GitHub
#   RELEASE      the release's files: a URL or a directory; by default the release on GitHub
#   PLATFORMS    see scripts/release.sh: of a release that was made for these alone
#   REBUILD      no: nothing is built again
#   COSIGN_PUBLIC_KEY   a file, for releases that were signed with a key. By default the identity of this project's release workflow
#   COSIGN_ISSUER, COSIGN_IDENTITY   another identity
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cosign-lib.sh
source "$root/scripts/cosign-lib.sh"
cd "$root"
export VERSION=${VERSION:-} REGISTRY=${REGISTRY:-ghcr.io/local-source-proxy/local-source-proxy}
[[ -n $VERSION ]] || { echo "usage: make verify-release VERSION=0.3.0 [REGISTRY=host/path] [RELEASE=URL or directory]" >&2; exit 2; }
check_version "$VERSION"
release=${RELEASE:-$source_repository/releases/download/v$VERSION}
names=(local-source-proxy ootb-profiles package-repository)
verifying
commit=$(git rev-parse HEAD)
git diff --quiet HEAD -- || fail "this checkout has changes: verify a release from its own commit"
crane_flags=()
[[ ${PLAIN_HTTP:-} != true ]] || crane_flags+=(--insecure)
crane() { env ${CA_CERT_FILE:+SSL_CERT_FILE="$CA_CERT_FILE"} scripts/tool crane "$@" "${crane_flags[@]}"; }

# right TEXT…: one line of what was found to be as it has to be.
right() { echo "ok  $*"; }

# attested TYPE REFERENCE: sets $predicates to what the verifier has signed of this type.
attested() {
	cosign verify-attestation --type "$1" "${verifier[@]}" --output-file "$cosign_work/said" "$2" >"$cosign_work/log" 2>&1 ||
		{ cat "$cosign_work/log" >&2; fail "$2 has no $1 that is signed as it should be"; }
	predicates=$(sed -n 's/.*"payload":"\([^"]*\)".*/\1/p' "$cosign_work/said" "$cosign_work/log" | while read -r payload; do base64 -d <<<"$payload"; echo; done)
}

# check_image REFERENCE NAME
check_image() {
	quietly "$1 is not signed as it should be" cosign verify "${verifier[@]}" "$1"
	attested slsaprovenance1 "$1"
	[[ $predicates == *"\"gitCommit\":\"$commit\""* ]] ||
		fail "$1 was not built from this commit, $commit: check out $(grep -o '"gitCommit":"[^"]*"' <<<"$predicates" | head -n 1)"
	right "$2 is signed, and was built from $commit"
}

# at NAME: sets $digest to that of a bundle in the registry.
at() {
	digest=$(crane digest "$REGISTRY/$1:$VERSION" 2>"$cosign_work/log") || { cat "$cosign_work/log" >&2; fail "$REGISTRY/$1:$VERSION cannot be read"; }
}

# fetch FILE
fetch() {
	case $release in
	http://* | https://*) curl -fsSL --retry 3 -o "$cosign_work/files/$1" "$release/$1" || fail "$release/$1 cannot be downloaded" ;;
	*) cp "$release/$1" "$cosign_work/files/$1" || fail "$release/$1 cannot be read" ;;
	esac
}

say "the files in $release"
mkdir "$cosign_work/files"
for file in checksums.txt checksums.txt.bundle install.sh install.sh.bundle provenance.bundle; do fetch "$file"; done
for file in checksums.txt install.sh; do
	quietly "$file is not signed as it should be, or $file.bundle was changed" cosign verify-blob "${verifier_of_files[@]}" --new-bundle-format=false \
		--bundle "$cosign_work/files/$file.bundle" "$cosign_work/files/$file"
	right "$file is signed"
done
quietly "provenance.bundle does not speak of these files" cosign verify-blob-attestation "${verifier_of_files[@]}" --new-bundle-format=false \
	--type slsaprovenance1 --bundle "$cosign_work/files/provenance.bundle" "$cosign_work/files/checksums.txt"
right "provenance.bundle is signed"
while read -r sum file; do
	fetch "$file"
	[[ $(sha256sum <"$cosign_work/files/$file") == "$sum "* ]] || fail "$file is not the release's: its checksum is another"
done <"$cosign_work/files/checksums.txt"
right "$(wc -l <"$cosign_work/files/checksums.txt") files have the checksums that are signed"

say "what $REGISTRY has"
for name in "${names[@]}"; do
	at "$name"
	echo "$name $digest" >>"$cosign_work/digests"
	check_image "$REGISTRY/$name@$digest" "$name:$VERSION"
done
imgpkg_flags
bundle=$(sed -n 's/^local-source-proxy //p' "$cosign_work/digests")
quietly "the bundle cannot be read" scripts/tool imgpkg pull -b "$REGISTRY/local-source-proxy@$bundle" -o "$cosign_work/bundle" "${imgpkg_flags[@]}"
image=$(sed -n 's/.*image: .*@//p' "$cosign_work/bundle/.imgpkg/images.yml" | head -n 1)
check_image "$REGISTRY/local-source-proxy@$image" "the image"
components() { grep -ohE '"bom-ref": ?"[^"]*"' "$@" | tr -d ' ' | sort -u; }
for reference in "$image" "$bundle"; do
	attested cyclonedx "$REGISTRY/local-source-proxy@$reference"
	unsigned=$(comm -23 <(components "$cosign_work"/bundle/sbom/*.json) <(components - <<<"$predicates") | head -n 1)
	[[ -z $unsigned ]] || fail "the SBOM of $REGISTRY/local-source-proxy@$reference lacks $unsigned, which the bundle's has"
done
right "the image and the bundle have their SBOMs"

[[ ${REBUILD:-} != no ]] || exit 0
say "building it again"
EARLIER=$(versions_in "$REGISTRY/package-repository@$digest" "$cosign_work/repository")
export EARLIER
{ scripts/package.sh && env -u COSIGN_KEY -u COSIGN_KEYLESS scripts/release.sh; } >"$cosign_work/log" 2>&1 ||
	{ cat "$cosign_work/log" >&2; fail "it cannot be built"; }
echo "image $image" >>"$cosign_work/digests"
diff <(sort dist/digests.txt) <(sort "$cosign_work/digests") >&2 ||
	fail "what is built here (<) has other digests than what is published (>). The Go release is part of it: this is $(go env GOVERSION)"
right "the image and the bundles are the same, byte for byte"
diff dist/release/checksums.txt "$cosign_work/files/checksums.txt" >&2 || fail "what is built here (<) are other files than those of the release (>)"
cmp -s dist/release/install.sh "$cosign_work/files/install.sh" || fail "install.sh is another than the one that is built here"
right "the files are the same, byte for byte"
