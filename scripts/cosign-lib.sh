# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What signing and verifying share. Sourced after lib.sh, never run. $root is lib.sh's.
# shellcheck disable=SC2154
#
# Sets $cosign_work, a directory that is removed at the end.
source_repository=https://github.com/local-source-proxy/local-source-proxy
cosign_work=$(mktemp -d)
trap 'rm -rf "$cosign_work"' EXIT

cosign() { "$cosign_program" "$@"; }

# quietly TEXT COMMAND…: runs it, and says what it said only when it fails.
quietly() {
	local text=$1
	shift
	"$@" >"$cosign_work/log" 2>&1 || { cat "$cosign_work/log" >&2; fail "$text"; }
}

# to_registry: sets $to_registry to cosign's flags for the registry.
to_registry() {
	to_registry=()
	[[ ${PLAIN_HTTP:-} != true ]] || to_registry+=(--allow-http-registry)
	[[ -z ${CA_CERT_FILE:-} ]] || to_registry+=(--registry-cacert "$CA_CERT_FILE")
}

# signing: sets $signer to cosign's flags for signing in a registry, and $signer_of_files to those for files. It is false when there is
# nothing to sign with.
signing() {
	to_registry
	if [[ -n ${COSIGN_KEY:-} ]]; then
		signer_of_files=(--key "$COSIGN_KEY" --tlog-upload=false --yes)
	elif [[ ${COSIGN_KEYLESS:-} == true ]]; then
		signer_of_files=(--yes)
	else
		return 1
	fi
	cosign_program=$("$root/scripts/tool" --path cosign)
	# shellcheck disable=SC2034 # for those that source this
	signer=("${signer_of_files[@]}" "${to_registry[@]}")
	verifying
}

# verifying: sets $verifier and $verifier_of_files to cosign's flags for verifying, with the key in COSIGN_PUBLIC_KEY, that of
# COSIGN_KEY, or with the identity of this project's releases.
verifying() {
	to_registry
	cosign_program=$("$root/scripts/tool" --path cosign)
	if [[ -n ${COSIGN_PUBLIC_KEY:-} ]]; then
		[[ -r $COSIGN_PUBLIC_KEY ]] || fail "COSIGN_PUBLIC_KEY $COSIGN_PUBLIC_KEY cannot be read"
		verifier_of_files=(--key "$COSIGN_PUBLIC_KEY")
	elif [[ -n ${COSIGN_KEY:-} ]]; then
		quietly "COSIGN_KEY cannot be used" cosign public-key --key "$COSIGN_KEY" --outfile "$cosign_work/key.pub"
		verifier_of_files=(--key "$cosign_work/key.pub")
	else
		verifier_of_files=(--certificate-oidc-issuer "${COSIGN_ISSUER:-https://token.actions.githubusercontent.com}"
			--certificate-identity "${COSIGN_IDENTITY:-$source_repository/.github/workflows/release.yml@refs/tags/v$VERSION}")
	fi
	[[ ${verifier_of_files[0]} != --key ]] || verifier_of_files+=(--private-infrastructure)
	verifier=("${verifier_of_files[@]}" "${to_registry[@]}")
}

# proven REFERENCE: it has a provenance that the verifier signed.
proven() { cosign verify-attestation --type slsaprovenance1 "${verifier[@]}" "$1" >"$cosign_work/log" 2>&1; }

# provenance: the predicate of SLSA v1 (slsa.dev/spec/v1.0/provenance) for what this commit gives: its source, and how to build it again.
provenance() {
	local commit
	commit=$(built_from 40)
	cat <<-JSON
		{
		  "buildDefinition": {
		    "buildType": "$source_repository/blob/$commit/scripts/README.md#a-release",
		    "externalParameters": {"version": "$VERSION", "command": "make publish VERSION=$VERSION"},
		    "resolvedDependencies": [
		      {"uri": "git+$source_repository@refs/tags/v$VERSION", "digest": {"gitCommit": "$commit"}},
		      {"uri": "https://go.dev/dl/?mode=json&include=all", "name": "$(go env GOVERSION)"}
		    ]
		  },
		  "runDetails": {"builder": {"id": "${BUILDER_ID:-$source_repository/blob/$commit/scripts/publish.sh}"}}
		}
	JSON
}
