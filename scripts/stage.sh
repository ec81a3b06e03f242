#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Lays out the templates of both packages as they go into their bundles: scripts/stage.sh DIR VERSION
#
#   DIR/local-source-proxy/config   config/, without what is only for readers of the source
#   DIR/ootb-profiles/config        the profile's templates, with config/ as a library inside: the profile validates the values
#                                   by the package's own schema, of which there is only one
#
# imgpkg keeps modes and refuses symbolic links: files are copied, all with the same mode.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# == 2 ]] || { echo "usage: scripts/stage.sh DIR VERSION" >&2; exit 2; }
to=$1 version=$2
check_version "$version"

# templates FROM TO: copies the templates below FROM.
templates() {
	local file
	(cd "$1" && find . -type f \( -name '*.yml' -o -name '*.star' \) -print) | while read -r file; do
		install -D -m 0644 "$1/$file" "$2/$file"
	done
}

templates "$root/config" "$to/local-source-proxy/config"
templates "$root/package-repository/ootb-profiles/config" "$to/ootb-profiles/config"
templates "$root/config" "$to/ootb-profiles/config/_ytt_lib/local-source-proxy"
printf '# Written by scripts/stage.sh.\n\nVERSION = "%s"\n' "$version" >"$to/ootb-profiles/config/version.star"
chmod 0644 "$to/ootb-profiles/config/version.star"
find "$to" -type d -exec chmod 0755 {} +
