#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make fuzz: searches with every fuzz target of every module, one after another, FUZZTIME each (1m). What it finds is
# below testdata/fuzz of the target's package: commit that file with the mend, and it is a test from then on.
#
#   scripts/fuzz.sh            search
#   scripts/fuzz.sh --list     print "MODULE PACKAGE TARGET" of each, and search nothing
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
[[ $# -eq 0 || $* == --list ]] || { echo "usage: scripts/fuzz.sh [--list]" >&2; exit 2; }
time=${FUZZTIME:-1m}

# targets: a line for each. The compiler knows which there are; only packages whose tests name one are compiled.
targets() {
	local module dir name
	while IFS= read -r module; do
		while IFS= read -r dir; do
			while IFS= read -r name; do
				echo "$module ./${dir#"$module/"} $name"
			done < <(go -C "$module" test -list '^Fuzz' "./${dir#"$module/"}" | grep '^Fuzz')
		done < <(files "$module/*_test.go" | xargs -r grep -lE '^func Fuzz[A-Z]' -- | xargs -rn 1 dirname | sort -u | own "$module")
	done < <(code_modules)
}

# own MODULE: of directories, those that belong to no module below it.
own() {
	local dir
	while IFS= read -r dir; do
		[[ $(module_of "$dir") != "$1" ]] || echo "$dir"
	done
}

# module_of DIR: the module that a directory belongs to.
module_of() {
	local dir=$1
	until [[ $dir == . || -f $dir/go.mod ]]; do dir=$(dirname "$dir"); done
	echo "$dir"
}

mapfile -t all < <(targets)
[[ ${#all[@]} -gt 0 ]] || fail "no fuzz target was found"
if [[ ${1:-} == --list ]]; then
	printf '%s\n' "${all[@]}"
	exit
fi
found=()
for target in "${all[@]}"; do
	read -r module package name <<<"$target"
	say "$name of $package, $time"
	go -C "$module" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" || found+=("$name of $package in $module")
done
[[ ${#found[@]} -eq 0 ]] || fail "found something: $(printf '%s; ' "${found[@]}" | sed 's/; $//')"
echo "fuzz: nothing found by ${#all[@]} targets in $SECONDS s"
