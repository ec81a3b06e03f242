#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/azurite.sh: installs Azure's emulator of its storage, at the versions of scripts/tools/azurite, and prints the program that
# Node.js runs. What was installed once is used again. Exit 3, with one line that says what to do, when there is no npm.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$root/scripts/tools/azurite
command -v npm >/dev/null || {
	echo "no npm here: install Node.js, 18 or newer" >&2
	exit 3
}
kept=$root/.tools
place=$kept/azurite-$(sha256sum "$lock/package-lock.json" | cut -c1-16)
if [[ ! -d $place ]]; then
	mkdir -p "$kept"
	work=$(mktemp -d "$kept/azurite.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cp "$lock"/package*.json "$work"
	# No package runs a program of its own while it is installed.
	npm ci --prefix "$work" --ignore-scripts --omit=optional --no-audit --no-fund >&2
	mv -T "$work" "$place" || [[ -d $place ]]
fi
echo "$place/node_modules/azurite/dist/src/blob/main.js"
