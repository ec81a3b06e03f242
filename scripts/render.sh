#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the package's manifests: scripts/render.sh [VALUES-FILE]
#
# The image is called by its bare name, which kbld replaces: … | kbld -f - -f .imgpkg/images.yml
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -le 1 ]] || { echo "usage: scripts/render.sh [VALUES-FILE]" >&2; exit 2; }
[[ -z ${1:-} || -r $1 ]] || fail "cannot read the values file $1"
exec "$root/scripts/tool" ytt -f "$root/config" ${1:+--data-values-file "$1"}
