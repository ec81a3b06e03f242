#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/debian.sh PACKAGE…: installs the Debian packages that are missing, and starts none of their services.
# Exit 3, with one line that says what to type, when it may not (not root) or cannot (no apt-get).
set -euo pipefail

missing=()
for package in "$@"; do
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "not installed, and no apt-get here to do it: ${missing[*]}" >&2
	exit 3
fi
if [[ $EUID -ne 0 ]]; then
	echo "not installed: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 3
fi

log=$(mktemp)
policy=''
trap 'rm -f "$log" ${policy:+"$policy"}' EXIT

# While this file says 101, packages do not start their services (invoke-rc.d(8)). An existing policy stays.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 0755 "$policy"
fi

install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \
		"${missing[@]}" >"$log" 2>&1
}
echo "installing Debian packages: ${missing[*]} …" >&2
# The lists may be absent or too old: refresh them only when they do not do.
install || { apt-get update -q >"$log" 2>&1 && install; } || {
	tail -n 20 "$log" >&2
	echo "installing ${missing[*]} failed" >&2
	exit 1
}
