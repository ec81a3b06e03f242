#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make vulncheck: fails when a program calls code that has a known vulnerability, of a dependency or of Go itself. It
# asks the Go vulnerability database, and so it is no part of make verify, which needs no network.
#
#   VULNDB   another database, such as file:///path/to/one
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
flags=()
[[ -z ${VULNDB:-} ]] || flags+=(-db "$VULNDB")
checker=$(scripts/tool --path govulncheck)

# A database that does not answer is an error of its own: nothing was checked.
code=0
"$checker" "${flags[@]}" ./src/... || code=$?
case $code in
0) echo "vulncheck: the programs call nothing that is known to be vulnerable" ;;
3) fail "the lines above name what to update, or the Go to build with (toolchain in go.mod)" ;;
*) fail "nothing was checked: govulncheck ended with $code" ;;
esac
