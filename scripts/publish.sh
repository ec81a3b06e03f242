#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Publishes a version below REGISTRY, with the credentials of the docker config:
#
#   REGISTRY/local-source-proxy:VERSION   the package's bundle, with the image's SBOMs inside, and its image,
#                                         which has the tag image-VERSION
#   REGISTRY/ootb-profiles:VERSION        the profile package's bundle
#   REGISTRY/package-repository:VERSION   the package repository, with all of the above, and with every earlier version that
#                                         REGISTRY has, so that installations of those find them after an update
#
# What a version holds never changes: what is there already is left alone, and if it is something else nothing is published.
#
#   REGISTRY       host/path; registries that create no repositories by themselves (ECR) need the three beforehand
#   VERSION        a semantic version
#   PLAIN_HTTP     true: REGISTRY speaks plain HTTP; not needed on loopback
#   CA_CERT_FILE   PEM file of the CA of REGISTRY, when this machine does not trust it
#   COSIGN_KEY, COSIGN_KEYLESS   what signs them: see scripts/sign.sh. Without, nothing is signed
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
if [[ -z ${REGISTRY:-} || -z ${VERSION:-} ]]; then
	echo "usage: make publish REGISTRY=host/path VERSION=0.3.0" >&2
	exit 2
fi
if [[ $REGISTRY == *://* || $REGISTRY == */ || $REGISTRY != */* ]]; then
	echo "publish: REGISTRY \"$REGISTRY\" must be host/path, without scheme and without a slash at the end" >&2
	exit 2
fi
names=(local-source-proxy ootb-profiles package-repository)
check_version "$VERSION"
crane_environment=() crane_flags=()
[[ ${PLAIN_HTTP:-} != true ]] || crane_flags+=(--insecure)
if [[ -n ${CA_CERT_FILE:-} ]]; then
	[[ -r $CA_CERT_FILE ]] || fail "CA_CERT_FILE $CA_CERT_FILE cannot be read"
	crane_environment+=(SSL_CERT_FILE="$CA_CERT_FILE") # it has no flag for this
fi
imgpkg_flags
crane=$(scripts/tool --path crane)
log=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$log" "$work"' EXIT

# crane COMMAND ARGUMENT…: its output; what it says on the way stays in $log.
crane() { env "${crane_environment[@]}" "$crane" "$@" "${crane_flags[@]}" 2>"$log"; }

# digest NAME: from dist/digests.txt.
digest() { sed -n "s/^$1 //p" dist/digests.txt; }

# published NAME: the digest that the version has in the registry; empty when there is none.
published() {
	crane digest "$REGISTRY/$1:$VERSION" && return
	# No answer is not "no such image": a mistake here would overwrite what others have installed.
	absent || { cat "$log" >&2; fail "cannot tell whether $REGISTRY/$1:$VERSION exists"; }
}

# absent: the registry's last answer was that there is no such thing.
absent() { grep -qE 'MANIFEST_UNKNOWN|NAME_UNKNOWN|status code 404|NOT_FOUND' "$log"; }

# earlier_versions: those that the package repository takes along. One that is published keeps what it has, whatever came since.
earlier_versions() {
	local there tags
	there=$(published package-repository) || exit 1
	if [[ -n $there ]]; then
		versions_in "$REGISTRY/package-repository@$there" "$work/there"
		return
	fi
	tags=$(crane ls "$REGISTRY/package-repository") || absent ||
		{ cat "$log" >&2; fail "cannot tell which versions $REGISTRY/package-repository has"; }
	# Without VERSION itself and what sorts after it.
	{ grep -E "^$semantic_version\$" <<<"$tags" || true; echo "$VERSION"; } | in_order | sed "/^${VERSION//./\\.}\$/,\$d"
}

push_bundle() {
	local name=$1
	scripts/tool imgpkg copy --tar "dist/$name.tar" --to-repo "$REGISTRY/$name" "${imgpkg_flags[@]}" >"$log" 2>&1 ||
		{ cat "$log" >&2; fail "imgpkg could not publish $name"; }
	[[ $(published "$name") == "$(digest "$name")" ]] || crane tag "$REGISTRY/$name@$(digest "$name")" "$VERSION" ||
		{ cat "$log" >&2; fail "the tag $VERSION could not be set on $REGISTRY/$name"; }
	# For docker run.
	[[ $name != local-source-proxy ]] || crane tag "$REGISTRY/$name@$(digest image)" "image-$VERSION" ||
		{ cat "$log" >&2; fail "the tag image-$VERSION could not be set on $REGISTRY/$name"; }
}

EARLIER=$(earlier_versions)
export EARLIER
scripts/package.sh
missing=()
for name in "${names[@]}"; do
	there=$(published "$name")
	if [[ -z $there ]]; then
		missing+=("$name")
	elif [[ $there != "$(digest "$name")" ]]; then
		fail "$REGISTRY/$name:$VERSION is there with other content ($there, not $(digest "$name")); nothing was published: choose another VERSION"
	fi
done
for name in "${missing[@]}"; do
	say "publishing $REGISTRY/$name:$VERSION"
	push_bundle "$name"
done
# Also what was published by a run that ended before it had signed.
if [[ -n ${COSIGN_KEY:-} || ${COSIGN_KEYLESS:-} == true ]]; then
	scripts/sign.sh "$REGISTRY/local-source-proxy@$(digest image)" dist/sbom/*.cdx.json
	scripts/sign.sh "$REGISTRY/local-source-proxy@$(digest local-source-proxy)" dist/sbom/*.cdx.json
	for name in ootb-profiles package-repository; do scripts/sign.sh "$REGISTRY/$name@$(digest "$name")"; done
	# The repository has the bundles and their image along, of every version, and so what is signed of them: imgpkg copies from there.
	for name in local-source-proxy ootb-profiles; do
		listed=$(crane ls "$REGISTRY/$name") || { cat "$log" >&2; fail "the signatures of $REGISTRY/$name cannot be listed"; }
		mapfile -t tags < <(grep -E '^sha256-[0-9a-f]{64}\.(sig|att)$' <<<"$listed")
		for tag in "${tags[@]}"; do
			crane copy "$REGISTRY/$name:$tag" "$REGISTRY/package-repository:$tag" || { cat "$log" >&2; fail "signatures could not be taken along"; }
		done
	done
else
	say "nothing is signed: set COSIGN_KEY, or COSIGN_KEYLESS=true in CI"
fi
[[ ${#missing[@]} -gt 0 ]] || say "version $VERSION is there already, with the same content"
echo "$REGISTRY/local-source-proxy@$(digest image)"
for name in "${names[@]}"; do
	echo "$REGISTRY/$name:$VERSION@$(digest "$name")"
done
