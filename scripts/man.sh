#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes a manual page for each command of both programs into a directory: scripts/man.sh DIR. The date on them is the
# commit's, or SOURCE_DATE_EPOCH, so that they are the same wherever they are written.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 1 ]] || { echo "usage: scripts/man.sh DIR" >&2; exit 2; }
dir=$(realpath -m "$1")
cd "$root"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
go run ./src/internal/reference man "$dir"
