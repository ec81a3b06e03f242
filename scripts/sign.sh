#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/sign.sh REFERENCE [SBOM…]: signs what a registry has under HOST/PATH@DIGEST with cosign, an image of several platforms
# with each of them, and attests how it was built and the SBOMs. What is signed already, by the same key, stays as it is.
#
#   COSIGN_KEY       the key: a file, env://NAME or a KMS URI, as cosign takes it; COSIGN_PASSWORD opens it. Nothing goes to a
#                    public log
#   COSIGN_KEYLESS   true, in place of a key: cosign asks the CI's identity provider, and writes to the public log
#   CA_CERT_FILE     see scripts/publish.sh
#   PLAIN_HTTP       see scripts/publish.sh
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cosign-lib.sh
source "$root/scripts/cosign-lib.sh"
[[ $# -ge 1 && $1 == *@sha256:* ]] || { echo "usage: scripts/sign.sh HOST/PATH@sha256:… [SBOM…]" >&2; exit 2; }
reference=$1
shift
signing || fail "set COSIGN_KEY, or COSIGN_KEYLESS=true where there is an identity provider"
# The last thing that is made shows that all is there.
if proven "$reference"; then
	say "signed already: $reference"
	exit
fi
say "signing $reference"
quietly "$reference could not be signed" cosign sign --recursive "${signer[@]}" "$reference"
for sbom in "$@"; do
	quietly "$sbom could not be attested" cosign attest --type cyclonedx --predicate "$sbom" "${signer[@]}" "$reference"
done
provenance >"$cosign_work/provenance.json"
quietly "the provenance of $reference could not be attested" \
	cosign attest --type slsaprovenance1 --predicate "$cosign_work/provenance.json" "${signer[@]}" "$reference"
