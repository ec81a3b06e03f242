#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/sbom.sh PROGRAM FILE: writes what a Go program is made of, as CycloneDX JSON, from what Go wrote into the program itself.
# Two builds of one commit have the same document: it has neither a time nor a number of its own, nor the digests of the
# generator, which is another program on another platform.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# == 2 ]] || { echo "usage: scripts/sbom.sh PROGRAM FILE" >&2; exit 2; }
log=$("$root/scripts/tool" cyclonedx-gomod bin -json -std -noserial -notimestamp -output "$2" "$1" 2>&1) ||
	{ echo "$log" >&2; fail "the SBOM of $1 could not be made"; }
sed -i '/^        "hashes": \[$/,/^        \],$/d' "$2"
