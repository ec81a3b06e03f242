# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts share. Sourced, never run. Sets $root, the repository's top directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# say TEXT…: one line of narration.
say() {
	echo "== $*"
}

# fail TEXT…: one line on stderr, exit 1.
fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# files [PATHSPEC…]: the repository's files, those not yet added included, those deleted but not yet committed excluded.
files() {
	local file
	git -C "$root" ls-files --cached --others --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
		[[ ! -f $root/$file ]] || echo "$file"
	done
}

# modules: the directories of the Go modules, relative to $root.
modules() {
	files go.mod '*/go.mod' | while IFS= read -r file; do dirname "$file"; done
}

# code_modules: those of them that hold Go code of ours; the others only pin tools.
code_modules() {
	modules | grep -v '^scripts/tools'
}

# shell_files: everything that bash reads.
shell_files() {
	files | while IFS= read -r file; do
		case ${file##*/} in
		*.sh) echo "$file" ;;
		*.*) ;;
		*) ! head -n 1 "$root/$file" | grep -qE '^#!.*\bbash\b' || echo "$file" ;;
		esac
	done
}
