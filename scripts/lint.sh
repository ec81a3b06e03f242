#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs golangci-lint, as .golangci.yml sets it up, over every module with code of ours.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
linter=$("$root/scripts/tool" --path golangci-lint)

bad=()
while IFS= read -r module; do
	(cd "$root/$module" && "$linter" run --allow-parallel-runners --config "$root/.golangci.yml" ./...) || bad+=("$module")
done < <(code_modules)
[[ ${#bad[@]} -eq 0 ]] || fail "findings in the module(s): ${bad[*]}"
